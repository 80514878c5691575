"""Texts on which tokenizers have been quadratic or have crashed: a quadratic step would take minutes here, not seconds."""

import pytest
import tiktoken

from gpt_from_scratch.benchmarks.tokenizers.texts import adversarial
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer

LARGE = adversarial(300_000)
SMALL = adversarial(10_000)


@pytest.fixture(scope="module")
def tokenizer() -> BytePairEncodingTokenizer:
    return BytePairEncodingTokenizer.from_text("".join(SMALL.values()), 3000, backend="numba")


@pytest.fixture(scope="module")
def theirs(tokenizer: BytePairEncodingTokenizer) -> tiktoken.Encoding:
    return tokenizer.to_tiktoken()


@pytest.mark.timeout(100)
@pytest.mark.parametrize("name", LARGE)
def test_encoding_it(name: str, tokenizer: BytePairEncodingTokenizer, theirs: tiktoken.Encoding) -> None:
    """As tiktoken does (which survives these lengths), and decoded again."""
    text = LARGE[name]
    ids = tokenizer.encode_ordinary(text)
    assert tokenizer.decode(ids) == text
    assert ids == theirs.encode_ordinary(text)


@pytest.mark.timeout(100)
@pytest.mark.parametrize("name", LARGE)
@pytest.mark.filterwarnings("ignore:the text has only")
def test_learning_from_it(name: str) -> None:
    if name == "special tokens":
        with pytest.raises(ValueError, match="the text is empty"):
            BytePairEncodingTokenizer.from_text(LARGE[name], 300, backend="numba")
        return
    learnt = BytePairEncodingTokenizer.from_text(LARGE[name], 1000, backend="numba")
    assert len(learnt.merges) > 0


@pytest.mark.timeout(100)
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.filterwarnings("ignore:the text has only")
def test_python_does_the_same(name: str, tokenizer: BytePairEncodingTokenizer) -> None:
    text = SMALL[name]
    twin = BytePairEncodingTokenizer(tokenizer.merges, backend="python")
    assert twin.encode_ordinary(text) == tokenizer.encode_ordinary(text)
    if name != "special tokens":
        learnt = [BytePairEncodingTokenizer.from_text(text, 600, backend=one).merges for one in ("python", "numba")]
        assert learnt[0] == learnt[1]
