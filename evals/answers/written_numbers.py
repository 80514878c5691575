"""Numbers in a text: their positions, and their values unless the notation is ambiguous."""

import dataclasses
import re
import unicodedata

import regex

from gpt_from_scratch.evals.answers.statements import REJECTS

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5"}
_VULGAR |= {"⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8", "⅐": "1/7", "⅑": "1/9", "⅒": "1/10"}
_SIGNS = str.maketrans({"−": "-", "–": "-", "×": "×", "·": "×", "⋅": "×", "∗": "*", "⁄": "/", "٫": ".", "٬": ","})
_REWRITTEN: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"\\([$%#&_])"), r"\1"),
    (re.compile(r"(?<=\d)(?:\{,\}|\\,|\\!,)(?=\d{3})"), ","),
    (re.compile(r"(?<=\d)[\u00a0\u2007\u2009\u202f\u205f\u200a](?=\d{3}(?!\d))"), "'"),
    (re.compile(r"(?<=\d)\s?\\[dt]?frac\s?\{?\s?(\d{1,9})\s?\}?\s?\{?\s?(\d{1,9})\s?\}?(?!\d)"), r" \1/\2"),
    (
        re.compile(r"\\[dt]?frac\s?\{\s?([-+]?\d{1,15}(?:\.\d{1,9})?)\s?\}\s?\{\s?(\d{1,15}(?:\.\d{1,9})?)\s?\}"),
        r"\1/\2",
    ),
    (re.compile(r"\\[dt]?frac\s?(\d)\s?(\d)(?!\d)"), r"\1/\2"),
    (re.compile(r"\s?\^\s?(?:\{\s?\\circ\s?\}|\\circ)"), "°"),
    (re.compile(r"\\(?:times|cdot)(?![a-z])"), "×"),
    (re.compile(r"\\approx(?![a-z])|\\simeq(?![a-z])"), "≈"),
    (re.compile(r"\\(?:le|leq|ge|geq|lt|gt|pm|neq?)(?![a-z])"), "≤"),
    (re.compile(rf"(?<=[{_CJK}])(?=[-+\d$.])|(?<=\d)(?=[{_CJK}])"), " "),
    (re.compile(r"\b(?:minus|negative)\s(?=[\d.$])", re.I), "-"),
    (re.compile(r"等于|等於"), "="),
]
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_SUPERSCRIPT = re.compile(r"(?<=[\d)])([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4})")
_FRACTION = re.compile(f"(\\d?)\\s?([{''.join(_VULGAR)}])")
_EMPHASIS = re.compile(r"[*_`]+")

