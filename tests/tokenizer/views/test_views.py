"""Views of a tokenization: the data, the terminal, and the page in a browser."""

import base64
import hashlib
import html
import itertools
import re
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given

from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer
from gpt_from_scratch.tokenizer.views.merge_trees import nodes_of, tokens_after
from gpt_from_scratch.tokenizer.views.page import token_page, write_token_page
from gpt_from_scratch.tokenizer.views.terminal import (
    get_colored_tokenization,
    show_token_mapping,
    token_mapping,
    utf8_role,
)
from gpt_from_scratch.tokenizer.views.tokens import (
    TokenInfo,
    get_detailed_and_complete_tokenization_info_for_text,
    tokens_of,
)
from tests.pages.chromium import Tab
from tests.tokenizer.texts import SCRIPTS, few, texts

EXAMPLE = "Showing 你好 😊 I am a string :)"
HOSTILE = (
    "</script><script>document.title = 'forged'</script> \u202e\x1b[31m\x9b \ufeff<b>&amp; e\u0301 \x00\u2028 عربي\n"
)
BYTES = BytePairEncodingTokenizer([])
WORDS = BytePairEncodingTokenizer.from_text(EXAMPLE * 3 + "".join(SCRIPTS), 400)
TIKTOKEN = tiktoken.Encoding(
    "toy",
    pat_str=r"[\s\S]+",
    mergeable_ranks={bytes([byte]): byte for byte in range(256)}
    | {token: 256 + rank for rank, token in enumerate([b"th", b"the", b" th", b"en", b"then"])},
    special_tokens={},
)


@few
@given(text=texts)
def test_tokens_know_their_bytes_characters_and_places(text: str) -> None:
    for tokenizer in (BYTES, WORDS, CharacterTokenizer.from_text(text + "a"), TIKTOKEN, TiktokenTokenizer(TIKTOKEN)):
        tokens = tokens_of(tokenizer, text)
        assert [token.index for token in tokens] == tokenizer.encode_ordinary(text)
        assert b"".join(token.data for token in tokens) == text.encode()
        characters = [one for token in tokens for one in token.characters]
        assert "".join(one.character for one in characters if one.end == one.size) == text
        assert all(text[one.place] == one.character for one in characters)
        assert b"".join(one.data for one in characters) == text.encode()


def test_the_detailed_info() -> None:
    """Strings and characters; the bytes of a character in several tokens; places from 0 on, and ids."""
    ranks = {bytes([byte]): byte for byte in range(256)} | {"你".encode(): 300, b" straw": 301}
    encoding = tiktoken.Encoding("t", pat_str=r" ?\p{L}+|.", mergeable_ranks=ranks, special_tokens={})
    found = get_detailed_and_complete_tokenization_info_for_text(encoding, "你 straw 好")
    assert found == [
        TokenInfo(0, "你", ["你"]),
        TokenInfo(1, " straw", list(" straw")),
        TokenInfo(2, " ", [" "]),
        *(TokenInfo(3 + n, f"\\x{byte:02x}", [f"\\x{byte:02x}"]) for n, byte in enumerate("好".encode())),
    ]
    assert [one.token_id for one in found] == encoding.encode("你 straw 好")


def test_a_lossy_tokenizer_is_not_shown_as_if_it_were_whole() -> None:
    lossy = tiktoken.Encoding(
        "lossy", pat_str=r"[a-z]+", mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={}
    )
    for text in ("don't", "dont'"):
        with pytest.raises(ValueError, match="is lossy"):
            tokens_of(lossy, text)


def test_the_coloured_text() -> None:
    """Each token on a background other than its neighbour's; without the colours, the text."""
    colored = get_colored_tokenization(WORDS, EXAMPLE)
    pieces = re.findall(r"\x1b\[38;5;16;48;5;(\d+)m(.*?)\x1b\[0m", colored)
    assert "".join(text for _, text in pieces) == EXAMPLE
    assert len(pieces) == len(WORDS.encode(EXAMPLE))
    assert all(a[0] != b[0] for a, b in itertools.pairwise(pieces))
    assert get_colored_tokenization(WORDS, EXAMPLE) == colored


def test_the_mapping(capsys: pytest.CaptureFixture[str]) -> None:
    show_token_mapping(BYTES, "a你", color=False)
    assert capsys.readouterr().out.splitlines() == [
        r"[a][\xe4][\xbd][\xa0]",
        "",
        "2 characters, 4 bytes, 4 tokens, 1.00 bytes per token",
        "",
        " 97  61                       a  [a]你",
        "       a  U+0061 LATIN SMALL LETTER A",
        r"228  e4                       \xe4  a[你]",
        r"       你  U+4F60 CJK UNIFIED IDEOGRAPH-4F60 (byte 1 of 3: \xe4)",
        r"189  bd                       \xbd  a[你]",
        r"       你  U+4F60 CJK UNIFIED IDEOGRAPH-4F60 (byte 2 of 3: \xbd)",
        r"160  a0                       \xa0  a[你]",
        r"       你  U+4F60 CJK UNIFIED IDEOGRAPH-4F60 (byte 3 of 3: \xa0)",
    ]


