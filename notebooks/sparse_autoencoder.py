# %% [markdown]
# # Sparse autoencoders
#
# Inside a GPT, a token is a vector of a few hundred numbers. One hypothesis says that such a vector is a sum of a few
# **features** out of thousands, each a direction: there are more features than dimensions, and few are active at a time.
# A **sparse autoencoder** looks for them. It is dictionary learning with the search for codes replaced by one product with a
# matrix, so that it can be trained on millions of vectors.
#
# Here the features are made by us, so that what is found can be checked. It takes less than a minute on a CPU.

# %%

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("gpt_from_scratch") is None:  # not in a clone's environment: in Colab, say
    clone = Path.cwd().parent
    repo = os.environ.get("REPO")  # the address of a git repository
    source = f"git+{repo}" if repo else str(clone) if (clone / "pyproject.toml").exists() else "provengpt"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", source], check=True)

# %% [markdown]
# ## Signals with known features
#
# 128 directions in 64 dimensions: they cannot be orthogonal. Each signal is a sum of 1 to 5 of them with positive weights.

# %%
import matplotlib.pyplot as plt
import torch

from gpt_from_scratch.models.dictionary.matching import cosines, mean_max_cosine
from gpt_from_scratch.models.dictionary.sparse_autoencoder import SparseAutoencoderConfig, learn_features, measure
from gpt_from_scratch.models.dictionary.synthetic import add_noise, random_dictionary, sparse_codes

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
true = random_dictionary(128, 64, generator)
signals = sparse_codes(20_000, 128, (1, 5), generator).abs() @ true
signals = add_noise(signals, generator, std=0.01)
between = cosines(true, true).fill_diagonal_(0)
print(f"{len(signals):,} signals; the closest two of the true features have a cosine of {between.max():.2f}")

# %% [markdown]
# ## Two ways to be sparse
#
# The autoencoder computes codes = ReLU(W x + b), and rebuilds x as a sum of its features, weighted by the codes. Without a
# limit it would use all features at once, and none would mean anything. There are two usual limits:
#
# - `topk`: only the k largest codes stay (Gao et al. 2024). How many are active is chosen, not found.
# - `l1`: a penalty on the sum of the codes (Bricken et al. 2023). It also makes the codes that stay too small.
#
# Three figures judge them. *Variance explained* is how well signals are rebuilt, and *L0* how many codes are active. The mean
# *largest cosine* compares each true feature with the nearest one that was learned: 1 means found exactly.

# %%
configs = {
    "topk": SparseAutoencoderConfig(n_features=128, kind="topk", k=5, steps=600),
    "l1": SparseAutoencoderConfig(n_features=128, kind="l1", l1=0.15, steps=600),
}
learned = {name: learn_features(signals, config, generator) for name, config in configs.items()}
for name, sae in learned.items():
    seen = measure(sae, signals)
    cosine = mean_max_cosine(true, sae.decoder.detach())
    print(
        f"{name:<5} variance explained {seen.variance_explained:.2f}   L0 {seen.l0:.1f}   largest cosine {cosine:.2f}"
    )

# %%
plt.figure(figsize=(6, 3.4))
for (name, sae), color in zip(learned.items(), ("#2f7fc1", "#d9730d"), strict=True):
    nearest = cosines(true, sae.decoder.detach()).amax(dim=1)
    plt.hist(nearest.numpy(), bins=torch.linspace(0.3, 1, 36).numpy(), alpha=0.6, label=name, color=color)
plt.xlabel("largest cosine of a true feature with a learned one")
plt.ylabel("true features")
plt.legend(frameon=False)
plt.show()

# %% [markdown]
# Both find nearly all of the true features. `l1` finds the directions at least as well, and yet it rebuilds the signals worse:
# the penalty shrinks the codes that stay. `topk` keeps up to 5 codes for every signal, also where the signal is a sum of one
# or two features, so its L0 is higher than the 3 features that a signal has on average.
#
# ## Go on
#
# - Train for 3,000 steps, and look again. What does a larger `l1` do to L0 and to the variance explained?
# - Give the autoencoder 64 features, fewer than there are. Which of the true ones does it find?
# - `gpt learn features runs/NAME` does this with a trained GPT's activations, and writes a page that shows on which tokens
#   each feature fires.
