"""The tokenizer of a run or of prepared shards: by name, from a file, or learned from the texts."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, Tokenizer

SMALL_VOCABULARY = 4096


def characters_to_learn_from(vocab_size: int) -> int:
    """Characters that a byte pair encoding is learned from; more text hardly changes a small vocabulary."""
    return 3_000_000 if vocab_size < SMALL_VOCABULARY else 20_000_000


def make_tokenizer(
    asked: str,
    vocab_size: int,
    pattern: str,
    *,
    train: Iterable[str] = (),
    all_texts: Iterable[str] = (),
    special_tokens: Sequence[str] = (END_OF_TEXT,),
) -> Tokenizer:
    """The tokenizer that is asked for. Equal texts and settings give equal tokenizers, in a run and in `gpt prepare`.

    Args:
        asked: "bpe", "character", "gpt2", or the path of a tokenizer file.
        vocab_size: Ids of a byte pair encoding that is learned.
        pattern: What splits a text into words before it is learned.
        train: The texts that a byte pair encoding is learned from; read only as far as needed.
        all_texts: The texts whose characters a tokenizer of characters must have.
        special_tokens: Those of a byte pair encoding that is learned.

    Raises:
        ValueError: The name is unknown, or the file is damaged.
    """
    if asked == "character":
        from gpt_from_scratch.tokenizer.character import CharacterTokenizer

        return CharacterTokenizer.from_text("".join({character for text in all_texts for character in set(text)}))
    if asked == "bpe":
        from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer

        text = first_characters(train, characters_to_learn_from(vocab_size))
        return BytePairEncodingTokenizer.from_text(text, vocab_size, pattern=pattern, special_tokens=special_tokens)
    if asked == "gpt2":
        from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer

        return TiktokenTokenizer.from_name("gpt2")
    if not Path(asked).exists():
        raise ValueError(f"the tokenizer is {asked!r}: expected bpe, character, gpt2, or the path of a tokenizer file")
    return load_tokenizer(asked)


def first_characters(texts: Iterable[str], n: int) -> str:
    """The first `n` characters of the texts in a row, an end-of-text token between two."""
    taken: list[str] = []
    length = -len(END_OF_TEXT)
    for text in texts:
        taken.append(text[:n])  # of a long text no more than is needed is copied
        length += len(END_OF_TEXT) + len(taken[-1])
        if length >= n:
            break
    return END_OF_TEXT.join(taken)[:n]
