"""The text that a trained model is measured on: that of its own run, the part for validation first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpt_from_scratch.models.checkpoints.checkpoint import MODEL_FOLDER, STATE_FILE
from gpt_from_scratch.models.weight_files import read_json
from gpt_from_scratch.support.command_line.described import build
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer
from gpt_from_scratch.training.data.building import parts_of
from gpt_from_scratch.training.data.config import DataConfig
from gpt_from_scratch.training.data.corpus import documents_of
from gpt_from_scratch.training.data.registry import LIVE
from gpt_from_scratch.training.data.shards import read_index
from gpt_from_scratch.training.data.source import Mixed, Prepared


@dataclass(frozen=True)
class RunTexts:
    """Documents that the model has not been trained on, and more that it has, for where those are few."""

    unseen: Iterable[str]
    seen: Iterable[str] = ()


def data_of(model_folder: Path) -> DataConfig | None:
    """What the run read whose checkpoint has this model/ folder; None for a model that is no run's.

    Raises:
        ValueError: the checkpoint's state is damaged.
    """
    state = model_folder.parent / STATE_FILE
    if model_folder.name != MODEL_FOLDER or not state.is_file():
        return None
    try:
        config = read_json(state).get("config", {})
        data: DataConfig = build(DataConfig, config.get("data", {}) if isinstance(config, dict) else config, "data.")
        return data.of_path()
    except ValueError as error:
        raise ValueError(f"{state}: {error}; --data names a text instead") from error


def texts_of_run(model_folder: Path, tokenizer: Tokenizer) -> RunTexts:
    """The texts of the run that the model came from. What can be made is made anew: no model has seen it.

    Raises:
        ValueError: the model is no run's, so that nothing says what it learned.
        FileNotFoundError: the run's text is not where it was.
    """
    data = data_of(model_folder)
    if data is None:
        raise ValueError(f"{model_folder} does not say what the model was trained on: name a text like it, --data FILE")
    return _texts_of(data, tokenizer)


def _texts_of(data: DataConfig, tokenizer: Tokenizer) -> RunTexts:
    source = LIVE[data.source]
    if (fresh := source.fresh(data)) is not None:
        return RunTexts(fresh)
    try:
        found = source.read(data)
        if isinstance(found, Prepared):
            index = read_index(found.folder)
            if index.tokenizer != tokenizer.fingerprint:
                raise ValueError(
                    f"the shards in {found.folder} are of another tokenizer than the model's: name a text, --data"
                )
            unseen, seen = (
                (
                    tokenizer.decode(tokens.tolist())
                    for part in index.open(split)
                    for tokens in documents_of(part, tokenizer)
                )
                for split in ("validation", "train")
            )
            return RunTexts(unseen, seen)
        if isinstance(found, Mixed):
            parts = [_texts_of(part, tokenizer) for part in parts_of(data, found).values()]
            return RunTexts(_in_turn([part.unseen for part in parts]), _in_turn([part.seen for part in parts]))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"the text that the model was trained on is gone ({error}): name a text, --data"
        ) from error
    return RunTexts(found.validation, found.train)


def _in_turn(several: Sequence[Iterable[str]]) -> Iterator[str]:
    """A text of each in turn, until all have ended."""
    waiting = [iter(texts) for texts in several]
    while waiting:
        for texts in list(waiting):
            if (text := next(texts, None)) is None:
                waiting.remove(texts)
            else:
                yield text


def sequences(texts: Iterable[str], tokenizer: Tokenizer, block_size: int, n_tokens: int) -> list[list[int]]:
    """The texts' tokens, each text begun by the end-of-text token (where there is one), in pieces that fit the context."""
    try:
        start = [tokenizer.eot_token]
    except NoEndOfTextError:
        start = []
    pieces: list[list[int]] = []
    left = n_tokens
    for text in texts:
        tokens = [*start, *tokenizer.encode_ordinary(text)][:left]
        pieces += [tokens[i : i + block_size] for i in range(0, len(tokens), block_size)]
        left -= len(tokens)
        if left <= 0:
            break
    return pieces


def split_sequences(
    texts: RunTexts, tokenizer: Tokenizer, block_size: int, n_tokens: int
) -> tuple[list[list[int]], list[list[int]]]:
    """About `n_tokens` tokens in pieces that fit the context, and of these about a tenth to be held out, from unseen text.

    Where there are few, the pieces are shorter than the context, so that there are ten.

    Raises:
        ValueError: there are too few tokens to learn from some and measure on others.
    """

    def cut(size: int) -> list[list[int]]:
        pieces = sequences(texts.unseen, tokenizer, size, n_tokens)
        if (left := n_tokens - sum(map(len, pieces))) > 0:
            pieces = sequences(texts.seen, tokenizer, size, left) + pieces
        return pieces

    texts = RunTexts(*(_some(part, n_tokens) for part in (texts.unseen, texts.seen)))
    pieces = cut(block_size)
    total = sum(map(len, pieces))
    if len(pieces) < 10:
        pieces = cut(max(2, min(block_size, total // 10)))
    pieces = [piece for piece in pieces if len(piece) > 1]  # alone a token predicts nothing
    # The first token of a piece may be left out, and figures of a variance need two that are left.
    held_out = max(1, len(pieces) // 10)
    while held_out < len(pieces) and sum(len(piece) - 1 for piece in pieces[-held_out:]) < 2:
        held_out += 1
    if held_out >= len(pieces):
        raise ValueError(
            f"{total} tokens are too few to learn from some and measure on others: raise --n-tokens, or give more text"
        )
    return pieces[:-held_out], pieces[-held_out:]


def _some(texts: Iterable[str], n_tokens: int) -> list[str]:
    """RunTexts enough for so many tokens: each has at least one, and one has at most its own number of bytes."""
    found: list[str] = []
    left: Iterator[str] = iter(texts)
    characters = 0
    while characters < 8 * n_tokens and len(found) < n_tokens and (text := next(left, None)) is not None:
        found.append(text)
        characters += len(text)
    return found
