"""Files of tokenizers with anything at any place: read, or a ValueError that names the file; never another error."""

import base64
import copy
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.file_format import write_tokenizer
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.tokenizer.formats.gpt2_files import read_gpt2, write_gpt2
from gpt_from_scratch.tokenizer.formats.hugging_face import read_hugging_face, write_hugging_face
from gpt_from_scratch.tokenizer.formats.opening import open_tokenizer
from gpt_from_scratch.tokenizer.formats.tiktoken_ranks import read_ranks, write_ranks
from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer

TRAINED = BytePairEncodingTokenizer(
    [(97, 98), (256, 99), (32, 97)], special_tokens={"<|endoftext|>": 259}, added_tokens={"<tool>": 260, "c": 99}
)
PLAIN = BytePairEncodingTokenizer(TRAINED.merges)
SAVED = [TRAINED, CharacterTokenizer.from_text("abc a<tool>c"), TiktokenTokenizer(PLAIN.to_tiktoken())]
many = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from(
            [0, 1, -1, 97, 256, 300, 2**31, 2**70, 0.5, float("nan"), float("inf"), "", "a", "Ġ", "ab", "BPE"]
        ),
        st.sampled_from(
            ["ByteLevel", "Sequence", "Split", "Isolated", "\ud800", "é", "a b", "gpt2", "(", "[a&&b]", "x" * 300]
        ),
        st.text(max_size=4),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "id", "content", "special", "Regex", "a", "\ud800", "vocab"]), inner, max_size=3
        ),
    ),
    max_leaves=6,
)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value of a JSON document; of long lists and objects to some."""
    yield path
    if isinstance(document, dict):
        names = list(document)
        for name in names if len(names) < 20 else [*names[:2], names[97], *names[-4:]]:
            yield from places(document[name], (*path, name))
    elif isinstance(document, list):
        for index in range(min(len(document), 4)):
            yield from places(document[index], (*path, index))


def changed(document: Any, path: tuple[Any, ...], how: str, value: Any) -> Any:
    """The document with the value at a place replaced, left out, or there twice; or a field beside it."""
    if not path:
        return value
    document = copy.deepcopy(document)
    inside = document
    for key in path[:-1]:
        inside = inside[key]
    if how == "replace":
        inside[path[-1]] = value
    elif how == "remove":
        del inside[path[-1]]
    elif isinstance(inside, list):
        inside.append(inside[path[-1]])
    else:
        inside["another"] = value
    return document


def read_or_named(read: Callable[[Path], Any], path: Path) -> None:
    """Read the file: a tokenizer that keeps its texts, or a ValueError with the file's name, in one line or few."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tokenizer = read(path)
        except ValueError as error:
            assert str(path) in str(error) and str(error).count("\n") < 3 and len(str(error)) < 1500, error
            return
    if isinstance(tokenizer, CharacterTokenizer):
        return  # another text, another alphabet
    ids = tokenizer.encode_ordinary("abc a<tool>c")
    assert tokenizer.decode(ids) == "abc a<tool>c"
    json.dumps(tokenizer.fingerprint)


def hugging_face(folder: Path) -> Any:
    write_hugging_face(TRAINED, folder / "t.json")
    document = json.loads((folder / "t.json").read_text())
    split = {"type": "Split", "pattern": {"Regex": r"\p{L}+|[\s\S]"}, "behavior": "Isolated", "invert": False}
    document["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [split, document["decoder"] | {"use_regex": False}],
    }
    document["post_processor"] = {
        "type": "Sequence",
        "processors": [{"type": "ByteLevel"}, {"type": "RobertaProcessing"}],
    }
    return document


@many
@given(data=st.data(), how=st.sampled_from(["replace", "replace", "remove", "repeat"]), value=anything)
def test_tokenizer_json(data: st.DataObject, how: str, value: Any, tmp_path: Path) -> None:
    document = hugging_face(tmp_path)
    path = data.draw(st.sampled_from(list(places(document))))
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed(document, path, how, value)))
    read_or_named(read_hugging_face, tmp_path / "tokenizer.json")
    read_or_named(lambda folder: open_tokenizer(folder), tmp_path)


