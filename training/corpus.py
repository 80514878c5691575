"""What a run reads: its tokenizer, the samples to train on, the validation set, and how its samples are judged."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from gpt_from_scratch.support.downloads import Progress
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, NoEndOfTextError, Tokenizer, id_dtype
from gpt_from_scratch.training.config import DataConfig
from gpt_from_scratch.training.data.folder import data_folder
from gpt_from_scratch.training.data.loader import TokenData
from gpt_from_scratch.training.data.shakespeare import tiny_shakespeare
from gpt_from_scratch.training.data.text import read_texts, split_texts
from gpt_from_scratch.training.validation import ValidationSet

LEARN_FROM = 3_000_000
"""Characters that a byte pair encoding is learned from; more text hardly changes a small vocabulary."""
PYTHON_IS_QUICKER = 16_000_000
"""Characters of stories, whose few hundred words Python remembers and has encoded before numba is imported."""


PREPARED = {
    "fineweb-edu": "fineweb-edu",
    "tinystories": "tinystories --tokenizer bpe --vocab-size 4096 --pattern tinystories",
}
"""How `prepare` makes the shards that the presets read, by their folder's name."""


@dataclass(frozen=True)
class Corpus:
    """Tokenized data, ready to train on."""

    tokenizer: Tokenizer
    train: TokenData
    validation: ValidationSet
    prompt: list[int]
    """What samples begin with."""
    stories: frozenset[str] | None = field(default=None, repr=False)
    """The training stories, where the text is `stories`: a sample can be judged."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Equal for equal data: a resumed run must see the samples that it would have seen."""
        return {
            "tokenizer": self.tokenizer.fingerprint,
            "samples": self.train.n_samples,
            "tokens": self.train.n_targets,
            "validation_tokens": self.validation.n_targets,
        }

    def judge(self, text: str) -> tuple[bool, bool] | None:
        """Whether a sample is a story that the grammar can write, and whether the training text lacks it; None if unknown."""
        if self.stories is None:
            return None
        from gpt_from_scratch.training.data.stories import parse

        return bool(parse(text)), text not in self.stories