_NUMBER = regex.compile(  # possessive groups are wrong in `re` before Python 3.11.5
    r"""(?<![^\W_]) (?<![\d.]) (?<!\d[,'])
    (?P<sign>[-+]\s?)? (?:[€£¥₹₩¢$]\s?(?P<inner>-(?=\d))?)?
    (?P<body>\d++(?:[.,']\d++|_\d++)*+(?:(?:\ \d{3}(?!\d))++(?:[.,]\d++)?)?+|\.\d++)
    (?P<exponent>[eE][-+]?\d{1,4}(?!\w|\.\d))?
    (?P<power>\s?[×x*]\s?10\s?(?:\^|\*\*)\s?[{(]?(?P<ten>[-+]?\d{1,4})[)}]?(?!\.?\d))?
    (?P<over>\s?/\s?(?P<below>\d{1,15}(?:\.\d{1,9})?+)(?![\d/,]))?
    (?P<mixed>\ (?P<above>\d{1,6})/(?P<under>\d{1,6})(?!\.?\d|/))?
    """,
    regex.X,
)
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}[.,]\d{3}(?![\d.,]\d|\d)")
_EXCHANGED = str.maketrans(".,", ",.")
_TEN_TO = re.compile(r"\s?(?:\^|\*\*)\s?[{(]?([-+]?\d{1,4})[)}]?(?!\.?\d)")
_UNIT = re.compile(
    r"(?:[kcmµμn]?m[²³23]?|km/h|[kmµμ]?g|[mµμn]?s|hrs?|h|min|sec|[mM]?[lL]|ft|in|lbs?|oz|mph|[kMGT]?i?B(?=\W|$)(?<=[kMGTi]B)|"
    r"[kM]?Wh?|[kMG]?Hz|kJ|eV|mol|k?Pa|pts?|px|USD|EUR|GBP|year|day|hour)(?![A-Za-z0-9^])"
)
_SCALE = re.compile(r"\s?(thousand|million|billion|trillion|hundred)(?![a-z])", re.I)
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_UNSURE_AFTER = re.compile(
    r"[\u0300-\u036f]|\s?[~〜]\s?\d|\s[rR]\s?\d|[^\S\n]\d|[₀-₉]|\s?\((?:or|and|to)\s|"
    r"\s(?:at (?:most|least)|in base|base|more than|less than|fewer than|or so)\b|\s?(?:以上|以下|以内|이상|이하|미만|초과)|"
    r"\s?[kKMB](?![A-Za-z])|\s?(?:dozen|score|mn|bn|mil)\b|\s?[万億亿千百]|:\d|\s?[\^√π!]+\s?[\d({a-z]|[\^√π({]|"
    r"\s?\\(?:sqrt|pi|cdot|div)|\s?[*×/÷^+]\s?[-+]?[\w(.\\√]|\s?x\s?[\d(]|\s?±|\s?\\pm|-\w|\s-\s?[\d(.]|\s-\s[a-z](?![a-z])|"
    r"\s?\.\.\s?\d|/|,\s?[-+]?\d|\s?(?:and|or|to|(?:out )?of)\s(?:[$€£]\s?)?[-+]?\d|[;]\s?\d|%\s?(?:of|off)\b|"
    r"\s(?:squared|cubed|plus|minus|times\s(?:[\d(]|[a-z]\b|as|more|bigger|larger|the|that)|"
    r"mod|choose|divided|multiplied|factorial|to the)\b|"
    r"\s(?:and an? (?:half|third|quarter|eighth)|or (?:more|less|fewer|greater|higher|lower)|and (?:up|above|more))\b|\+(?!\d)|"
    r"\s?(?:<(?![/|<])|>(?!>)|[≤≥≠])|\.\(|[.)][^\S\n]{1,2}[-+]?\d|"
    r"\s?(?:Millionen|Mio|Mrd|Milliarden|Tausend|mille|millones|milhões|milioni|milliards?|тыс\w*|млн|млрд|миллион\w*|"
    r"миллиард\w*|lakhs?|crores?)\b|\s(?:max|min)(?:imum)?\b|\s(?:degrees )?(?:below|above)\b|\s?→\s?\d|"
    rf"\s?[{REJECTS}]"
)
_UNSURE_BEFORE = re.compile(
    rf"[{REJECTS}]\s?$|"
    r"(?:[∛∜]|\b(?:log|ln|lg|exp|sin|cos|tan|cot|sec|csc|sqrt|floor|ceil)(?:_?\{?\w{1,3}\}?|[₀-₉]+)?[^\S\n]?[({]?|"
    r"\d\s?[~〜]|[A-Za-z]-|≡|\d\s?→|\b(?:by|exceed(?:s|ing)?|mod|modulo|base|http|error|status|code|year|room|"
    r"as (?:many|much) as|(?:min|max)imum of|within|über|unter|bis zu|jusqu'à|hasta|até|"
    r"fino a|fast|beinahe|casi|quasi|quase|presque|почти|до)|"
    r"\b(?:mindestens|höchstens|wenigstens|au (?:moins|plus)|al (?:menos|máximo)|como m[áí]\w+|pelo menos|no m[áa]ximo|almeno|"
    r"больше|меньше|более|менее|(?:plus|moins) de|m[áa]s de|menos de|mais de|(?:più|meno) di|(?:mehr|weniger) als)|"
    r"至少|至多|最多|最少|大于|大於|小于|小於|超过|超過|不到|"
    r"[/<>≤≥≠±^√#{|×÷]|\*\*?|!=|[<>]=|\bat (?:least|most)|\b(?:more|less|fewer|greater|smaller|larger|higher|lower) than|"
    r"\bup to|\b(?:under|over|between|below|above|nearly|almost)|\\sqrt|"
    r"\b(?:half|thirds?|quarters?|root|square|cube|one|two|three|four|five|percent|multiples?|factors?|logarithm|inverse|"
    r"reciprocal|opposite) (?:of|in)|\b(?:twice|double|triple|times|plus|divided by|multiplied by)|"
    r"[A-Za-z]\(|\d\s?(?:and|or|to|,|(?:out )?of)|\d\s?[-+])\s?$|\d:$",
    re.I,
)
_LABELLED = re.compile(
    r"\b(?:steps?|equations?|eqs?|figures?|figs?|tables?|problems?|questions?|parts?|options?|cases?|examples?|chapters?|pages?|"
    r"lines?|sections?|notes?|no|exercises?|items?|rounds?|levels?|versions?|phases?|tasks?|tests?|samples?|theorems?|rules?|"
    r"methods?|approach|appendix|point|row|column|q|ex)\s?[.#]?\s?$",
    re.I,
)
_DENIED = re.compile(
    r"(?:\bnot|n't|\brather than|\binstead of|\bnever)\s(?:just |about |only |equal to |be |exactly )?[$€£]?$", re.I
)
_POWER_OF_A_UNIT = re.compile(r"\d\s{0,3}(?:[kcm]?m|ft|in|s|yd|mi|units?|inches|meters|metres)\s?\^\s?\{?$")
_NUMBERING = re.compile(r"\s{0,8}\(?\d{1,2}[.)]\s+(?=\S)")
_MAY_BE_SIGNED = re.compile(r"(?:^|[=≈:(⟦→,]|\b(?:is|are|be|equals|was|about|exactly|get|gives))\s?$")

