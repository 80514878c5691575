"""Tokenizers of models from the hub: by ours where that is exact, else by their library, with equal ids."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

pytest.importorskip("tokenizers")

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.tokenizer.formats.hugging_face_folder import tokenizer_config, tokenizer_json
from gpt_from_scratch.tokenizer.formats.hugging_face_import import import_tokenizer
from gpt_from_scratch.tokenizer.hugging_face_wrapper import HuggingFaceTokenizer
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer, UnknownTokenError, well_formed
from tests.tokenizer.texts import SCRIPTS, fuzz, texts
from tests.tokenizer.their_tokenizers import KINDS, write


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_has_their_ids_and_comes_back(kind: str, tmp_path: Path) -> None:
    theirs, ours = write(kind, tmp_path), import_tokenizer(tmp_path)
    theirs.encode_special_tokens = True
    assert isinstance(ours, BytePairEncodingTokenizer if kind == "gpt2" else HuggingFaceTokenizer)
    normal = theirs.normalizer if kind == "qwen" else None

    @fuzz
    @given(texts)
    def check(text: str) -> None:
        ids = ours.encode_ordinary(text)
        text = well_formed(text)
        assert ids == theirs.encode(text, add_special_tokens=False).ids == ours.encode_to_numpy(text).tolist()
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)
        if kind != "llama2":  # which writes a blank before a text, and shows a blank by a letter that a text may hold
            assert ours.decode(ids) == (text if normal is None else normal.normalize_str(text))

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_of_tokens_make_up_the_text(kind: str, tmp_path: Path) -> None:
    write(kind, tmp_path)
    ours = import_tokenizer(tmp_path)
    for text in (*SCRIPTS, "the robin sang <|endoftext|> </s>", " a  b\n\n c"):
        ids = ours.encode_ordinary(text)
        alone = b"".join(ours.decode_bytes([index]) for index in ids)
        assert alone == ours.decode_bytes(ids)
        normal = unicodedata.normalize("NFC", text) if kind == "qwen" else text
        assert alone.decode("utf-8") == (f" {text}" if kind == "llama2" else normal)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_saved_whole(kind: str, tmp_path: Path) -> None:
    write(kind, tmp_path)
    ours = import_tokenizer(tmp_path)
    assert isinstance(ours, Tokenizer)
    assert ours.decode([ours.eot_token]) == KINDS[kind][1]
    ours.save(tmp_path / "saved.json")
    again = load_tokenizer(tmp_path / "saved.json")
    assert again.fingerprint == ours.fingerprint and again.n_vocab == ours.n_vocab
    assert again.encode_ordinary("the fox") == ours.encode_ordinary("the fox")
    saved = json.loads((tmp_path / "saved.json").read_text(encoding="utf-8"))
    saved["content"]["name"] = "x"
    (tmp_path / "saved.json").write_text(json.dumps(saved), encoding="utf-8")
    with pytest.raises(ValueError, match="damaged"):
        load_tokenizer(tmp_path / "saved.json")


@pytest.mark.parametrize("kind", ["qwen", "llama3", "llama2"])
def test_it_goes_back_as_it_came(kind: str, tmp_path: Path) -> None:
    write(kind, tmp_path)
    ours = import_tokenizer(tmp_path)
    came = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert json.loads(tokenizer_json(ours)) == came
    described = json.loads(tokenizer_config(ours, 64))
    assert described["eos_token"] == KINDS[kind][1]
    assert described.get("chat_template") == KINDS[kind][2]


def test_an_unknown_id_and_a_lost_character_are_refused(tmp_path: Path) -> None:
    made = write("llama2", tmp_path)
    ours = import_tokenizer(tmp_path)
    with pytest.raises(UnknownTokenError, match="unknown token id: 99999"):
        ours.decode([1, 99999])
    document = json.loads(made.to_str())
    document["model"]["byte_fallback"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
    lossy = import_tokenizer(tmp_path)
    assert lossy.decode(lossy.encode_ordinary("the fox")) == "the fox"
    with pytest.raises(ValueError, match="it would be lost"):
        lossy.encode_ordinary("the 狐")


def changed(folder: Path, file: str, change: dict[str, Any]) -> None:
    document = json.loads((folder / file).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps(document | change), encoding="utf-8")


def test_the_end_of_text_is_found_where_models_say_it(tmp_path: Path) -> None:
    made = write("llama3", tmp_path)
    end = made.token_to_id("<|end_of_text|>")
    changed(tmp_path, "tokenizer_config.json", {"eos_token": {"content": "<|begin_of_text|>"}})
    assert import_tokenizer(tmp_path).eot_token == made.token_to_id("<|begin_of_text|>")
    changed(tmp_path, "tokenizer_config.json", {"eos_token": None})
    for number in (end, [end, 3]):
        (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": number}), encoding="utf-8")
        assert import_tokenizer(tmp_path).eot_token == end
    (tmp_path / "config.json").unlink()
    with pytest.raises(NoEndOfTextError):
        import_tokenizer(tmp_path).eot_token  # noqa: B018
    changed(tmp_path, "tokenizer_config.json", {"eos_token": "<nowhere>"})
    with pytest.raises(ValueError, match=r"tokenizer\.json: the tokenizer has no token '<nowhere>'"):
        import_tokenizer(tmp_path)


def test_what_is_no_tokenizer_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no tokenizer\.json"):
        import_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"\n")
    with pytest.raises(FileNotFoundError, match=r"but tokenizer\.model: save it once with AutoTokenizer"):
        import_tokenizer(tmp_path)
    write("llama3", tmp_path)
    changed(tmp_path, "tokenizer.json", {"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}})
    with pytest.raises(ValueError, match="its decoder is .*WordPiece.*: supported are"):
        import_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="the library tokenizers does not read it"):
        import_tokenizer(tmp_path)
