"""Aliases for readers of byte pair encoding courses: the courses' class names as thin wrappers.

`BytePairEncodingTokenizer.from_input_bytes` is the course's first tokenizer, with the same merges; this is its second.
"""

from collections.abc import Iterable
from typing import Any

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.special_tokens import SpecialTokens
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS


class RegexSplitPatterns:
    """Split patterns by name; the same as `patterns.PATTERNS`, and the course's own for TinyStories."""

    CUSTOM_TINYSTORIES = r"""\w+|[.,!?;:"]|\s+|<\|endoftext\|>"""
    """Words, marks of punctuation one by one, white space. The course's pattern finds the same words: its word boundaries
    are where ``\\w+`` ends anyway, and its newline is white space."""
    GPT2 = PATTERNS["gpt2"]
    GPT4 = PATTERNS["gpt4"]
    O200K = PATTERNS["o200k"]
    TINYSTORIES = PATTERNS["tinystories"]
    NONE = PATTERNS["none"]


class BytePairEncodingWordTokenizer(BytePairEncodingTokenizer):
    """Byte pair encoding within words, whose special tokens have the first ids behind the bytes.

    As in the course special tokens in a text become their ids, and of equally frequent pairs the first is merged. Unlike
    there what the pattern skips is kept, and no id is left out.
    """

    @classmethod
    def from_input_text(
        cls,
        input_text: str,
        regex_split_pattern_string: str,
        vocab_size: int,
        special_tokens: Iterable[str] | None = None,
    ) -> "BytePairEncodingWordTokenizer":
        """Learn `vocab_size` ids: 256 bytes, the special tokens (in alphabetical order), the merges.

        Raises ValueError as `from_text` does.
        """
        names = SpecialTokens.numbered(special_tokens or (), 256).ids
        learnt = BytePairEncodingTokenizer.from_text(
            input_text,
            vocab_size,
            pattern=regex_split_pattern_string,
            special_tokens=sorted(names),
            tie_break="first",
        )
        first = 256 + len(names)
        return cls(
            learnt.merges,
            pattern=learnt.pattern,
            special_tokens={name: 256 + index for index, name in enumerate(sorted(names))},
            tie_break="first",
            token_ids=[*range(256), *range(first, first + len(learnt.merges))],
        )

    @property
    def special_tokens_dict(self) -> dict[str, int]:
        """Each special token's id."""
        return self.special_tokens

    @property
    def regex_split_pattern_string(self) -> str:
        """The pattern, a name or an expression."""
        return self.pattern

    def encode(self, text: str, **choices: Any) -> list[int]:
        """As `BytePairEncodingTokenizer.encode`; without a choice all special tokens in the text become their ids."""
        return super().encode(text, **(choices or {"allowed_special": "all"}))
