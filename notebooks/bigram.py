# %% [markdown]
# # From bigram to transformer
#
# A language model gives each possible next character a probability. The simplest one is a table: after `t` comes `h` so and so
# often. This notebook begins with that table and adds one part at a time, until the table has become a GPT. After each part
# it measures what the part was worth.
#
# It needs no network and takes less than a minute on a CPU.

# %%
# ruff: noqa: E402 (the package may have to be installed first)
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
# ## A text, and a way to judge
#
# The text is a thousand little stories, which the package makes itself. Each character is one token. The last tenth of the
# text is for validation: no model learns from it.
#
# A model is judged by its **loss**: the mean of −ln *p*, where *p* is the probability that it gave to the character that
# came. The unit is the nat. A model that knows nothing gives every character the same probability, and its loss is ln of
# their number. A model that is always right would have loss 0.

# %%
import math

import matplotlib.pyplot as plt
import torch

from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.training.data.stories import stories

torch.set_num_threads(1)
text = "\n\n".join(story.text for story in stories(0, range(1_000)))
tokenizer = CharacterTokenizer.from_text(text)
ids = torch.from_numpy(tokenizer.encode_to_numpy(text)).long()
training, validation = ids[: len(ids) * 9 // 10], ids[len(ids) * 9 // 10 :]
size = tokenizer.n_vocab

print(text[:180], "...\n")
print(f"{len(training):,} characters to learn from, {len(validation):,} to validate on")
print(f"{size} different ones: who knows nothing has a loss of ln {size} = {math.log(size):.3f}")

# %% [markdown]
# ## A table, by counting
#
# How often does each character follow each other one? The counts, divided by their sum, are probabilities. One is added to
# each count, so that a pair that never came is not impossible: its loss would be infinite.

# %%
counts = torch.ones(size, size)
counts.index_put_((training[:-1], training[1:]), torch.ones(len(training) - 1), accumulate=True)
table = counts / counts.sum(dim=1, keepdim=True)

for character in "qte.":
    row = table[tokenizer.encode_ordinary(character)[0]]
    best = row.topk(4)
    after = ", ".join(
        f"{tokenizer.decode([i])!r} {p:.0%}" for p, i in zip(best.values, best.indices.tolist(), strict=True)
    )
    print(f"after {character!r}: {after}")
counted = -table[validation[:-1], validation[1:]].log().mean().item()
print(f"\nloss of the counted table: {counted:.3f} nats per character")

# %%
plt.figure(figsize=(5, 4))
shown = [tokenizer.encode_ordinary(c)[0] for c in " aehinorstu.,"]
plt.imshow(table[shown][:, shown], cmap="magma", vmin=0)
labels = [repr(tokenizer.decode([i]))[1:-1].replace(" ", "␣") for i in shown]
plt.xticks(range(len(shown)), labels)
plt.yticks(range(len(shown)), labels)
plt.xlabel("the next character")
plt.ylabel("the character before")
plt.colorbar(label="probability")
plt.show()

# %% [markdown]
# ## The same table, learned, and eight parts more
#
# The first stage learns such a table by gradient descent. Each stage after it keeps what the stages before it have, and adds
# one thing:
#
# | stage | adds | why it should help |
# |---|---|---|
# | bigram | a table of logits | it knows which characters follow each other |
# | position | position embeddings | it knows where in the context it stands; alone, that says little |
# | head | one head of attention | it can look back at all characters of the context |
# | multi-head | several smaller heads | it can look for several things at once |
# | feed-forward | a layer for each token | it can think about what it has gathered |
# | blocks | both, several times | more of the same; but the gradient has to pass through all of it |
# | residual | a stream to add to | each layer adds to its input, so the gradient passes by |
# | layernorm | a norm before each layer | all layers see numbers of one size |
# | dropout | noise in the stream | against over-fitting, which a short run like this one has none of |
#
# Two of them make it worse here; look for them. 400 steps a stage are few: `docs/bigram.md` has the figures of 10,000.

# %%
from dataclasses import replace

from gpt_from_scratch.kernels import use_backend
from gpt_from_scratch.models.bigram import ADDS, STAGES
from gpt_from_scratch.training.bigram.loop import PRESETS, train

small = PRESETS["small"]
fast = replace(small.optimizer, lr=1e-2), replace(small.schedule, warmup_steps=40)  # for so few steps
config = replace(small, steps=400, eval_every=400, optimizer=fast[0], schedule=fast[1])
runs = {}
with use_backend(config.backend):
    for stage in STAGES:
        runs[stage] = train(config, stage, training, validation, size)
        print(
            f"{stage:<12} {ADDS[stage]:<26} {runs[stage].parameters:>6,} parameters   loss {runs[stage].best.validation:.2f}"
        )

# %%
losses = [runs[stage].best.validation for stage in STAGES]
plt.figure(figsize=(7, 3.6))
plt.barh(range(len(STAGES)), losses, color="#2f7fc1")
plt.axvline(counted, color="#8a949c", linestyle="--", label=f"the counted table, {counted:.2f}")
for place, loss in enumerate(losses):
    plt.text(0.05, place, f"{loss:.2f}", va="center", fontsize=9, color="white", weight="bold")
plt.yticks(range(len(STAGES)), STAGES)
plt.gca().invert_yaxis()
plt.xlabel("validation loss, nats per character")
plt.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
plt.show()

# %% [markdown]
# ## What to see
#
# - The learned table comes near the counted one, and would reach it with more steps: it is the same model.
# - Attention breaks the table's limit, since a character now depends on all that stand before it in the context. Four heads
#   with the same number of parameters are better than one.
# - **blocks gets worse.** It has more layers than the stage before it, and learns less from them: the gradient has to pass
#   through every layer, and becomes small on the way.
# - `residual` mends that. Each layer now adds to its input, so there is a way around it. This is the largest step of all.
# - `layernorm` and `dropout` cost a little here. They are for models that are deeper and runs that are longer than this one.
#
# What two of the stages write, each character drawn from the probabilities that the model gives:

# %% tags=["nbval-ignore-output"]
for stage in ("bigram", "residual"):
    start = torch.zeros(1, 1, dtype=torch.int64)
    written = runs[stage].model.eval().generate(start, 240, torch.Generator().manual_seed(0))
    print(f"--- {stage}\n{tokenizer.decode(written[0].tolist()).strip()}\n")

# %% [markdown]
# ## Go on
#
# - Set `steps` to 2,000 and run the stages again. Does the order change?
# - Take your own text in the second cell: `text = open("mine.txt").read()`.
# - `gpt learn bigram --preset large` trains the last stage with 4.8 million parameters.
# - `gpt train` trains a GPT on tokens of several characters, as GPT-2 has them.
