"""GPT-2's published tables, where the shared data lie beside the repository, as a `tiktoken.Encoding`."""

import json
from pathlib import Path

import pytest
import tiktoken
from tiktoken_ext.openai_public import r50k_pat_str

from gpt_from_scratch.tokenizer.bpe.byte_order import byte_symbols
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.formats.gpt2_files import read_gpt2

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("no ../shared data")
    return DATA


@pytest.fixture(scope="session")
def shakespeare(data: Path) -> str:
    return (data / "tinyshakespeare.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def gpt2_encoding(data: Path) -> tiktoken.Encoding:
    vocabulary = json.loads((data / "gpt2_vocab.json").read_text(encoding="utf-8"))
    end_of_text = vocabulary.pop("<|endoftext|>")
    # The file spells each byte as a printable character; the first 256 ids are those characters in the bytes' order.
    spelled = {token: index for token, index in vocabulary.items() if index < 256}
    byte_of = {character: byte_symbols("gpt2").index(index) for character, index in spelled.items()}
    ranks = {bytes(byte_of[character] for character in token): index for token, index in vocabulary.items()}
    return tiktoken.Encoding(
        "gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": end_of_text}
    )


@pytest.fixture(scope="session")
def gpt2(gpt2_encoding: tiktoken.Encoding, data: Path) -> BytePairEncodingTokenizer:
    """GPT-2's merges as our tokenizer."""
    return read_gpt2(data / "gpt2_vocab.json", data / "gpt2_merges.txt")
