"""Pages that are escaped by construction: whatever is not `Markup` is text, and becomes markup only through `escape`.

    page("Run 1", element("h1", name), element("p", "loss ", element("b", "1.08")), style=CSS)

A page needs nothing beside itself and runs nothing: no script, no request, and a content security policy that says so and
allows the one style sheet by its hash.
"""

import base64
import hashlib
import html

from gpt_from_scratch.support.visible import visible


class Markup(str):
    """HTML that `element`, `escape` or `svg.inline` made. Never wrap text of unknown origin in it."""

    __slots__ = ()


VOID = frozenset({"br", "col", "hr", "meta"})
"""Elements that have no end tag."""


def escape(text: object) -> Markup:
    """Text as markup: hidden characters shown, ``& < > " '`` escaped."""
    return text if isinstance(text, Markup) else Markup(html.escape(visible(str(text)), quote=True))


def join(*parts: object) -> Markup:
    """Parts one after another; those that are not `Markup` are escaped."""
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


def page(title: str, *body: object, style: str) -> str:
    """A whole HTML document. `style` is our own CSS, written as it is; nothing else may style, load or run anything.

    Raises:
        ValueError: The style sheet would end its own element.
    """
    if "</" in style:
        raise ValueError("a style sheet inside a page cannot contain '</'")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        Markup(f"<style>{style}</style>"),
    )
    return f"<!doctype html>\n{element('html', head, element('body', *body), lang='en')}\n"
