"""A page that shows what each feature fires on: its strongest texts, every token coloured by its activation, and a map.

Self-contained: no script, nothing loaded; every token is escaped, since a corpus may hold anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.dictionary.gpt_sites import Collected
from gpt_from_scratch.models.dictionary.sparse_autoencoder import SparseAutoencoder
from gpt_from_scratch.support.pages.html_page import Markup, element, join, page
from gpt_from_scratch.training.features.map import ABOUT, Method, plane_of

BEFORE, AFTER = 16, 6
"""Tokens shown around the one on which the feature fires most."""
LEVELS = 8
"""Shades of a token's activation."""
MAP = 600
"""Width and height of the map, in its own units."""

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "svg{width:100%;max-width:38rem;border:1px solid #8886}circle{fill:#2f7fc1;fill-opacity:.6}circle:hover{fill:#d9730d}"
    ".other{fill:#888}"
    "h2{margin:1.6rem 0 .2rem;font-size:1rem}p{margin:.2rem 0}"
    ".text{font-family:ui-monospace,monospace;font-size:.85rem;white-space:pre-wrap;overflow-wrap:anywhere;"
    "border-left:2px solid #8886;padding-left:.6rem;margin:.3rem 0}.quiet{color:#777}"
    + "".join(f".a{level}{{background:rgb(217 115 13/{level / LEVELS:.2f})}}" for level in range(1, LEVELS + 1))
)


@dataclass(frozen=True)
class Feature:
    """One feature: how often it fires, how strongly, and where most."""

    index: int
    density: float
    """part of the tokens on which it fires"""
    strongest: float
    peaks: tuple[int, ...]
    """the tokens (places in the collected text) on which it fires most, each in another sequence"""


def strongest_features(
    codes: Float[Tensor, "n m"], collected: Collected, count: int, examples: int = 6
) -> list[Feature]:
    """The `count` features that fire most often (0: all that fire), each with its strongest examples."""
    fires = (codes > 0).float().mean(dim=0)
    order = [index for index in fires.argsort(descending=True).tolist() if fires[index] > 0]
    features = []
    for index in order[:count] if count else order:
        column = codes[:, index]
        peaks: dict[int, int] = {}  # the first, strongest place of each sequence
        for place in column.topk(min(len(column), 40 * examples)).indices.tolist():
            if column[place] > 0 and len(peaks) < examples:
                peaks.setdefault(int(collected.sequence[place]), place)
        features.append(Feature(index, float(fires[index]), float(column.max()), tuple(peaks.values())))
    return features


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
    """The HTML document. `figures` are (name, value) pairs for its head; `decode` gives a token's text.

    Raises what `feature_map.plane_of` raises.
    """
    features = strongest_features(codes, collected, count)
    table = element("table", *(element("tr", element("th", name), element("td", value)) for name, value in figures))
    shown = [_feature(feature, codes, collected, decode) for feature in features]
    intro = (
        f"The {len(features)} features that fire most often, with the texts on which each fires most. "
        f"Darker: fires more. The map places every feature that fires by its decoder direction ({ABOUT[method]})."
    )
    return page(
        title, element("h1", title), table, element("p", intro), _map(sae, codes, features, method), *shown, style=STYLE
    )


def _map(sae: SparseAutoencoder, codes: Float[Tensor, "n m"], features: list[Feature], method: Method) -> Markup:
    """A dot for every feature that fires; those that the page shows are links."""
    plane = plane_of(sae.decoder.detach(), method)
    density = (codes > 0).float().mean(dim=0).tolist()
    listed = {feature.index for feature in features}
    dots = []
    for index in sorted((i for i, part in enumerate(density) if part > 0), key=listed.__contains__):
        x, y = ((plane[index] * 0.46 + 0.5) * MAP).tolist()
        name = element("title", f"feature {index}, fires on {density[index]:.2%} of tokens")
        place = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": f"{2 + 12 * density[index] ** 0.5:.1f}"}
        if index in listed:
            dots.append(element("a", element("circle", name, **place), href=f"#feature-{index}"))
        else:
            dots.append(element("circle", name, class_="other", **place))
    label = "map of the features' decoder directions"
    return element("svg", *dots, viewBox=f"0 0 {MAP} {MAP}", role="img", aria_label=label)


def _feature(
    feature: Feature, codes: Float[Tensor, "n m"], collected: Collected, decode: Callable[[int], str]
) -> Markup:
    about = f"fires on {feature.density:.2%} of tokens, at most {feature.strongest:.3f}"
    texts = [_text(place, feature, codes, collected, decode) for place in feature.peaks]
    return element(
        "section",
        element("h2", f"feature {feature.index}"),
        element("p", about, class_="quiet"),
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
