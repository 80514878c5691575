"""What a run reads: its tokenizer, the samples to train on, the validation set, and how its samples are judged."""

import contextlib
import dataclasses
import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from gpt_from_scratch.evals.scoring.bits_per_byte import before_text, counted_bytes
from gpt_from_scratch.support.command_line.invocation import gpt
from gpt_from_scratch.support.storage.downloads import Progress
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, NoEndOfTextError, Tokenizer, id_dtype
from gpt_from_scratch.training.config import DataConfig
from gpt_from_scratch.training.data.data_folder import data_folder
from gpt_from_scratch.training.data.loader import TokenData
from gpt_from_scratch.training.data.shards import Index, read_index
from gpt_from_scratch.training.data.sources.shakespeare import N_CHARACTERS, is_downloaded, tiny_shakespeare
from gpt_from_scratch.training.data.sources.text import read_texts, split_texts
from gpt_from_scratch.training.data.validation_set import ValidationSet

LEARN_FROM = 3_000_000
"""Characters that a byte pair encoding is learned from; more text hardly changes a small vocabulary."""
ENOUGH_STORIES = 1000
"""Stories that have enough pairs to merge for a vocabulary of a few thousand."""
AT_ONCE = 1 << 20
"""Tokens that are hashed at a time."""
PYTHON_IS_QUICKER = 16_000_000
"""Characters of stories, whose few hundred words Python remembers and has encoded before numba is imported."""


@dataclass(frozen=True)
class Recipe:
    """How `prepare` makes shards, and the ids that their tokenizer will have."""

    command: str
    n_vocab: int


GPT2_VOCABULARY = 50_257
PREPARED = {
    "fineweb-edu": Recipe("fineweb-edu", GPT2_VOCABULARY),
    "tinystories": Recipe("tinystories --tokenizer bpe --vocab-size 4096 --pattern tinystories", 4096),
}
"""The shards that the presets read, by their folder's name."""


