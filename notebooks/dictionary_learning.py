# %% [markdown]
# # Dictionary learning from scratch
#
# Many signals are sums of a few parts out of a larger set: a chord of a few notes, an image of a few strokes. The set is a
# **dictionary**, its members are **atoms**. Dictionary learning sees the signals alone, and finds the atoms.
#
# Here the dictionary is known to us, and not to the method, so what it finds can be checked. It takes a few seconds on a CPU.

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
# ## The task
#
# There are 20 atoms, each an image of 8 × 8. Each signal is a sum of 1 to 3 of them with random weights, and some noise.
# **K-SVD** (Aharon, Elad & Bruckstein 2006) takes two steps in turn:
#
# 1. *Code:* for each signal, choose the few atoms that explain it best, one after another (orthogonal matching pursuit).
# 2. *Update:* for each atom, take the signals that use it, and make the atom the best single direction for what the other
#    atoms leave unexplained. That is the first singular vector of a small matrix: hence the name.
#
# The atoms come in any order and with either sign. So they are matched with the true ones, one to one, before they are
# compared. An atom counts as recovered when its cosine with the true one is at least 0.99.

# %%
import io

import matplotlib.pyplot as plt
import torch

from gpt_from_scratch.models.dictionary.ksvd import KSVDConfig
from gpt_from_scratch.training.train_dictionary import DictionaryConfig, draw, learn

torch.set_num_threads(1)


def show(png: bytes) -> None:
    """Draw the picture that `draw` makes of a result."""
    image = plt.imread(io.BytesIO(png))
    plt.figure(figsize=(image.shape[1] / 120, image.shape[0] / 120))
    plt.imshow(image)
    plt.axis("off")
    plt.show()


config = DictionaryConfig(ksvd=KSVDConfig(iterations=40, restarts=1))
result = learn(config, seed=0)
print(f"{result.score.recovered} of 20 atoms recovered, variance explained {result.score.variance_explained:.4f}")
show(draw(result))

# %% [markdown]
# ## Why two figures
#
# The *variance explained* says how well the signals are rebuilt. It does not say that the atoms are the right ones. With 60
# signals instead of 1,500 there is too little to learn from:

# %%
few = learn(DictionaryConfig(n_samples=60, ksvd=config.ksvd), seed=0)
print(f"{few.score.recovered} of 20 atoms recovered, variance explained {few.score.variance_explained:.4f}")
show(draw(few))

# %% [markdown]
# Nearly all variance is explained, and most atoms are wrong. A method that is judged by reconstruction alone would have
# passed. Whoever looks for the features of a trained network has the same trouble, without the true atoms to compare with:
# the notebook `sparse_autoencoder` goes on from here.
#
# ## Go on
#
# - How many signals does it take? Try `n_samples=200` and `n_samples=400`.
# - `gpt learn dictionary --help` has the noise, the number of atoms and the sparsity as options.
