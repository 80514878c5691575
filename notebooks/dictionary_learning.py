# %% [markdown]
# # Dictionary learning from scratch
#
# Images that mix a few atoms of an unknown dictionary, and K-SVD that finds the atoms again. Runs on a CPU in seconds.

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
import io

import matplotlib.pyplot as plt
import torch

from gpt_from_scratch.models.dictionary.ksvd import KSVDConfig
from gpt_from_scratch.training.train_dictionary import DictionaryConfig, draw, learn

torch.set_num_threads(1)


def show(png: bytes) -> None:
    image = plt.imread(io.BytesIO(png))
    plt.figure(figsize=(image.shape[1] / 100, image.shape[0] / 100))
    plt.imshow(image)
    plt.axis("off")
    plt.show()


# %% [markdown]
# Each sample is an 8 × 8 image: 1 to 3 of 20 atoms, with noise. K-SVD sees 1,500 such images and nothing else. Its atoms
# come in any order and with either sign, so they are matched with the true ones one to one, and signs are aligned.

# %%
config = DictionaryConfig(ksvd=KSVDConfig(iterations=20 if QUICK else 60, restarts=1 if QUICK else 2))
result = learn(config, seed=0)
print(f"{result.score.recovered} of 20 atoms, variance explained {result.score.variance_explained:.4f}")
show(draw(result))

# %% [markdown]
# With 60 images nearly all variance is still explained, and most atoms are wrong: that is why both figures are reported.

# %%
few = learn(DictionaryConfig(n_samples=60, ksvd=config.ksvd), seed=0)
print(f"{few.score.recovered} of 20 atoms, variance explained {few.score.variance_explained:.4f}")
show(draw(few))
