"""HTML pages that are escaped by construction: anything that is not `Markup` is escaped text.

    page("Run 1", element("h1", name), element("p", "loss ", element("b", "1.08")), style=CSS)

A page is self-contained: it makes no requests, and runs nothing except its own script, if there is one. A content security
policy enforces this, with hashes of the style sheet and the script.
"""

import base64
import hashlib
import html

from gpt_from_scratch.support.visible import visible


class Markup(str):
    """HTML made by `element`, `escape` or `svg.inline`. Never wrap untrusted text in it."""

    __slots__ = ()


VOID = frozenset({"br", "col", "hr", "meta"})
"""Elements that have no end tag."""


def escape(text: object) -> Markup:
    """Convert text to markup, with hidden characters made visible and ``& < > " '`` escaped."""
    return text if isinstance(text, Markup) else Markup(html.escape(visible(str(text)), quote=True))


def join(*parts: object) -> Markup:
    """Concatenate parts; those that are not `Markup` are escaped."""
    return Markup("".join(map(escape, parts)))


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """``<tag attributes>children</tag>``; ``class_`` is written ``class``, ``http_equiv`` ``http-equiv``, and None left out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    opened = f"<{tag}{written}>"
    return Markup(opened if tag in VOID else f"{opened}{join(*children)}</{tag}>")


def page(
    title: str, *body: object, style: str, script: str | None = None, images: bool = False, refresh: int | None = None
) -> str:
    """A complete HTML document. Its content security policy allows only the given style and script.

    Args:
        style: our own CSS, written as it is.
        script: our own JavaScript, written as it is behind the body; None: the page runs nothing.
        images: allow images that are written into the page (``data:``).
        refresh: seconds after which the browser opens the page again; None: it stays as it is.

    Raises:
        ValueError: The style sheet or the script would end its own element.
    """
    for name, text in (("style sheet", style), ("script", script or "")):
        if "</" in text:
            raise ValueError(f"a {name} inside a page cannot contain '</'")
    policy = [f"default-src 'none'; style-src {_source(style)}"]
    policy += [f"script-src {_source(script)}"] if script is not None else []
    policy += ["img-src data:"] if images else []
    policy += ["base-uri 'none'; form-action 'none'"]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content="; ".join(policy)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="refresh", content=refresh) if refresh is not None else "",
        element("title", title),
        Markup(f"<style>{style}</style>"),
    )
    last = Markup("") if script is None else Markup(f"<script>{script}</script>")
    return f"<!doctype html>\n{element('html', head, element('body', *body, last), lang='en')}\n"


def _source(text: str) -> str:
    """The source expression (hash) of this style sheet or script in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
