"""Pages that are escaped by construction, and drawings that bring nothing but shapes and text."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.support.pages.html_page import Markup, element, escape, join, page
from gpt_from_scratch.support.pages.svg import inline
from gpt_from_scratch.support.visible import visible


class Reader(HTMLParser):
    """The tags, attributes and text that a browser would find."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(), st.text())
def test_any_text_stays_text(text: str, value: str) -> None:
    read = Reader(element("p", text, title=value))
    assert read.tags == ["p"]
    assert read.attributes == [("title", visible(value))]
    assert read.text == visible(text)


def test_markup_is_not_escaped_twice() -> None:
    assert element("p", element("b", "a < b"), " & c") == "<p><b>a &lt; b</b> &amp; c</p>"
    assert join("<", Markup("<br>"), 3) == "&lt;<br>3"
    assert escape(escape("'\"")) == "&#x27;&quot;"


def test_attributes() -> None:
    assert element("meta", http_equiv="x", class_="y", id=None) == '<meta http-equiv="x" class="y">'


def test_the_policy_allows_the_style_sheet_alone() -> None:
    style = "p { color: red }"
    written = page("a <title>", element("p", "hello"), style=style)
    policy = dict(Reader(written).attributes)["content"] or ""
    digest = base64.b64encode(
        hashlib.sha256(re.search(r"<style>(.*)</style>", written, re.DOTALL)[1].encode()).digest()
    )  # type: ignore[index]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', written)[1]  # type: ignore[index]
    assert policy.replace("&#x27;", "'").startswith(f"default-src 'none'; style-src 'sha256-{digest.decode()}';")
    assert "unsafe" not in policy
    assert written.startswith("<!doctype html>")
    assert "<title>a &lt;title&gt;</title>" in written


def test_a_style_sheet_cannot_end_its_element() -> None:
    with pytest.raises(ValueError, match="cannot contain '</'"):
        page("t", style="</style><script>")


HOSTILE = """<?xml version="1.0"?><!DOCTYPE svg><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 viewBox="0 0 10 10" onload="alert(1)" width="9cm">
<style>* { fill: url(http://x) }</style><script>alert(2)</script><metadata>who</metadata><image href="http://x/y.png"/>
<foreignObject><p>html</p></foreignObject><a href="javascript:alert(3)"><text>kept out</text></a>
<defs><path id="m" d="M0 0"/><clipPath id="c"><rect x="1" y="1" width="2" height="2"/></clipPath></defs>
<g clip-path="url(#c)" onclick="alert(4)" style="stroke: #123456; fill: url(http://x); stroke-width: 2">
<use xlink:href="#m" x="1"/><use href="http://x/#m"/><use href="javascript:alert(5)"/>
<rect clip-path="url(http://x#c)" x="1&quot; onload=&quot;"/>
<text style="font: 9px 'DejaVu Sans'; text-anchor: middle">a &lt;b&gt;</text></g></svg>"""


def test_a_drawing_keeps_only_shapes_and_text() -> None:
    drawn = inline(HOSTILE, 'a "label"', name="one", ink="#123456")
    assert drawn == (
        '<svg viewBox="0 0 10 10" role="img" aria-label="a &quot;label&quot;">'
        '<defs><path id="one-m" d="M0 0"></path>'
        '<clipPath id="one-c"><rect x="1" y="1" width="2" height="2"></rect></clipPath></defs>'
        '<g clip-path="url(#one-c)" stroke="currentColor" stroke-width="2">'
        '<use href="#one-m" x="1"></use><use></use><use></use><rect></rect>'
        '<text text-anchor="middle" font-size="9px">a &lt;b&gt;</text></g></svg>'
    )


@pytest.mark.parametrize("svg", ["", "<svg", "<p/>", '<svg xmlns="http://www.w3.org/2000/svg"/>', "\x00"])
def test_what_is_no_drawing_is_refused(svg: str) -> None:
    with pytest.raises(ValueError, match="not an SVG document"):
        inline(svg, "label", name="n")


def test_a_script_and_images_are_allowed_only_where_they_are_asked_for() -> None:
    plain = page("t", style="p {}")
    assert "script" not in plain
    assert "img-src" not in plain
    script = "document.title = '<ready>';"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    written = page("t", style="p {}", script=script, images=True)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', written)[1]  # type: ignore[index]
    assert f"script-src 'sha256-{digest}'; img-src data:; base-uri 'none'" in policy.replace("&#x27;", "'")
    assert written.count(f"<script>{script}</script></body>") == 1
    with pytest.raises(ValueError, match="a script inside a page cannot contain '</'"):
        page("t", style="", script="</script>")
