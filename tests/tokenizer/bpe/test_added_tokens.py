"""Added tokens of a tokenizer.json, and everything else in one: honoured as Hugging Face does, or named."""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.formats.gpt2_files import write_gpt2
from gpt_from_scratch.tokenizer.formats.hugging_face import read_hugging_face, write_hugging_face
from tests.tokenizer.texts import SCRIPTS, few, texts

BACKENDS = pytest.mark.parametrize("backend", ["python", "numba"])
TRAINED = BytePairEncodingTokenizer.from_text("the cat sat on the mat, hello " * 20 + SCRIPTS[0], 290)
ADDED = ["e", "the", "<tool>", "<tool>x", " cat", "lo", "é", "Ġ", "h", "ell", "l<t"]


def theirs(tmp_path: Path) -> tokenizers.Tokenizer:
    write_hugging_face(TRAINED, tmp_path / "theirs.json")
    return tokenizers.Tokenizer.from_file(str(tmp_path / "theirs.json"))


@BACKENDS
@few
@given(
    names=st.lists(st.sampled_from(ADDED), unique=True, max_size=4),
    special=st.lists(st.sampled_from(["<s>", "<|pad|>", "hello", "<s"]), unique=True, max_size=2),
    normalized=st.booleans(),
    parts=st.lists(
        st.one_of(texts, st.sampled_from([*ADDED, "<s>", "hello ", "<|endoftext|>", "<|pad|>"])), max_size=6
    ),
)
@pytest.mark.filterwarnings("ignore:.*decodes to itself here")
def test_added_tokens_cut_the_text_first(
    backend: Any, names: list[str], special: list[str], normalized: bool, parts: list[str], tmp_path_factory: Any
) -> None:
    """Also those that the vocabulary has, and those within others; saved and read again, the same."""
    tmp_path = tmp_path_factory.mktemp("added")
    other = theirs(tmp_path)
    other.add_tokens([AddedToken(name, normalized=normalized, special=False) for name in names])
    other.add_special_tokens(special)
    path = tmp_path / "tokenizer.json"
    other.save(str(path))
    try:
        ours = read_hugging_face(path)
    except ValueError as error:
        assert any(reason in str(error) for reason in ("their order is not honoured", "of the token b")), error
        return
    ours.backend = backend
    text = "".join(parts)
    ids = other.encode(text).ids
    assert ours.encode(text, allowed_special="all") == ids
    assert list(ours.encode_iterable(parts, allowed_special="all")) == ids
    assert ours.encode_batch([text], allowed_special="all") == [ids]
    assert ours.decode(ids) == text
    other.encode_special_tokens = True  # special tokens are text, added ones are not
    assert ours.encode_ordinary(text) == ours.encode_to_numpy(text).tolist() == other.encode(text).ids
    ours.save(tmp_path / "ours.json")
    again = BytePairEncodingTokenizer.load(tmp_path / "ours.json")
    assert again.fingerprint == ours.fingerprint and again.added_tokens == ours.added_tokens
    write_hugging_face(ours, path)
    assert tokenizers.Tokenizer.from_file(str(path)).encode(text).ids == ids


def test_the_one_of_the_issue(tmp_path: Path) -> None:
    other = theirs(tmp_path)
    other.add_tokens(["e"])
    other.save(str(tmp_path / "t.json"))
    ours = read_hugging_face(tmp_path / "t.json")
    assert ours.encode("hello") == other.encode("hello").ids == [104, 101, *ours.encode_ordinary("llo")]
    assert ours.added_tokens == {"e": 101} and ours.special_tokens == TRAINED.special_tokens
    with pytest.raises(ValueError, match="tiktoken has no added tokens, such as 'e'"):
        ours.to_tiktoken()
    with pytest.raises(ValueError, match="cannot hold added tokens, such as 'e'"):
        write_gpt2(ours, tmp_path)


@pytest.mark.parametrize("flag", ["lstrip", "rstrip", "single_word"])
def test_flags_that_are_not_honoured(flag: str, tmp_path: Path) -> None:
    other = theirs(tmp_path)
    other.add_tokens([AddedToken("x", **{flag: True})])
    other.save(str(tmp_path / "t.json"))
    with pytest.raises(ValueError, match=rf"t\.json: added_tokens\[\d\] 'x' has {flag}"):
        read_hugging_face(tmp_path / "t.json")


def test_an_id_that_their_library_does_not_keep(tmp_path: Path) -> None:
    write_hugging_face(TRAINED, tmp_path / "t.json")
    document = json.loads((tmp_path / "t.json").read_text())
    document["added_tokens"].append(document["added_tokens"][0] | {"content": "<x>", "id": 500})
    (tmp_path / "t.json").write_text(json.dumps(document))
    assert tokenizers.Tokenizer.from_file(str(tmp_path / "t.json")).encode("<x>").ids == [290]
    with pytest.raises(ValueError, match=r"'<x>' has two ids, 500 and 290, which Hugging Face's library gives it"):
        read_hugging_face(tmp_path / "t.json")