@many
@given(data=st.data(), how=st.sampled_from(["replace", "replace", "remove", "repeat"]), value=anything)
@pytest.mark.parametrize("tokenizer", SAVED, ids=lambda one: type(one).__name__)
def test_our_own_files(tokenizer: Any, data: st.DataObject, how: str, value: Any, tmp_path: Path) -> None:
    """With the hash made anew, as if someone had written the file so; and with the old one."""
    tokenizer.save(tmp_path / "t.json")
    document = json.loads((tmp_path / "t.json").read_text())
    content = document["content"]
    path = data.draw(st.sampled_from(list(places(content))))
    other = changed(content, path, how, value)
    if isinstance(other, dict):
        write_tokenizer(tmp_path / "t.json", document["kind"], other)
        read_or_named(load_tokenizer, tmp_path / "t.json")
    path = data.draw(st.sampled_from(list(places(document))))
    (tmp_path / "t.json").write_text(json.dumps(changed(document, path, how, value)))
    read_or_named(load_tokenizer, tmp_path / "t.json")


@many
@given(data=st.data(), how=st.sampled_from(["replace", "replace", "remove", "repeat"]), value=anything)
def test_vocab_json(data: st.DataObject, how: str, value: Any, tmp_path: Path) -> None:
    vocabulary, merges = write_gpt2(PLAIN, tmp_path)
    document = json.loads(vocabulary.read_text())
    path = data.draw(st.sampled_from(list(places(document))))
    vocabulary.write_text(json.dumps(changed(document, path, how, value)))
    read_or_named(lambda path: read_gpt2(path, merges), vocabulary)


_LINES = ["", "a b", "ab c", "Ġ a", "a  b", "a", "a b c", "\ud7ff x", "#version: 0.2"]
lines = st.one_of(st.sampled_from(_LINES), st.text(max_size=6))
_RANKS = [
    b"YWI= 256",
    b"YWI= 7",
    b"YWI= 1e3",
    b"YWI=",
    b"=== 300",
    b"YQ== 97",
    b" 256",
    b"YWI= -1",
    b"YWI= 99999999999",
]
ranks = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(_RANKS),
    st.tuples(st.binary(max_size=3), st.integers(-2, 2**33)).map(
        lambda one: base64.b64encode(one[0]) + b" %d" % one[1]
    ),
)


@many
@given(line=lines, place=st.integers(0, 4))
def test_merges_txt(line: str, place: int, tmp_path: Path) -> None:
    vocabulary, merges = write_gpt2(PLAIN, tmp_path)
    written = merges.read_text().split("\n")
    merges.write_text("\n".join([*written[:place], line, *written[place + 1 :]]), encoding="utf-8")
    read_or_named(lambda path: read_gpt2(vocabulary, path), merges)


