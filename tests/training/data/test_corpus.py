"""The corpora of a run."""

import numpy as np

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.training.data.corpus import _each

TEXTS = ["the cat sat on the mat", "", "<|endoftext|> is text here", "naïve 你好"]


def test_texts_that_are_encoded_together_get_the_tokens_that_each_gets_alone() -> None:
    for tokenizer in (
        BytePairEncodingTokenizer.from_text(TEXTS[0] * 9, 270),
        CharacterTokenizer.from_text("".join(TEXTS)),
    ):
        together = _each(TEXTS, tokenizer)
        for ids, text in zip(together, TEXTS, strict=True):
            alone = tokenizer.encode_to_numpy(text)
            assert ids.dtype == alone.dtype and np.array_equal(ids, alone)
