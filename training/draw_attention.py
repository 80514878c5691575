"""Draw where each head of a trained model looks."""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("draw_attention", "gpt_from_scratch.training.commands.attention:main")


import sys
from pathlib import Path

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from gpt_from_scratch.models.attention_maps import attention_maps
from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.support.storage.files import ensure_folder, write_bytes
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.training.commands.attention import AttentionConfig as AttentionConfig
from gpt_from_scratch.training.drawing import outside, plain_text, png
from gpt_from_scratch.training.generate import beginning, learned_documents
from gpt_from_scratch.training.results_folder import check_place

PICTURE_FILE = "attention.png"
LONGEST = 64  # tokens whose labels can still be told apart


def draw(maps: Float[Tensor, "layer h t t"], labels: list[str]) -> bytes:
    """The maps as a grid of squares, a layer a row, with the tokens beside them; a PNG."""
    with plain_text():
        return png(_figure(maps, labels))


def _figure(maps: Float[Tensor, "layer h t t"], labels: list[str]) -> Figure:
    layers, heads, t, _ = maps.shape
    side = max(1.6, 0.11 * t)
    figure = Figure(figsize=(heads * side + 1.2, layers * side + 1.2), layout="constrained")
    grid = figure.subplots(layers, heads, squeeze=False)
    for layer in range(layers):
        for head in range(heads):
            axes = grid[layer][head]
            faint_too = maps[layer, head].sqrt()
            axes.imshow(faint_too.numpy(), cmap="magma", vmin=0, vmax=1)
            axes.set_title(f"layer {layer}, head {head}", fontsize=8)
            axes.set_yticks(range(t), labels if head == 0 else [""] * t, fontsize=6)
            axes.set_xticks(range(t), labels if layer == layers - 1 else [""] * t, fontsize=6, rotation=90)
            axes.tick_params(length=0)
    return figure


def run(config: AttentionConfig) -> Path:
    """Load the model, let it read the text, draw.

    Raises:
        FileNotFoundError, ValueError: no model there, a text that is too long or cannot be encoded.
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
    write_bytes(config.out / PICTURE_FILE, draw(attention_maps(model, tokens), labels))
    return config.out / PICTURE_FILE