def build_corpus(
    config: DataConfig,
    block_size: int,
    *,
    tokenizer: Tokenizer | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Read, make or download the text, learn the tokenizer unless one is given, and tokenize.

    Raises:
        FileNotFoundError, ValueError, DownloadError: data that is missing, empty, not UTF-8, or too short for the context.
    """
    if config.source == "stories":
        return _stories(config, block_size, tokenizer)
    if config.source == "shards":
        return _shards(config, block_size, tokenizer)
    if config.source == "shakespeare" and config.path is None:
        texts = [tiny_shakespeare(progress=progress)]
    else:
        assert config.path is not None
        texts = read_texts(config.path)
    return _texts(texts, config, block_size, tokenizer)


def make_tokenizer(config: DataConfig, texts: Sequence[str], all_texts: Sequence[str]) -> Tokenizer:
    """The tokenizer that the config asks for, learned from `texts` (a character tokenizer from `all_texts`)."""
    if config.tokenizer == "character":
        from gpt_from_scratch.tokenizer.character import CharacterTokenizer

        return CharacterTokenizer.from_text("".join(all_texts))
    if config.tokenizer == "bpe":
        from gpt_from_scratch.tokenizer.byte_pair_encoding import BytePairEncodingTokenizer

        pattern = "tinystories" if config.source == "stories" else "gpt2"
        text = END_OF_TEXT.join(texts)[:LEARN_FROM]
        return BytePairEncodingTokenizer.from_text(text, config.vocab_size, pattern=pattern)
    if config.tokenizer == "gpt2":
        from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer

        return TiktokenTokenizer.from_name("gpt2")
    if not Path(config.tokenizer).exists():
        raise ValueError(
            f"data.tokenizer is {config.tokenizer!r}: expected bpe, character, gpt2, or the path of a tokenizer file"
        )
    return load_tokenizer(config.tokenizer)


def _stories(config: DataConfig, block_size: int, tokenizer: Tokenizer | None) -> Corpus:
    from gpt_from_scratch.tokenizer.byte_pair_encoding import BytePairEncodingTokenizer
    from gpt_from_scratch.training.data.stories import TRAIN_SEED, VALIDATION_SEED, floor_nats, stories

    texts = [made.text for made in stories(TRAIN_SEED, range(config.n_stories))]
    validation = [made.text for made in stories(VALIDATION_SEED, range(config.n_validation))]
    floor = floor_nats(VALIDATION_SEED, range(config.n_validation))
    if tokenizer is None:
        tokenizer = make_tokenizer(config, texts, [*texts, *validation])
    eot = tokenizer.eot_token
    if isinstance(tokenizer, BytePairEncodingTokenizer) and sum(map(len, texts)) < PYTHON_IS_QUICKER:
        tokenizer.backend = "python"
    documents, held_out = _each(texts, tokenizer), _each(validation, tokenizer)
    return Corpus(
        tokenizer,
        TokenData.from_documents(documents, block_size, eot_token=eot),
        ValidationSet.of_documents(held_out, eot, sum(len(text.encode()) for text in validation), floor),
        prompt=[eot],
        stories=frozenset(texts),
    )


def _texts(texts: Sequence[str], config: DataConfig, block_size: int, tokenizer: Tokenizer | None) -> Corpus:
    train, validation = split_texts(texts, 1 - config.validation_fraction)
    if not validation:
        raise ValueError(
            f"the last {config.validation_fraction:.0%} of the text, for validation, are empty: give more text"
        )
    if tokenizer is None:
        tokenizer = make_tokenizer(config, train, texts)
    tokens = _joined(train, tokenizer)
    held_out = _joined(validation, tokenizer)
    prompt = tokenizer.encode_ordinary("\n" if "\n" in train[0] else train[0][0])
    return Corpus(
        tokenizer,
        TokenData.from_tokens(tokens, block_size),
        ValidationSet.of_windows(held_out, block_size, sum(len(text.encode()) for text in validation)),
        prompt=prompt,
    )


def _shards(config: DataConfig, block_size: int, tokenizer: Tokenizer | None) -> Corpus:
    from gpt_from_scratch.training.data.shards import read_index

    assert config.path is not None
    try:
        index = read_index(config.path)
    except FileNotFoundError as error:
        if (command := PREPARED.get(config.path.name)) is None:
            raise
        elsewhere = "" if config.path.parent == data_folder() else f" --out {config.path}"
        raise FileNotFoundError(
            f"{config.path} holds no shards yet. Make them once:\n"
            f"  python -m gpt_from_scratch.training.prepare {command}{elsewhere}"
        ) from error
    if tokenizer is None:
        tokenizer = load_tokenizer(index.folder)
    if tokenizer.fingerprint != index.tokenizer:
        raise ValueError(
            f"the shards in {index.folder} were made with another tokenizer (fingerprint {index.tokenizer[:12]}…, this one has "
            f"{tokenizer.fingerprint[:12]}…): prepare the data again with this tokenizer, or use theirs"
        )
    validation = np.concatenate(index.open("validation"))
    lengths = np.array([len(tokenizer.decode_bytes([token])) for token in range(tokenizer.n_vocab)])
    return Corpus(
        tokenizer,
        TokenData.from_tokens(index.open("train"), block_size),
        ValidationSet.of_windows(validation, block_size, int(lengths[validation].sum())),
        prompt=[tokenizer.eot_token],
    )


def _each(texts: Sequence[str], tokenizer: Tokenizer) -> list[Integer[np.ndarray, " _"]]:
    """The tokens of each text; those that can encode many texts at once do, which for short ones is several times as fast."""
    together = getattr(tokenizer, "encode_batch", None)
    if together is None:
        return [tokenizer.encode_to_numpy(text) for text in texts]
    return [np.array(ids, dtype=id_dtype(tokenizer.n_vocab)) for ids in together(texts, disallowed_special=())]


def _joined(texts: Sequence[str], tokenizer: Tokenizer) -> Integer[np.ndarray, " n"]:
    """The tokens of all texts in a row, an end-of-text token between two."""
    pieces = []
    for index, text in enumerate(texts):
        if index:
            with contextlib.suppress(NoEndOfTextError):
                pieces.append(np.array([tokenizer.eot_token]))
        pieces.append(tokenizer.encode_to_numpy(text))
    return np.concatenate(pieces)
