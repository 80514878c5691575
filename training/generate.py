"""The work of `gpt generate`: generate text with a trained model."""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("generate", "gpt_from_scratch.training.commands.generate:main")


import codecs
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from gpt_from_scratch.kernels.choices import resolve, use_backend
from gpt_from_scratch.models.checkpoints.checkpoint import MODEL_FOLDER, STATE_FILE
from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.models.generation.engine import stream
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.models.weight_files import read_json
from gpt_from_scratch.support.devices import choose_device, multiplies_bf16
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer
from gpt_from_scratch.training.commands.generate import GenerateConfig as GenerateConfig
from gpt_from_scratch.training.data.registry import LIVE

CHECKPOINTS = "checkpoints"


def learned_documents(folder: Path | None) -> bool:
    """Whether the model in `folder` learned documents, each after an end-of-text token, and not one running text.

    Its checkpoint's state says so. A model without a checkpoint is assumed to have learned documents, as GPT-2 has.
    """
    if folder is None or folder.name != MODEL_FOLDER or not (state := folder.parent / STATE_FILE).is_file():
        return True
    config = read_json(state).get("config")
    data = config.get("data") if isinstance(config, dict) else None
    source = LIVE.get(str(data.get("source"))) if isinstance(data, dict) else None
    return source is None or not source.running_text


def beginning(tokenizer: Tokenizer, prompt: str, documents: bool = True) -> tuple[list[int], tuple[int, ...]]:
    """The tokens at the beginning of a text, and those that end it.

    Args:
        tokenizer: The model's.
        prompt: May be empty: a document then begins with the end-of-text token alone, and running text with a line break.
        documents: Whether an end-of-text token preceded each text that the model learned.

    Raises:
        ValueError: The tokenizer cannot encode the prompt, or an empty one.
    """
    try:
        end = [tokenizer.eot_token]
    except NoEndOfTextError:
        end = []
    begin = end if documents else []
    if not begin and not prompt:
        try:
            return tokenizer.encode_ordinary("\n"), tuple(end)
        except ValueError:
            raise ValueError(
                "this model's tokenizer has no end-of-text token or line break to start with: give a --prompt"
            ) from None
    return [*begin, *tokenizer.encode_ordinary(prompt)], tuple(end)


def write(
    model: GPT, tokenizer: Tokenizer, prompt: list[int], max_new_tokens: int, sampling: Sampling
) -> Iterator[str]:
    """Generate the text after a prompt, in pieces of whole characters. Control characters are not yet escaped."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")  # a character may span several tokens
    for new in stream(model, [prompt], max_new_tokens, sampling, n_vocab=tokenizer.n_vocab):
        if new.token not in sampling.stop_tokens:
            yield decoder.decode(tokenizer.decode_bytes([new.token]))
    yield decoder.decode(b"", final=True)


def run(config: GenerateConfig, warn: Callable[[str], None]) -> None:
    """Load the model, and print the texts while they are generated.

    Raises:
        FileNotFoundError, ValueError: the source, the prompt, the device or the backend is invalid.
    """
    device = choose_device(config.device)
    opened = open_model(config.source, device=str(device), ema=config.ema, warn=warn)
    model, tokenizer = opened.model, opened.tokenizer
    if config.dtype == "bf16" or (config.dtype == "auto" and multiplies_bf16(device)):
        model = model.to(torch.bfloat16)
    prompt, stop = beginning(tokenizer, config.prompt, learned_documents(opened.folder))
    if config.backend is not None:
        try:
            resolve(config.backend, device)
        except RuntimeError as error:
            raise ValueError(f"--backend {config.backend}: {error}") from error
    with use_backend(config.backend or {}):
        print_texts(config, model, tokenizer, prompt, stop)


def print_texts(
    config: GenerateConfig, model: GPT, tokenizer: Tokenizer, prompt: list[int], stop: tuple[int, ...]
) -> None:
    """Print each text while it is generated."""
    first = Sampling(config.temperature, config.top_k, config.top_p, config.seed, stop)
    for number in range(config.num):
        sampling = first.for_row(number)
        if config.num > 1:
            print(f"{'' if number == 0 else chr(10)}--- {number + 1} of {config.num}, seed {sampling.seed}")
        print(visible(config.prompt), end="", flush=True)
        for piece in write(model, tokenizer, prompt, config.max_new_tokens, sampling):
            print(visible(piece), end="", flush=True)
        print(flush=True)
