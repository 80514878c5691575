"""Sanitizer of SVG for embedding in a page: only shapes and text, nothing that loads or runs."""

import re
import xml.etree.ElementTree as ET

from gpt_from_scratch.support.pages.html_page import Markup, element

SHAPES = frozenset(
    {"g", "path", "defs", "clipPath", "rect", "circle", "line", "polyline", "polygon", "use", "text", "tspan"}
)
ATTRIBUTES = frozenset(
    {
        "id",
        "d",
        "x",
        "y",
        "x1",
        "y1",
        "x2",
        "y2",
        "width",
        "height",
        "cx",
        "cy",
        "r",
        "points",
        "transform",
        "clip-path",
    }
    | {"fill", "fill-opacity", "fill-rule", "opacity", "text-anchor", "font-size", "stroke", "stroke-width"}
    | {"stroke-opacity", "stroke-linecap", "stroke-linejoin", "stroke-dasharray", "stroke-dashoffset"}
)
VALUE = re.compile(r"[\w\s.,%#()+\-:]*")
"""Allowed values of an attribute: numbers, names, colours, path data, transforms. No quotes, no slashes, no semicolons."""
LOCAL = re.compile(r"#[\w\-]+")


def inline(svg: str, label: str, *, name: str, ink: str | None = None) -> Markup:
    """The shapes and the text of an SVG document as an element that scales with its surroundings.

    Args:
        svg: A whole SVG document with a viewBox.
        label: What the drawing shows, for those who cannot see it.
        name: Put before every id, since the ids of one page must differ.
        ink: The colour that becomes the page's own text colour, light or dark.

    Raises:
        ValueError: Not an SVG document, or one without a viewBox.
    """
    try:
        root = ET.fromstring(svg)
    except ET.ParseError as error:
        raise ValueError(f"not an SVG document: {error}") from error
    view = root.get("viewBox")
    if _local(root.tag) != "svg" or view is None or not VALUE.fullmatch(view):
        raise ValueError("not an SVG document with a viewBox")
    return element("svg", *_children(root, name, ink), viewBox=view, role="img", aria_label=label)


def _children(parent: ET.Element, name: str, ink: str | None) -> list[object]:
    parts: list[object] = []
    for child in parent:
        tag = _local(child.tag)
        if tag not in SHAPES:
            continue
        text = child.text if tag in ("text", "tspan") and child.text else ""
        parts.append(element(tag, text, *_children(child, name, ink), **_attributes(child, name, ink)))
    return parts


def _attributes(shape: ET.Element, name: str, ink: str | None) -> dict[str, str]:
    """The attributes that may stay; the declarations of a style attribute become attributes of their own."""
    found = {_local(key): value for key, value in shape.attrib.items()}
    for declaration in found.pop("style", "").split(";"):
        key, _, value = declaration.partition(":")
        found[key.strip()] = value.strip()
    if size := re.match(r"(?:\w+ )*([\d.]+px)\b", found.pop("font", "")):
        found["font-size"] = size[1]
    kept = {}
    for key, value in found.items():
        if key == "href" and LOCAL.fullmatch(value):
            kept["href"] = f"#{name}-{value[1:]}"
        elif key in ATTRIBUTES and VALUE.fullmatch(value):
            value = re.sub(r"url\(#", f"url(#{name}-", value)
            if "url(" in value and not value.startswith(f"url(#{name}-"):
                continue
            kept[key] = f"{name}-{value}" if key == "id" else "currentColor" if ink and value.lower() == ink else value
    return kept


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
