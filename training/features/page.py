"""A page that shows what each feature fires on: a map, a table to search, and the strongest texts of each.

Self-contained: nothing is loaded, and only the page's own script runs; every token is escaped, since a corpus may hold
anything.
"""

from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.dictionary.gpt_sites import Collected
from gpt_from_scratch.models.dictionary.sparse_autoencoder import SparseAutoencoder
from gpt_from_scratch.support.pages.html_page import Markup, element, join, page
from gpt_from_scratch.training.features.feature import Feature, strongest_features
from gpt_from_scratch.training.features.map import ABOUT, Method, plane_of
from gpt_from_scratch.training.features.page_assets import LEVELS, SCRIPT, STYLE

BEFORE, AFTER = 16, 6
"""Number of tokens shown before and after the strongest activation."""
MAP = 600
"""Width and height of the map, in SVG units."""
LONGEST = 20
"""Characters of a token where it names a feature."""
TILES = ("variance explained", "loss recovered", "l0", "dead")
"""The figures that stand large at the top, if they are given; all stand in a table below."""


def feature_page(
    title: str,
    figures: Sequence[tuple[str, str]],
    sae: SparseAutoencoder,
    codes: Float[Tensor, "n m"],
    collected: Collected,
    decode: Callable[[int], str],
    count: int = 100,
    method: Method = "pca",
) -> str:
    """The HTML document. `figures` are (name, value) pairs; `decode` gives the text of a token's id.

    Raises what `feature_map.plane_of` raises.
    """
    fire = strongest_features(codes, collected, 0)
    listed = fire[:count] if count else fire
    about = (
        f"{len(fire):,} of {codes.shape[1]:,} features fire on this text; here are the {len(listed):,} that fire most often, "
        "each named by the tokens that set it off. Point at a dot or a row to see which belongs to which; click for the texts."
    )
    tiles = [
        element("div", element("dt", name), element("dd", value))
        for name, value in figures
        if name in TILES and "(" not in value
    ]
    rows = [element("tr", element("th", name, scope="row"), element("td", value)) for name, value in figures]
    return page(
        title,
        element("header", element("h1", title), element("p", about, class_="about")),
        element("dl", *tiles, class_="tiles") if tiles else "",
        element("details", element("summary", "All figures"), element("div", element("table", *rows), class_="scroll")),
        element(
            "div",
            Markup(
                '<input type="search" id="search" placeholder="a token, or a feature\'s number" aria-label="search">'
            ),
            element("output", "", id="shown", for_="search"),
            class_="bar",
        ),
        element(
            "div",
            element(
                "figure",
                element("figcaption", f"Features lie near those of a similar direction ({ABOUT[method]})"),
                element(
                    "div",
                    _map(sae, fire, listed, decode, method),
                    element("div", "", id="tip", hidden="hidden"),
                    class_="map",
                ),
            ),
            element("figure", _table(listed, decode), class_="list", tabindex="0"),
            class_="views",
        ),
        element("h2", "The texts on which each fires most"),
        element("p", "The stronger a token's colour, the more the feature fires on it.", class_="soft"),
        element("div", *[_feature(feature, codes, collected, decode) for feature in listed], class_="features"),
        style=STYLE,
        script=SCRIPT,
    )


def label(token: str) -> str:
    """A token's text where blanks would not be seen, and a long one would hide others."""
    text = token.replace("\n", "⏎") if token.strip(" ") else token.replace(" ", "␣") or "∅"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _name(feature: Feature, decode: Callable[[int], str]) -> Markup:
    """The tokens that set a feature off, each with its part of all that it fires."""
    parts = [
        element("span", element("code", label(decode(token))), element("small", f"{part:.0%}"))
        for token, part in feature.tokens
    ]
    return element("span", *parts, class_="name")


def _map(
    sae: SparseAutoencoder, fire: list[Feature], listed: list[Feature], decode: Callable[[int], str], method: Method
) -> Markup:
    """A dot for every feature that fires; those that the page lists are links, and lie above the others."""
    plane = plane_of(sae.decoder.detach(), method)
    links = {feature.index for feature in listed}
    dots = []
    for feature in sorted(fire, key=lambda one: one.index in links):
        x, y = ((plane[feature.index] * 0.46 + 0.5) * MAP).tolist()
        tokens = ", ".join(label(decode(token)) for token, _ in feature.tokens)
        name = f"feature {feature.index}: {tokens}\nfires on {feature.density:.2%} of tokens"
        size = f"{3 + 14 * feature.density**0.5:.1f}"
        linked = feature.index in links
        dot = element(
            "circle",
            cx=f"{x:.1f}",
            cy=f"{y:.1f}",
            r=size,
            class_=None if linked else "other",
            data_feature=feature.index,
            data_name=name,
        )
        dots.append(element("a", dot, href=f"#feature-{feature.index}", aria_label=name) if linked else dot)
    return element("svg", *dots, viewBox=f"0 0 {MAP} {MAP}", role="img", aria_label="map of the features' directions")


def _table(listed: list[Feature], decode: Callable[[int], str]) -> Markup:
    """A row for every feature that the page lists."""
    heads = ("feature", "tokens that set it off", "fires on", "at most")
    rows = [
        element(
            "tr",
            element("td", element("a", feature.index, href=f"#feature-{feature.index}")),
            element("td", _name(feature, decode)),
            element("td", f"{feature.density:.2%}"),
            element("td", f"{feature.strongest:.2f}"),
            data_feature=feature.index,
        )
        for feature in listed
    ]
    head = element("tr", *(element("th", name, scope="col") for name in heads))
    return element("table", element("thead", head), element("tbody", *rows))


def _feature(
    feature: Feature, codes: Float[Tensor, "n m"], collected: Collected, decode: Callable[[int], str]
) -> Markup:
    about = f"fires on {feature.density:.2%} of tokens, at most {feature.strongest:.3f}"
    texts = [_text(place, feature, codes, collected, decode) for place in feature.peaks]
    return element(
        "section",
        element("h3", element("span", f"feature {feature.index}"), _name(feature, decode)),
        element("p", about, class_="soft"),
        *texts,
        id=f"feature-{feature.index}",
    )


def _text(
    place: int, feature: Feature, codes: Float[Tensor, "n m"], collected: Collected, decode: Callable[[int], str]
) -> Markup:
    first, last = max(0, place - BEFORE), min(len(codes), place + AFTER + 1)
    tokens = []
    for i in range(first, last):
        if collected.sequence[i] != collected.sequence[place]:
            continue
        part = float(codes[i, feature.index]) / feature.strongest
        level = None if part <= 0 else f"a{max(1, round(part * LEVELS))}"
        tokens.append(element("span", decode(int(collected.tokens[i])), class_=level))
    return element("div", join(*tokens), class_="text")
