"""A tokenizer of any kind as Hugging Face's `AutoTokenizer` opens it: tokenizer.json and tokenizer_config.json."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.chat.template import template_of
from gpt_from_scratch.tokenizer.hugging_face_wrapper import HuggingFaceTokenizer
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, NoEndOfTextError, Tokenizer

if TYPE_CHECKING:
    from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer


def tokenizer_json(tokenizer: Tokenizer) -> str:
    """The content of a tokenizer.json that gives every text the same ids, special tokens in the text aside.

    With `split_special_tokens=True` they are text there too, as they always are in `encode_ordinary`.

    Raises:
        ValueError: Hugging Face's library cannot do what this tokenizer does; says what.
    """
    if isinstance(tokenizer, HuggingFaceTokenizer):
        return tokenizer.document
    if isinstance(tokenizer, CharacterTokenizer):
        return json.dumps(_of_characters(tokenizer), ensure_ascii=False, indent=1)
    from gpt_from_scratch.tokenizer.formats.hugging_face import document_of  # which a character model need not load

    return json.dumps(document_of(as_byte_pairs(tokenizer)), ensure_ascii=False, indent=1)


def as_byte_pairs(tokenizer: Tokenizer) -> "BytePairEncodingTokenizer":
    """The same tokenizer as byte pair encoding.

    Raises:
        ValueError: it is none, or one of tiktoken's that our own cannot be.
    """
    from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
    from gpt_from_scratch.tokenizer.formats.tiktoken_ranks import from_tiktoken
    from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer

    if isinstance(tokenizer, TiktokenTokenizer):
        return from_tiktoken(tokenizer.encoding)
    if isinstance(tokenizer, BytePairEncodingTokenizer):
        return tokenizer
    raise ValueError(f"{tokenizer!r} is no byte pair encoding: that format has no other tokenizers")


def tokenizer_config(tokenizer: Tokenizer, context: int) -> str:
    """The content of tokenizer_config.json, for a model that sees `context` tokens at once.

    Without it `AutoTokenizer` takes a folder with a GPT-2 and no tokenizer.json for one with an empty vocabulary.
    """
    try:
        name = tokenizer.decode([tokenizer.eot_token])
        special = dict.fromkeys(("bos_token", "eos_token", "pad_token"), name)
    except NoEndOfTextError:
        special = {}
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "padding_side": "left",  # as generation needs it
        **special,
    }
    if (template := template_of(tokenizer)) is not None:
        described["chat_template"] = template
    return json.dumps(described, indent=2) + "\n"


def _of_characters(tokenizer: CharacterTokenizer) -> Mapping[str, Any]:
    """One word a character. A character that it lacks is an error there as here, since there is no unknown token."""
    every = {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": tokenizer.eot_token, "content": END_OF_TEXT, **flags, "special": True}],
        "normalizer": None,
        "pre_tokenizer": every,
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "WordLevel",
            "vocab": {character: index for index, character in enumerate(tokenizer.characters)},
            "unk_token": "",
        },
    }
