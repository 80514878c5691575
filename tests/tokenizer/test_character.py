"""Characters: ids, the end-of-text token, errors, and the file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE, load_tokenizer
from gpt_from_scratch.tokenizer.protocol import Tokenizer


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_round_trip(text: str) -> None:
    tokenizer = CharacterTokenizer.from_text(text)
    ids = tokenizer.encode_ordinary(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode_bytes(ids) == text.encode()
    assert tokenizer.encode_to_numpy(text).tolist() == ids
    assert tokenizer.n_vocab == len(set(text)) + 1 == tokenizer.eot_token + 1


def test_ids_are_the_sorted_characters_and_the_last_ends_the_text() -> None:
    tokenizer = CharacterTokenizer.from_text("hello")
    assert tokenizer.characters == "ehlo"
    assert tokenizer.encode_ordinary("hole") == [1, 3, 2, 0]
    assert tokenizer.decode([1, tokenizer.eot_token]) == "h<|endoftext|>"
    assert tokenizer.encode_to_numpy("").dtype == np.uint16


def test_an_unknown_character_is_named_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"'ü' \(U\+00FC\) at position 2 .*BytePairEncodingTokenizer"):
        CharacterTokenizer.from_text("abc").encode_ordinary("abü")


@pytest.mark.parametrize("ids", [[5], [-1]])
def test_an_unknown_id_is_an_error(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="ids 0 to 3"):
        CharacterTokenizer.from_text("abc").decode(ids)


def test_an_empty_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        CharacterTokenizer.from_text("")


def test_saved_and_loaded_from_file_and_folder(tmp_path: Path) -> None:
    tokenizer = CharacterTokenizer.from_text("naïve 😊\n")
    tokenizer.save(tmp_path / TOKENIZER_FILE)
    for path in (tmp_path, tmp_path / TOKENIZER_FILE):
        loaded = load_tokenizer(path)
        assert isinstance(loaded, CharacterTokenizer)
        assert isinstance(loaded, Tokenizer)
        assert loaded.fingerprint == tokenizer.fingerprint
        assert loaded.characters == tokenizer.characters
    assert CharacterTokenizer.from_text("naive").fingerprint != tokenizer.fingerprint
