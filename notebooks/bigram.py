# %% [markdown]
# # From bigram to transformer
#
# One character model that grows by stages, and what each stage is worth. In full size some minutes on a CPU.

# %%
# ruff: noqa: E402 (the package may have to be installed first)
import importlib.util
import os
import subprocess
import sys

REPO = os.environ.get("REPO", "")  # the address of a git repository; empty: the checkout that this notebook lies in
if importlib.util.find_spec("gpt_from_scratch") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", f"git+{REPO}" if REPO else ".."], check=True)

QUICK = bool(os.environ.get("NOTEBOOK_QUICK"))  # a reduced size and a text made here, for tests

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import torch

from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.models.bigram import ADDS, STAGES
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.training.bigram.loop import PRESETS, train
from gpt_from_scratch.training.data.reading.texts import split_texts
from gpt_from_scratch.training.data.sources.shakespeare import tiny_shakespeare

torch.set_num_threads(1)
config = PRESETS["small"] if not QUICK else replace(PRESETS["small"], steps=20, eval_every=10)
text = "The quick brown fox jumps over the lazy dog. " * 60 if QUICK else tiny_shakespeare()
tokenizer = CharacterTokenizer.from_text(text)
splits = ["".join(part) for part in split_texts([text])]
training, validation = (torch.from_numpy(tokenizer.encode_to_numpy(part)).long() for part in splits)

# %% [markdown]
# Every stage keeps what the stages before it have and adds one thing.

# %%
losses = []
with use_backend(config.backend):
    for stage in STAGES:
        run = train(config, stage, training, validation, tokenizer.n_vocab)
        losses.append(run.best.validation)
        print(f"{stage:<12} {ADDS[stage]:<26} {run.parameters:>7,} parameters  validation {losses[-1]:.4f}")

# %%
plt.barh(range(len(STAGES)), losses)
plt.yticks(range(len(STAGES)), STAGES)
plt.gca().invert_yaxis()
plt.xlabel("validation loss, nats per character")
plt.show()

# %% [markdown]
# What the last stage writes:

# %%
start = torch.zeros(1, 1, dtype=torch.int64)
written = run.model.eval().generate(start, 50 if QUICK else 500, torch.Generator().manual_seed(0))
print(tokenizer.decode(written[0].tolist()))