ROBERTA = {
    "type": "RobertaProcessing",
    "sep": ["a", 97],
    "cls": ["b", 98],
    "trim_offsets": True,
    "add_prefix_space": False,
}
BERT = {"type": "BertProcessing", "sep": ["a", 97], "cls": ["b", 98]}
TEMPLATE = {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
WITHOUT_REGEX = BYTE_LEVEL | {"add_prefix_space": False, "use_regex": False}


def split(**changes: Any) -> dict[str, Any]:
    step = {"type": "Split", "pattern": {"Regex": r"\p{L}+|\P{L}"}, "behavior": "Isolated", "invert": False} | changes
    return {"type": "Sequence", "pretokenizers": [step, WITHOUT_REGEX]}


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (["post_processor"], ROBERTA, "RobertaProcessing adds special tokens around each text"),
        (["post_processor"], BERT, "BertProcessing adds special tokens around each text"),
        (["post_processor"], TEMPLATE, "TemplateProcessing adds special tokens around each text"),
        (
            ["post_processor"],
            {"type": "Sequence", "processors": [BYTE_LEVEL, ROBERTA]},
            r"processors\[1\] RobertaProcessing",
        ),
        (["model", "unk_token"], "<unk>", "model.unk_token '<unk>' is left out"),
        (["model", "fuse_unk"], True, "model.fuse_unk True is left out"),
    ],
)
def test_what_changes_no_text_is_named_in_a_warning(place: list[Any], value: Any, named: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=rf"t\.json: .*{named}"):
        ours = read_hugging_face(changed(place, value, tmp_path))
    assert ours.fingerprint == TRAINED.fingerprint


@pytest.mark.parametrize("value", [None, BYTE_LEVEL, {"type": "Sequence", "processors": [BYTE_LEVEL]}])
def test_a_post_processor_that_adds_nothing(value: Any, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    assert read_hugging_face(changed(["post_processor"], value, tmp_path)).fingerprint == TRAINED.fingerprint
    assert not recwarn.list


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (["normalizer"], {"type": "NFC"}, "normalizer"),
        (["truncation"], {"max_length": 5}, "truncation"),
        (["padding"], {"length": 5}, "padding"),
        (["version"], "2.0", "version"),
        (["something"], 1, "'something'"),
        (["model", "something"], True, "'something'"),
        (["model", "dropout"], 0.5, "dropout = 0.5"),
        (["model", "byte_fallback"], True, "byte_fallback = True"),
        (["model", "continuing_subword_prefix"], "##", "continuing_subword_prefix = '##'"),
        (["model", "end_of_word_suffix"], "</w>", "end_of_word_suffix = '</w>'"),
        (["decoder"], None, "decoder is not ByteLevel"),
        (["decoder"], {"type": "Sequence", "decoders": [BYTE_LEVEL, {"type": "Fuse"}]}, "decoder is not ByteLevel"),
        (["decoder"], {"type": "Metaspace"}, "decoder is not ByteLevel"),
        (["pre_tokenizer"], BYTE_LEVEL, "without add_prefix_space"),
        (
            ["pre_tokenizer"],
            {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, WITHOUT_REGEX]},
            "not one Split",
        ),
        (["pre_tokenizer"], split(behavior="Removed"), "the behavior 'Removed'"),
        (["pre_tokenizer"], split(behavior="MergedWithNext"), "the behavior 'MergedWithNext'"),
        (["pre_tokenizer"], split(invert=True), "invert is True"),
        (["pre_tokenizer"], split(pattern={"String": " "}), "'String'"),
        (["pre_tokenizer"], split(pattern={"Regex": r"\p{L}+|\b."}), r"the escape \\b"),
        (["pre_tokenizer"], split(something=1), "'something'"),
        (["post_processor"], {"type": "Unknown"}, "post_processor.type 'Unknown' is not known"),
        (["added_tokens", 0, "something"], True, "'something'"),
        (["added_tokens", 0, "special"], "yes", r"added_tokens\[0\].special is \"yes\""),
    ],
)
def test_what_would_change_ids_or_text_is_refused_by_name(
    place: list[Any], value: Any, named: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        read_hugging_face(changed(place, value, tmp_path))
    assert str(caught.value).startswith(str(tmp_path / "t.json"))


def test_ignore_merges(tmp_path: Path) -> None:
    """Where each token is what its merges make of it, it changes nothing."""
    path = changed(["model", "ignore_merges"], True, tmp_path)
    assert read_hugging_face(path).fingerprint == TRAINED.fingerprint


def changed(place: list[Any], value: Any, tmp_path: Path) -> Path:
    """The file of `TRAINED` with one value replaced."""
    write_hugging_face(TRAINED, tmp_path / "t.json")
    document = json.loads((tmp_path / "t.json").read_text())
    inside = document
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    (tmp_path / "t.json").write_text(json.dumps(document))
    return tmp_path / "t.json"
