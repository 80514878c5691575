"""Text for measurements on a trained model, from its own run: unseen text first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpt_from_scratch.models.checkpoints.checkpoint import MODEL_FOLDER, STATE_FILE
from gpt_from_scratch.models.weight_files import read_json
from gpt_from_scratch.support.command_line.described import build
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer
from gpt_from_scratch.training.data.building import parts_of
from gpt_from_scratch.training.data.chats import as_texts
from gpt_from_scratch.training.data.config import DataConfig
from gpt_from_scratch.training.data.corpus import documents_of
from gpt_from_scratch.training.data.registry import LIVE
from gpt_from_scratch.training.data.shards import read_index
from gpt_from_scratch.training.data.source import Conversations, Mixed, Prepared


@dataclass(frozen=True)
class RunTexts:
    """Documents that the model was not trained on, and, in case they are too few, documents that it was trained on."""

    unseen: Iterable[str]
    seen: Iterable[str] = ()


def data_of(model_folder: Path) -> DataConfig | None:
    """Data settings of the run whose checkpoint has this model/ folder; None for a model without a run.

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
    """Texts of the model's run. Text that the source can generate is generated anew, so that it is unseen.

    Raises:
        ValueError: the model belongs to no run, so its training data is unknown.
        FileNotFoundError: the run's text no longer exists.
    """
    data = data_of(model_folder)
    if data is None:
        raise ValueError(
            f"{model_folder} does not say what the model was trained on: name a similar text with --data FILE"
        )
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
                    f"the shards in {found.folder} were made with another tokenizer than the model's: name a text with "
                    "--data"
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
            f"the text that the model was trained on no longer exists ({error}): name a text with --data"
        ) from error
    texts = as_texts(found) if isinstance(found, Conversations) else found
    return RunTexts(texts.validation, texts.train)


def _in_turn(several: Sequence[Iterable[str]]) -> Iterator[str]:
    """Take one text from each in turn, until all have ended."""
    waiting = [iter(texts) for texts in several]
    while waiting:
        for texts in list(waiting):
            if (text := next(texts, None)) is None:
                waiting.remove(texts)
            else:
                yield text


def sequences(texts: Iterable[str], tokenizer: Tokenizer, block_size: int, n_tokens: int) -> list[list[int]]:
    """Tokens of the texts in pieces that fit the context. Each text starts with the end-of-text token, if there is one."""
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
    """About `n_tokens` tokens in pieces that fit the context, of which about a tenth is held out.

    The held-out part is unseen text. If there are few tokens, the pieces are shorter than the context, so that there are
    ten.

    Raises:
        ValueError: there are too few tokens for learning and measuring.
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
    pieces = [piece for piece in pieces if len(piece) > 1]  # a single token predicts nothing
    # The first token of a piece may be left out, and figures of a variance need two that are left.
    held_out = max(1, len(pieces) // 10)
    while held_out < len(pieces) and sum(len(piece) - 1 for piece in pieces[-held_out:]) < 2:
        held_out += 1
    if held_out >= len(pieces):
        raise ValueError(f"{total} tokens are too few for learning and measuring: raise --n-tokens, or give more text")
    return pieces[:-held_out], pieces[-held_out:]


def _some(texts: Iterable[str], n_tokens: int) -> list[str]:
    """RunEnough texts for `n_tokens` tokens: a text has at least one token, and at most one per byte."""
    found: list[str] = []
    left: Iterator[str] = iter(texts)
    characters = 0
    while characters < 8 * n_tokens and len(found) < n_tokens and (text := next(left, None)) is not None:
        found.append(text)
        characters += len(text)
    return found