@many
@given(line=ranks, place=st.sampled_from([0, 97, 255, 256, 257, 258]), insert=st.booleans())
def test_rank_files(line: bytes, place: int, insert: bool, tmp_path: Path) -> None:
    path = tmp_path / "t.tiktoken"
    write_ranks(PLAIN, path)
    written = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*written[:place], line, *written[place + (not insert) :]]))
    read_or_named(lambda path: read_ranks(path, pattern="gpt2", special_tokens={}), path)
    read_or_named(lambda path: open_tokenizer(path, special_tokens=["<|endoftext|>"]), path)


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        (("pre_tokenizer",), "pre_tokenizer is"),
        (("model", "merges", 0), r"model\.merges\[0\] 7 is not a merge"),
        (("added_tokens", 0), r"added_tokens\[0\] is 7, expected an object"),
        (("added_tokens", 0, "content"), r"added_tokens\[0\]\.content is 7, expected a text"),
        (("pre_tokenizer", "pretokenizers", 0, "pattern"), r"pre_tokenizer\.pretokenizers\[0\]\.pattern is 7"),
        (("post_processor", "processors"), r"post_processor\.processors is 7, expected a list"),
        (("decoder",), "decoder is 7"),
        (("model",), "model is 7"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*adds special tokens around each text")
def test_the_field_is_named(place: tuple[Any, ...], complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(changed(hugging_face(tmp_path), place, "replace", 7)))
    with pytest.raises(ValueError, match=rf"tokenizer\.json: {complaint}"):
        read_hugging_face(path)


def test_a_missing_rank(tmp_path: Path) -> None:
    """A line that was lost; or the id of a special token, which fills the gap (as in p50k_base)."""
    path = tmp_path / "t.tiktoken"
    write_ranks(PLAIN, path)
    path.write_bytes(path.read_bytes().replace(b" 258", b" 259"))
    with pytest.raises(ValueError, match=r"t\.tiktoken: the rank 258 is missing"):
        read_ranks(path, pattern="gpt2", special_tokens={})
    opened = open_tokenizer(path, special_tokens=["<|endoftext|>", "<|pad|>"])
    assert isinstance(opened, BytePairEncodingTokenizer)
    assert opened.special_tokens == {"<|endoftext|>": 258, "<|pad|>": 260}
    path.write_bytes(path.read_bytes().replace(b" 259", b" 257"))
    with pytest.raises(ValueError, match=r"t\.tiktoken, line 259: the same rank as in line 258, 257"):
        read_ranks(path, pattern="gpt2", special_tokens={})


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"special_tokens": "<s>"}, "special_tokens is the text '<s>', expected several names"),
        ({"special_tokens": b"<s>"}, "special_tokens is the text"),
        ({"special_tokens": 5}, "special_tokens is 5"),
        ({"special_tokens": [5]}, "special_tokens holds 5"),
        ({"special_tokens": {"<s>": "a"}}, "has the id 'a', expected a whole number"),
        ({"special_tokens": {"<s>": True}}, "has the id True"),
        ({"special_tokens": {5: 300}}, "holds the name 5"),
        ({"special_tokens": ["\ud800"]}, "half a surrogate pair"),
        ({"special_tokens": {"<s>": 2**31}}, r"expected less than 2\^31"),
        ({"added_tokens": {"a": 98}}, "has the id 98 of the token b'b'"),
        ({"added_tokens": {"<|endoftext|>": 400}}, "is a special token and an added one"),
        ({"pattern": None}, "a pattern is a name or a regular expression, not None"),
        ({"pattern": ["gpt2"]}, "a pattern is a name or a regular expression"),
        ({"pattern": "(["}, "is not a regular expression"),
        ({"pattern": r"[a&&b]"}, "the set operation &&"),
        ({"pattern": r"[\p{L}--[a-z]]"}, "the set operation --"),
        ({"pattern": r"[a[bc]]"}, "a character class within a character class"),
        ({"pattern": r"[A-[^b]]"}, "a character class within a character class"),
        ({"pattern": r"[!-&&a]"}, "the set operation &&"),
        ({"pattern": "[[:alpha:]]+"}, "POSIX class|character class within"),
        ({"merges": 5}, "merges must be pairs of whole numbers"),
        ({"merges": [(97.5, 98)]}, "merges must be pairs of whole numbers"),
        ({"merges": [("a", "b")]}, "merges must be pairs of whole numbers"),
        ({"merges": [(97, 98, 99)]}, "merges must be pairs"),
        ({"token_ids": ["a"] * 256}, "token_ids must be whole numbers"),
        ({"byte_order": None}, "unknown byte_order"),
        ({"tie_break": []}, "unknown tie_break"),
    ],
)
def test_mistakes_in_the_constructor(
    arguments: dict[str, Any], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # which would complain first
    options: dict[str, Any] = {"merges": []} | arguments
    with pytest.raises(ValueError, match=complaint):
        BytePairEncodingTokenizer(**options)


@pytest.mark.parametrize("vocab_size", [True, -1, 0, 300.0, "300", None, float("nan")])
def test_mistakes_in_the_vocabulary_size(vocab_size: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="vocab_size"):
        BytePairEncodingTokenizer.from_text("abc", vocab_size)
    with pytest.raises(ValueError, match="vocab_size"):
        BytePairEncodingTokenizer.from_input_bytes(b"abc", vocab_size)


def test_a_file_of_an_earlier_release_keeps_its_fingerprint(tmp_path: Path) -> None:
    """`\\w` was left to `regex` then, without a release of Unicode in the file; runs compare fingerprints when they go on."""
    tokenizer = BytePairEncodingTokenizer([(97, 98)], pattern=r"\w+|\W")
    write_tokenizer(tmp_path / "t.json", "byte_pair_encoding", tokenizer._content() | {"unicode": None})
    again = load_tokenizer(tmp_path / "t.json")
    assert again.fingerprint == json.loads((tmp_path / "t.json").read_text())["sha256"] != tokenizer.fingerprint
    again.save(tmp_path / "u.json")
    assert load_tokenizer(tmp_path / "u.json").fingerprint == again.fingerprint
    assert again.encode_ordinary("ab, ½ ab") == tokenizer.encode_ordinary("ab, ½ ab")