_BEFORE_SPACED = re.compile(r"(?:^|[\n=≈:($€£⟦→,-]|\b(?:is|are|was|be|about|approximately|equals|exactly))\s?$")
"""What stands before "1 234" where the space is no space between two numbers."""


@dataclasses.dataclass(frozen=True)
class Number:
    """A number in a text, from `start` to `end`.

    value: None where the writing can be read in two ways, or is part of a calculation, a range, a date or a bound
    aside: whether it stands in parentheses or brackets
    """

    start: int
    end: int
    value: float | None
    aside: bool


def rewritten(text: str) -> str:
    """The text with one way to write what has several: digits, fractions, powers, times, minus; LaTeX's among them."""
    text = _OTHER_DIGIT.sub(lambda match: str(unicodedata.decimal(match[0])), text)
    text = _SUPERSCRIPT.sub(lambda match: "^" + match[1].translate(_SUPERSCRIPTS), text).translate(_SIGNS)
    text = _FRACTION.sub(lambda match: f"{match[1]}{' ' * bool(match[1])}{_VULGAR[match[2]]}", text)
    for pattern, plainer in _REWRITTEN:
        text = pattern.sub(plainer, text)
    return text


def without_emphasis(text: str) -> str:
    """The text without Markdown's marks, but for a "*" or "_" between two numbers."""

    def mark(match: re.Match[str]) -> str:
        before = text[max(0, match.start() - 2) : match.start()].rstrip()[-1:]
        after = text[match.end() : match.end() + 2].lstrip()[:1]
        between = (before.isdigit() or before == ")") and (after.isdigit() or after in (*"(.-$",)) and after != ""
        return match[0] if between and match[0][0] in "*_" else ""

    return _EMPHASIS.sub(mark, text)


def numbers_in(text: str) -> list[Number]:
    """Every number that may be an answer: those of steps and lists, and what is said not to be it, are left out."""
    found = []
    depth, at, line_end = 0, 0, -1
    numbered = ended = -1
    for match in _NUMBER.finditer(text):
        between = text[at : match.start()]
        depth = max(0, depth + sum(map(between.count, "([")) - sum(map(between.count, ")]")))
        at = match.start()
        if match.start() > line_end:  # the first number of its line
            line_start = text.rfind("\n", 0, match.start()) + 1
            line_end = text.find("\n", match.start())
            line_end = len(text) if line_end < 0 else line_end
            numbering = _NUMBERING.match(text, line_start, min(line_end, line_start + 40))
            numbered = match.start() if numbering and re.search(r"\d", text[numbering.end() : line_end]) else -1
        before = text[max(0, match.start() - 40) : match.start()]
        if match.start() < ended or match.start() == numbered or _LABELLED.search(before) or _DENIED.search(before):
            continue
        if _POWER_OF_A_UNIT.search(before):
            continue
        value, end = _value(match, before, text, aside=depth > 0)
        ended = end
        found.append(Number(match.start(), end, value, depth > 0))
    both = _written_both_ways(text)
    return [
        dataclasses.replace(one, value=None) if both & {*_GROUPED.findall(text, one.start, one.end)} else one
        for one in found
    ]