@dataclass(frozen=True)
class Corpus:
    """Tokenized data, ready to train on."""

    tokenizer: Tokenizer
    train: TokenData
    validation: ValidationSet
    prompt: list[int]
    """What samples begin with."""
    validation_tokens: int
    """Tokens of the validation text but the first, ends of documents included: part of what tells data apart."""
    content: str
    """SHA-256 of all tokens in their order, or of the shards' own: other data of the same length have another."""
    stories: frozenset[str] | None = field(default=None, repr=False)
    """The training stories, where the text is `stories`: a sample can be judged."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Equal for equal data: a resumed run must see the samples that it would have seen."""
        return {
            "tokenizer": self.tokenizer.fingerprint,
            "samples": self.train.n_samples,
            "tokens": self.train.n_targets,
            "validation_tokens": self.validation_tokens,
            "content": self.content,
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
    if config.source == "shards":
        return _shards(config, block_size, tokenizer)
    train, validation = read_split(config, progress=progress)
    if tokenizer is None:
        tokenizer = make_tokenizer(config, train, [*train, *validation])
    if config.source == "stories":
        return _stories(train, validation, block_size, tokenizer)
    return _texts(train, validation, block_size, tokenizer)


def read_split(config: DataConfig, *, progress: Progress | None = None) -> tuple[list[str], list[str]]:
    """The texts to train on and those to validate on, made, downloaded or read; any source but shards.

    Raises:
        FileNotFoundError, ValueError, DownloadError: as `build_corpus`.
    """
    if config.source == "stories":
        from gpt_from_scratch.training.data.stories import TRAIN_SEED, VALIDATION_SEED, stories

        return (
            [made.text for made in stories(TRAIN_SEED, range(config.n_stories))],
            [made.text for made in stories(VALIDATION_SEED, range(config.n_validation))],
        )
    if config.source == "shakespeare" and config.path is None:
        texts = [tiny_shakespeare(progress=progress)]
    else:
        assert config.path is not None
        texts = read_texts(config.path)
    train, validation = split_texts(texts, 1 - config.validation_fraction)
    if not validation:
        raise ValueError(
            f"the last {config.validation_fraction:.0%} of the text, for validation, are empty: give more text"
        )
    return train, validation


def vocabulary(config: DataConfig) -> int:
    """The ids that the tokenizer of a run on this data will have; it is learned here where that decides it.

    What is not on this machine yet is known by what it will be: Tiny Shakespeare, and the shards of the presets.

    Raises:
        FileNotFoundError, ValueError: as `build_corpus`.
    """
    if config.source == "shards":
        assert config.path is not None
        if config.path.name in PREPARED and not config.path.exists():
            return PREPARED[config.path.name].n_vocab
        return _index(config.path).n_vocab
    if config.tokenizer == "gpt2":
        return GPT2_VOCABULARY
    if config.tokenizer not in ("bpe", "character"):
        return make_tokenizer(config, [], []).n_vocab
    if config.source == "shakespeare" and config.path is None and not is_downloaded():
        return N_CHARACTERS + 1 if config.tokenizer == "character" else config.vocab_size
    few = dataclasses.replace(config, n_stories=min(config.n_stories, ENOUGH_STORIES), n_validation=1)
    if config.tokenizer == "bpe" and config.source == "stories" and few.n_stories < config.n_stories:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of too few pairs: all stories may have more
            found = make_tokenizer(config, read_split(few)[0], []).n_vocab
        if found == config.vocab_size:  # more stories have no fewer pairs to merge
            return found
    train, validation = read_split(config)
    return make_tokenizer(config, train, [*train, *validation]).n_vocab


def make_tokenizer(config: DataConfig, texts: Sequence[str], all_texts: Sequence[str]) -> Tokenizer:
    """The tokenizer that the config asks for, learned from `texts` (a character tokenizer from `all_texts`)."""
    if config.tokenizer == "character":
        from gpt_from_scratch.tokenizer.character import CharacterTokenizer

        return CharacterTokenizer.from_text("".join(all_texts))
    if config.tokenizer == "bpe":
        from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer

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


def _stories(texts: Sequence[str], validation: Sequence[str], block_size: int, tokenizer: Tokenizer) -> Corpus:
    from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
    from gpt_from_scratch.training.data.stories import VALIDATION_SEED, floor_nats

    floor = floor_nats(VALIDATION_SEED, range(len(validation)))
    eot = tokenizer.eot_token
    if isinstance(tokenizer, BytePairEncodingTokenizer) and sum(map(len, texts)) < PYTHON_IS_QUICKER:
        tokenizer.backend = "python"
    documents, held_out = _each(texts, tokenizer), _each(validation, tokenizer)
    return Corpus(
        tokenizer,
        TokenData.from_documents(documents, block_size, eot_token=eot),
        ValidationSet.of_documents(
            held_out, eot, sum(len(text.encode()) for text in validation), floor, block_size=block_size
        ),
        prompt=[eot],
        validation_tokens=sum(len(document) + 1 for document in held_out),
        content=sha256_of(documents, held_out),
        stories=frozenset(texts),
    )


def _texts(train: Sequence[str], validation: Sequence[str], block_size: int, tokenizer: Tokenizer) -> Corpus:
    tokens = _joined(train, tokenizer)
    held_out, before = _each(validation, tokenizer), before_text(tokenizer)
    prompt = tokenizer.encode_ordinary("\n" if "\n" in train[0] else train[0][0])
    return Corpus(
        tokenizer,
        TokenData.from_tokens(tokens, block_size),
        ValidationSet.of_texts(
            held_out,
            before,
            block_size,
            sum(counted_bytes(tokenizer, text, int(ids[0])) for text, ids in zip(validation, held_out, strict=True)),
        ),
        prompt=prompt,
        validation_tokens=sum(map(len, held_out)) + len(before) * (len(held_out) - 1) - 1,
        content=sha256_of([tokens], held_out),
    )


def _shards(config: DataConfig, block_size: int, tokenizer: Tokenizer | None) -> Corpus:
    assert config.path is not None
    index = _index(config.path)
    if tokenizer is None:
        tokenizer = load_tokenizer(index.folder)
    if tokenizer.fingerprint != index.tokenizer:
        raise ValueError(
            f"the shards in {index.folder} were made with another tokenizer (fingerprint {index.tokenizer[:12]}…, this one has "
            f"{tokenizer.fingerprint[:12]}…): prepare the data again with this tokenizer, or use theirs"
        )
    validation = np.concatenate(index.open("validation"))
    documents, before = documents_of(validation, tokenizer), before_text(tokenizer)
    lengths, special = text_lengths(tokenizer)
    unpredicted = 0 if before else sum(int(lengths[document[0]]) for document in documents)
    return Corpus(
        tokenizer,
        TokenData.from_tokens(index.open("train"), block_size),
        ValidationSet.of_texts(
            documents, before, block_size, int(lengths[validation].sum()) - unpredicted, special=special
        ),
        prompt=list(before) or [int(validation[0])],
        validation_tokens=len(validation) - 1,
        content=index.sha256,
    )


def _index(path: Path) -> Index:
    """The shards' index; where it is missing and a preset wants it, the error says how it is made."""
    try:
        return read_index(path)
    except FileNotFoundError as error:
        if (recipe := PREPARED.get(path.name)) is None:
            raise
        elsewhere = () if path.parent == data_folder() else ("--out", path)
        raise FileNotFoundError(
            f"{path} holds no shards yet. Make them once:\n  {gpt('prepare', *recipe.command.split(), *elsewhere)}"
        ) from error


def sha256_of(*texts: Sequence[Integer[np.ndarray, " _"]]) -> str:
    """SHA-256 of tokens, and of where one text ends and the next begins; equal for every type of integer."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)} of {[len(tokens) for tokens in text]}".encode())
        for tokens in text:
            for start in range(0, len(tokens), AT_ONCE):
                digest.update(np.ascontiguousarray(tokens[start : start + AT_ONCE], dtype="<u4").data)
    return digest.hexdigest()


def documents_of(tokens: Integer[np.ndarray, " n"], tokenizer: Tokenizer) -> list[Integer[np.ndarray, " _"]]:
    """The documents of a stream of tokens, between its end-of-text tokens; without such a token all of it is one."""
    if not (before := before_text(tokenizer)):
        return [tokens]
    ends = np.flatnonzero(tokens == before[0]).tolist()
    pieces = zip([0, *(end + 1 for end in ends)], [*ends, len(tokens)], strict=True)
    return [tokens[start:stop] for start, stop in pieces if start < stop]


def text_lengths(tokenizer: Tokenizer) -> tuple[Integer[np.ndarray, " n_vocab"], frozenset[int]]:
    """The bytes of text that each id stands for, and the special ids, which stand for none."""
    special = frozenset(getattr(tokenizer, "special_tokens", {}).values()) | {*before_text(tokenizer)}
    lengths = np.zeros(tokenizer.n_vocab, dtype=np.int64)
    for token in range(tokenizer.n_vocab):
        if token not in special:
            with contextlib.suppress(ValueError):  # an id that the tokenizer leaves out is in no text
                lengths[token] = len(tokenizer.decode_bytes([token]))
    return lengths, special


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
