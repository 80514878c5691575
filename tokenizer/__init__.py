"""Tokenizers: byte pair encoding from scratch, characters, and views of tokens.

May import `support/`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer as BytePairEncodingTokenizer
    from gpt_from_scratch.tokenizer.character import CharacterTokenizer as CharacterTokenizer
    from gpt_from_scratch.tokenizer.course import BytePairEncodingWordTokenizer as BytePairEncodingWordTokenizer
    from gpt_from_scratch.tokenizer.course import RegexSplitPatterns as RegexSplitPatterns
    from gpt_from_scratch.tokenizer.files import load_tokenizer as load_tokenizer
    from gpt_from_scratch.tokenizer.formats.opening import open_tokenizer as open_tokenizer
    from gpt_from_scratch.tokenizer.protocol import Tokenizer as Tokenizer
    from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer as TiktokenTokenizer
else:
    _MODULES = {
        "BytePairEncodingTokenizer": "bpe.tokenizer",
        "BytePairEncodingWordTokenizer": "course",
        "CharacterTokenizer": "character",
        "RegexSplitPatterns": "course",
        "TiktokenTokenizer": "tiktoken_wrapper",
        "Tokenizer": "protocol",
        "load_tokenizer": "files",
        "open_tokenizer": "formats.opening",
    }

    def __getattr__(name: str) -> Any:
        from gpt_from_scratch.support.lazy import public_name

        return public_name(__name__, name, _MODULES)


__all__ = [
    "BytePairEncodingTokenizer",
    "BytePairEncodingWordTokenizer",
    "CharacterTokenizer",
    "RegexSplitPatterns",
    "TiktokenTokenizer",
    "Tokenizer",
    "load_tokenizer",
    "open_tokenizer",
]