def _written_both_ways(text: str) -> set[str]:
    """Every "1,500" and "1.500" of a text that has both: which mark ends the whole part is then unknown."""
    written = set(_GROUPED.findall(text))
    return {one for one in written if one.translate(_EXCHANGED) in written}


def _value(match: regex.Match, before: str, text: str, *, aside: bool) -> tuple[float | None, int]:
    """The value of a match of `_NUMBER`, and where it ends."""
    end = match.end()
    size = _size(match["body"], before)
    sign = match["sign"] or match["inner"] or ""
    alone = not (match["exponent"] or match["power"] or match["over"])
    if alone and not aside and match["body"] == "10" and (ten := _TEN_TO.match(text, end)):
        size, end = _scaled(1.0, ten[1]), ten.end()
    elif match["exponent"]:
        plain = size is not None and re.fullmatch(r"\d*\.?\d+", match["body"])
        size = _float(match["body"] + match["exponent"]) if plain else None
    if size is not None and match["power"]:
        size = _scaled(size, match["ten"])
    if size is not None and match["over"]:
        below = float(match["below"])
        size = None if aside or below == 0 else size / below
    if size is not None and match["mixed"]:
        above, under = int(match["above"]), int(match["under"])
        size = size + above / under if above < under and size == int(size) and not match["over"] else None
    after = text[end : end + 24]
    if size is not None and (scale := _SCALE.match(after)):
        size, end, after = size * _SCALES[scale[1].lower()], end + scale.end(), text[end + scale.end() : end + 24]
    decade = after.startswith("s") and re.fullmatch(r"\d{3}0", match["body"])
    if re.match(r"[^\W\d_]", after) and (decade or not _UNIT.match(after)):
        return None, end
    if "." in match["body"] and re.match(r"\.{2}|…", after):  # 0.333...
        return None, end
    if _UNSURE_AFTER.match(after) or _UNSURE_BEFORE.search(before):
        return None, end
    if after.startswith("!") and not re.search(r"[^\W\d_]{2,}[^=]{0,12}$", before):  # a factorial
        return None, end
    if re.fullmatch(r"(?:19|20)\d\d", match[0]) and re.search(
        r"\b(?:in|since|until|from|of|early|late|mid)[\s-]$", before, re.I
    ):
        return None, end  # a year
    if sign and not _signs(sign, before):
        return None, end
    if size is None or size == float("inf"):
        return None, end
    return (-size if "-" in sign else size), end


def _signs(sign: str, before: str) -> bool:
    """Whether a "-" or "+" is the number's sign, not an operator, a dash or a bullet."""
    if sign.endswith((" ", "\n")):
        return before.strip() == "" or _MAY_BE_SIGNED.search(before) is not None
    return re.search(r"(?:[\w)]|[\d)]\s|[-+]\s?)$", before) is None


def _size(body: str, before: str) -> float | None:
    """The value of digits with marks between them; None where these can be read in two ways."""
    whole = r"\d{1,3}"
    if len(body) > 400:
        long = re.fullmatch(r"(\d{0,320}\.)(\d+)", body)
        return _float(long[1] + long[2][:60]) if long else None
    if re.fullmatch(r"\d+\.?\d*|\.\d+", body):
        return _float(body)
    if " " in body and not _BEFORE_SPACED.search(before):
        return None
    for group, point in ((",", r"\."), ("'", "[.,]"), ("_", r"\."), (" ", "[.,]")):
        if re.fullmatch(rf"(?!0){whole}(?:{group}\d{{3}})+(?:{point}\d+)?", body):
            return _float(body.replace(group, "").replace(",", "."))
    if re.fullmatch(r"(?!0)\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?", body):  # lakhs and crores
        return _float(body.replace(",", ""))
    if re.fullmatch(rf"(?!0){whole}(?:\.\d{{3}})+,\d+|(?!0){whole}(?:\.\d{{3}}){{2,}}", body):
        return _float(body.replace(".", "").replace(",", "."))
    return None


def _scaled(value: float, ten: str) -> float | None:
    return _float(f"{value!r}e{ten}") if "e" not in repr(value) else value * float(f"1e{ten}")


def _float(text: str) -> float | None:
    value = float(text)
    return value if value != float("inf") else None