@few
@given(text=texts)
def test_nothing_in_a_text_steers_the_terminal(text: str) -> None:
    mapping = token_mapping(WORDS, text + HOSTILE, color=True)
    without_ours = re.sub(r"\x1b\[[0-9;]*m", "", mapping).replace("\n", "")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2028\ufeff]", without_ours)
    assert "\x1b[31m" not in get_colored_tokenization(WORDS, HOSTILE)


def test_the_mapping_is_linear() -> None:
    """The list of a text ten times as long is ten times as long."""
    short, long = (len(token_mapping(WORDS, EXAMPLE * times, color=False)) for times in (20, 200))
    assert long < 10.2 * short


def test_utf8_roles() -> None:
    assert [utf8_role(byte) for byte in (0x00, 0x7F, 0x80, 0xBF)] == ["ascii", "ascii", "continuation", "continuation"]
    assert [utf8_role(byte) for byte in (0xC0, 0xC2, 0xE4, 0xF0, 0xFF)] == [
        "invalid",
        "lead 2",
        "lead 3",
        "lead 4",
        "invalid",
    ]


def test_merge_trees() -> None:
    """Of our merges, and found again from tiktoken's ranks."""
    for tokenizer in (TIKTOKEN, BytePairEncodingTokenizer([(116, 104), (256, 101), (32, 256), (101, 110), (257, 110)])):
        nodes = nodes_of(tokenizer, tokens_of(tokenizer, "then the"))
        assert (nodes[b"the"].left, nodes[b"the"].right, nodes[b"the"].merge) == (b"th", b"e", 2)
        assert nodes[b"t"].merge == 0
    assert b"then" not in nodes or nodes[b"then"].left == b"the"


@few
@given(text=texts)
def test_the_curve_counts_tokens_after_each_merge(text: str) -> None:
    tokens = tokens_of(WORDS, text)
    for merges, count in tokens_after(nodes_of(WORDS, tokens), tokens)[::7]:
        earlier = BytePairEncodingTokenizer(WORDS.merges[:merges], special_tokens=())
        assert len(earlier.encode_ordinary(text)) == count


def test_the_page_allows_only_its_own_style_and_script() -> None:
    page = token_page({"words": WORDS, "<i>bytes</i>": BYTES}, HOSTILE)
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]
    assert policy.startswith("default-src 'none'; ")
    for tag, source in (("style", "style-src"), ("script", "script-src")):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}'" in policy
    assert page.count("<script") == 2
    assert "forged" not in re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)
    assert "<i>" not in page
    assert not re.search("[\x00\x1b\u202e\ufeff\u2028]", page)
    with pytest.raises(ValueError, match="at least one tokenizer and a text"):
        token_page({}, "a")


def test_the_page_in_a_browser(tmp_path: Path, tab: Tab) -> None:
    """Hover over a token, move the slider, and read what is shown."""
    write_token_page(tmp_path / "page.html", {"words": WORDS, "bytes": BYTES}, EXAMPLE + HOSTILE)
    tab.heard.clear()
    tab.show(900)
    tab.go((tmp_path / "page.html").as_uri())
    seen = tab.run(
        """(() => {
        const texts = () => Array.from(document.querySelectorAll(".panel"), panel => Array.from(
            panel.querySelectorAll(".token"), token => token.textContent));
        const move = value => { const slider = document.querySelector("#merges"); slider.value = value;
            slider.dispatchEvent(new Event("input")); return texts(); };
        const card = document.querySelector("#card"), tokens = document.querySelectorAll(".panel:first-child .token");
        const seen = {title: document.title, all: texts(), hidden: card.hidden};
        const string = Array.from(tokens).find(token => token.textContent === " string");
        string.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
        seen.card = card.textContent; seen.shown = !card.hidden;
        seen.code = Array.from(card.querySelectorAll(".tree code"), code => code.textContent);
        seen.none = move(0); seen.some = move(700); seen.again = move(1000); seen.closed = card.hidden;
        return seen; })()"""
    )
    assert seen["title"] == "Tokens"
    assert seen["hidden"] and seen["shown"] and seen["closed"]
    assert seen["all"] == seen["again"]
    words, single = seen["all"]
    assert len(words) == len(WORDS.encode_ordinary(EXAMPLE + HOSTILE))
    assert len(single) == len((EXAMPLE + HOSTILE).encode())
    assert "".join(words).startswith(EXAMPLE)
    assert seen["none"] == [single, single]
    assert len(words) < len(seen["some"][0]) < len(single)
    assert {r"\u202e", "\x1b"}.isdisjoint("".join(words))
    index = WORDS.encode_ordinary(" string")
    assert len(index) == 1 and f"id {index[0]}, merge {index[0] - 255}, 7 bytes" in seen["card"]
    assert seen["code"][0] == " string" and set(" string") <= set(seen["code"])
    assert [one for one in tab.heard if one.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")] == []
