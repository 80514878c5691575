# %% [markdown]
# # Sparse autoencoders
#
# A dictionary that is read out by one matrix product. First on signals whose dictionary is known, so that what was learned
# can be checked; `training/train_sparse_autoencoder.py runs/NAME` does the same with a trained GPT's activations.

# %%
# ruff: noqa: E402 (the package may have to be installed first)
import importlib.util
import os
import subprocess
import sys

REPO = os.environ.get("REPO", "")  # the address of a git repository; empty: the checkout that this notebook lies in
if importlib.util.find_spec("gpt_from_scratch") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", f"git+{REPO}" if REPO else ".."], check=True)

QUICK = bool(os.environ.get("NOTEBOOK_QUICK"))  # a reduced size, for tests

# %%
import matplotlib.pyplot as plt
import torch

from gpt_from_scratch.models.dictionary.matching import cosines, mean_max_cosine
from gpt_from_scratch.models.dictionary.sparse_autoencoder import SparseAutoencoderConfig, learn_features, measure
from gpt_from_scratch.models.dictionary.synthetic import add_noise, random_dictionary, sparse_codes

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
true = random_dictionary(128, 64, generator)
signals = sparse_codes(5_000 if QUICK else 50_000, 128, (1, 5), generator).abs() @ true
signals = add_noise(signals, generator, std=0.01)

# %% [markdown]
# The k largest codes stay (`topk`), or a penalty on their sum makes most of them zero (`l1`).

# %%
steps = 100 if QUICK else 2000
configs = {
    "topk": SparseAutoencoderConfig(n_features=128, kind="topk", k=5, steps=steps),
    "l1": SparseAutoencoderConfig(n_features=128, kind="l1", l1=0.15, steps=steps),
}
learned = {name: learn_features(signals, config, generator) for name, config in configs.items()}
for name, sae in learned.items():
    print(f"{name:<5} mean max cosine {mean_max_cosine(true, sae.decoder.detach()):.4f}  {measure(sae, signals)}")

# %% [markdown]
# How close the nearest learned direction comes to each true one:

# %%
for name, sae in learned.items():
    plt.hist(cosines(true, sae.decoder.detach()).amax(dim=1).numpy(), bins=40, alpha=0.6, label=name)
plt.xlabel("largest cosine with a learned direction")
plt.ylabel("true features")
plt.legend()
plt.show()
