"""The work of `gpt attention`: draw attention maps of a trained model."""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("draw_attention", "gpt_from_scratch.training.commands.attention:main")


import itertools
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor

from gpt_from_scratch.models.attention_habits import Habit, habits, most_telling
from gpt_from_scratch.models.attention_maps import attention_maps
from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.support.storage.files import ensure_folder, write_bytes
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.training.commands.attention import AttentionConfig as AttentionConfig
from gpt_from_scratch.training.drawing import outside, plain_text, png
from gpt_from_scratch.training.generate import beginning, learned_documents
from gpt_from_scratch.training.results_folder import check_place

PICTURE_FILE = "attention.png"
LONGEST = 64  # maximum number of tokens whose labels remain readable


def draw(maps: Float[Tensor, "layer h t t"], labels: list[str], heads: Sequence[Habit]) -> bytes:
    """Draw the maps of some heads, labelled with the tokens and described in a sentence, as a PNG.

    Args:
        labels: what the tokens are called.
        heads: which heads are drawn, in this order.
    """
    with plain_text():
        return png(_figure(maps, labels, heads))


def _figure(maps: Float[Tensor, "layer h t t"], labels: list[str], heads: Sequence[Habit]) -> Figure:
    t = len(labels)
    later = torch.ones(t, t, dtype=torch.bool).triu(1)
    columns = min(len(heads), 2 if len(heads) <= 4 else maps.shape[1])
    rows = math.ceil(len(heads) / columns)
    side = max(4.2, 0.15 * t)
    figure = Figure(figsize=(columns * (side + 0.9) + 1.0, rows * (side + 1.2)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes, habit in itertools.zip_longest(grid, heads):
        if habit is None:
            axes.set_visible(False)
            continue
        # The root of the weights, so that faint ones are seen, too.
        seen = maps[habit.layer, habit.head].masked_fill(later, math.nan)  # what comes later stays blank
        drawn = axes.imshow(seen.numpy(), cmap="magma", norm=PowerNorm(0.5, 0, 1))
        axes.set_title(f"layer {habit.layer}, head {habit.head}\n{habit.sentence}", fontsize=9)
        axes.set_yticks(range(t), labels, fontsize=6.5)
        axes.set_xticks(range(t), labels, fontsize=6.5, rotation=90)
        axes.tick_params(length=0)
        axes.set_ylabel("the token that looks", fontsize=8)
        axes.set_xlabel("the token that is looked at", fontsize=8)
    scale = figure.colorbar(drawn, ax=figure.axes, label="share of a row's attention", fraction=0.03, aspect=40)
    scale.set_ticks([0, 0.02, 0.1, 0.25, 0.5, 0.75, 1], labels=["0", "2 %", "10 %", "25 %", "50 %", "75 %", "all"])
    return figure


def run(config: AttentionConfig) -> Path:
    """Load the model, run it on the text, and draw.

    Raises:
        FileNotFoundError, ValueError: there is no model, or the text is too long or cannot be encoded.
    """
    check_place(config.out)
    opened = open_model(config.source, device="cpu", warn=lambda message: print(visible(message), file=sys.stderr))
    model, tokenizer = opened.model, opened.tokenizer
    tokens, _ = beginning(tokenizer, config.text, learned_documents(opened.folder))
    limit = min(LONGEST, model.config.block_size)
    if len(tokens) > limit:
        raise ValueError(f"the text has {len(tokens)} tokens, the picture takes {limit}: give a shorter --text")
    labels = [outside(tokenizer.decode([token])) for token in tokens]
    ensure_folder(config.out)
    maps = attention_maps(model, tokens)
    heads = habits(maps, tokens)
    write_bytes(
        config.out / PICTURE_FILE, draw(maps, labels, most_telling(heads, config.heads) if config.heads else heads)
    )
    return config.out / PICTURE_FILE
