"""Parser for the number in a model's free-text answer; None if it is ambiguous."""

import bisect
import re
from collections.abc import Sequence

from gpt_from_scratch.evals.answers.statements import (
    AS_FINAL,
    AS_THE_ANSWER,
    CUE,
    EXPLAINS,
    NOT,
    Stated,
    after_cue,
    asks,
    denied,
    doubtful,
    settled,
    supposed,
    taken_back,
)
from gpt_from_scratch.evals.answers.text import undressed
from gpt_from_scratch.evals.answers.written_numbers import Number, numbers_in, rewritten, without_emphasis

_PLAIN = re.compile(r"\s{0,9}([-+]?(?:\d{1,400}\.?\d{0,400}|\.\d{1,400})(?:[eE][-+]?\d{1,4})?)\s{0,9}", re.ASCII)
_MARKED = re.compile(r"^\s{0,3}#{3,6}\s?(?=[-+$\d.])([^\n]{0,200})", re.M)
_EQUALS = re.compile(r"(?<![<>!≠=:])[=≈](?!=)")
_NEAR = re.compile(
    r"[\s:]{0,3}(?:(?:about|approximately|approx\.?|around|roughly|exactly|equal to|just|only|[A-Z]{2,3}\$?|[~≈€£¥$])"
    r"\s{0,2}){0,2}[(\[]?$",
    re.I,
)
_SHORT = re.compile(r"\b(?:approx|Rs|ca|no)\.$", re.I)
_SENTENCE = re.compile(r"\n|[.!?;。](?=\s|$)")
_CONCLUDES = re.compile(
    r"(?:\b(?:is|equals|are|makes|gives|get|gets|yields|leaves|be|becomes|have|has|so|thus|therefore|hence|total of)|[:→])"
    r",?\s{0,2}(?:about |exactly |only )?$",
    re.I,
)
_SUMMING_UP = re.compile(
    r"\b(?:so|thus|therefore|hence|altogether|together|combined|in total|total|overall|finally|in all)\b", re.I
)
_RESULTS = r"(?![^,]*\b(?:get|gives?|have|then|so)\b)"
_SHOWS = re.compile(
    rf"\b(?:check\w*|verif\w+|proof|test|since|because|as(?! a result| such)|recall|note|plug\w*|substitut\w+)\b{_RESULTS}",
    re.I,
)
_SUPPOSES = re.compile(rf"\b(?:where|given|let|if|when|with|for|suppose|assum\w+)\b{_RESULTS}", re.I)
_ASSIGNED = re.compile(r"([A-Za-z]\w{0,20})(?:\(\w{1,5}\))?\s?$")
_NO_NUMBER = re.compile(
    r"\b(?:undefined|infinit\w*|inf|nan|indeterminate|impossible|unknown|cannot|can't|does not exist|doesn't exist|"
    r"no (?:real |such |unique )?(?:solution|answer|number|value)|don't know|do not know|"
    r"not (?:sure|known|enough|defined|a number))\b|∞",
    re.I,
)
_LEADS_ON = re.compile(r"\b(?:so|thus|therefore|hence|then|giv(?:es|ing)|means|total|get)\b|→|⇒|=>|∴", re.I)
_TOTAL = re.compile(r"total|sum|answer|result|ans|value|output", re.I)
_SET = re.compile(r"^[^\w\n]{0,4}([A-Za-z]\w{0,20})\s?=\s?[-+]?[\d.]{1,20}\s{0,3}$", re.M)


def read_number(text: str) -> float | None:
    """The number that an answer gives; None if there is none, more than one, or it is ambiguous.

    What is marked as the final answer counts (\\boxed, "#### 42"), then what is named as the answer ("The answer is 42
    because ..."), then what follows the last "=" or "≈", then the one number there is. Numbers in parentheses, of steps and
    of lists, and what is said not to be it, are passed over; a number inside a calculation is no answer: "(8 - 4)" says
    nothing, "8 - 4 = 4" does. Of contradicting answers the last counts where it is said to correct the one before.

    Understood are signs, thousands' and decimal marks of several countries where they leave no doubt, powers of ten,
    fractions, mixed numbers, LaTeX and units; "50 %" is 50. What overflows a float, or divides by zero, is None.
    """
    if plain := _PLAIN.fullmatch(text):
        value = float(plain[1])
        return value if abs(value) != float("inf") else None
    text = without_emphasis(undressed(rewritten(text)))
    if marked := [*re.finditer(r"⟦([^⟧]{0,200})⟧", text), *_MARKED.finditer(text)]:
        return settled([Stated(m.start(), m.end(), _alone(m[1]), AS_FINAL) for m in marked], text)
    numbers = numbers_in(text)
    named, refused = _named(text, numbers)
    if named:
        return settled(named, text)
    if refused:
        return None
    alone = numbers_in(text.strip().partition("\n")[0]) if numbers else []
    stated = alone[0].value if len(alone) == 1 and re.fullmatch(r"\W*\S+\W*", text.strip().partition("\n")[0]) else None
    for reading in (_after_equals, _the_only_one):
        if found := reading(text, numbers):
            return found[0] if stated in (None, found[0]) else None
    return None


def _alone(text: str) -> float | None:
    """The number of a few words that are marked as the answer."""
    numbers = numbers_in(text)
    found = _after_equals(text, numbers) or _the_only_one(text, numbers)
    return found[0] if found else None


def _named(text: str, numbers: Sequence[Number]) -> tuple[list[Stated[float]], bool]:
    """The text after "the answer is" and similar cues, up to the end of the sentence, and whether a number is denied."""
    stated: list[Stated[float]] = []
    refused = False
    at = 0
    for cue in CUE.finditer(text):
        if (found := after_cue(text, cue)) is None:
            end = _end_of_sentence(text, cue.end())
            first = bisect.bisect_left(numbers, cue.end(), key=lambda number: number.start)
            if first < len(numbers) and numbers[first].start < end:
                between = text[cue.end() : numbers[first].start]
                refused |= NOT.search(between) is not None or doubtful(text, cue.start())
            continue
        start, weight = found
        end = _end_of_sentence(text, start)
        while at < len(numbers) and numbers[at].start < start:
            at += 1
        inside = [number for number in numbers[at : at + 20] if number.start < end]
        if not inside or asks(text, inside[0].end):
            continue
        value = _of_sentence(text, start, end, inside)
        ends = next((number.end for number in inside if number.value == value), inside[-1].end)
        stated.append(Stated(cue.start(), ends, value, weight))
    if not stated and (leading := _leading(text, numbers)) is not None:
        stated.append(leading)
    return stated, refused


def _leading(text: str, numbers: Sequence[Number]) -> Stated[float] | None:
    """The one number of the first line, where the next ones only explain it."""
    line = text.lstrip().partition("\n")[0]
    end = text.index(line) + len(line)
    inside = [number for number in numbers[:2] if number.end <= end]
    if len(inside) != 1 or not EXPLAINS.match(text, end):
        return None
    return Stated(0, end, inside[0].value, AS_THE_ANSWER)


def _of_sentence(text: str, start: int, end: int, inside: Sequence[Number]) -> float | None:
    """The number of a sentence that says the answer, of which `inside` are the numbers."""
    if equals := [*_EQUALS.finditer(text, start, min(end, start + 400))]:
        after = [number for number in inside if number.start >= equals[-1].end()]
        return after[0].value if after and _NEAR.match(text, equals[-1].end(), after[0].start) else None
    first = inside[0]
    if _NEAR.match(text, start, first.start):
        return first.value
    if NOT.search(text, start, first.start):
        return None
    values = {number.value for number in inside if not number.aside}
    return values.pop() if len(values) == 1 else None


def _end_of_sentence(text: str, start: int) -> int:
    """End of the sentence at `start`, at most 400 characters later."""
    begins = start + len(text[start : start + 8]) - len(text[start : start + 8].lstrip())
    found = _SENTENCE.search(text, begins, begins + 400)
    while found is not None and _SHORT.search(text, max(0, found.start() - 8), found.end()):
        found = _SENTENCE.search(text, found.end(), begins + 400)
    return found.start() if found else begins + 400


def _after_equals(text: str, numbers: Sequence[Number]) -> tuple[float | None] | None:
    """The number after the last "=" that states a result; None if there is none."""
    at = len(numbers)
    shows = supposes = False
    for equals in reversed([*_EQUALS.finditer(text)]):
        while at > 0 and numbers[at - 1].start >= equals.end():
            at -= 1
        if at == len(numbers):
            continue
        clause = _clause(text, equals.start())
        if _SHOWS.search(clause):  # "check: 2 + 2 = 4", "since 2 + 2 = 4"
            if numbers[0].start < equals.start() and numbers[0].value == numbers[at].value:
                return (numbers[0].value,)
            shows = True
        elif _SUPPOSES.search(clause):  # "let x = 3"
            supposes = True
        else:
            return (_result(text, numbers, equals, at, last=not (shows or supposes)),)
    return (None,) if supposes else None


def _result(text: str, numbers: Sequence[Number], equals: re.Match[str], at: int, *, last: bool) -> float | None:
    """The value of the number at place `at`, behind `equals`, where it is the result.

    last: whether no equation follows, one that shows it or supposes something
    """
    number = numbers[at]
    if not _NEAR.match(text, equals.end(), number.start) or number.value is None:
        return None
    earlier = [*_EQUALS.finditer(text, max(0, equals.start() - 80), equals.start())]
    places = [place for place in range(max(0, at - 8), at) if earlier and numbers[place].start >= earlier[-1].end()]
    before = (
        text[numbers[places[0]].end : equals.start()] if places else text[max(0, equals.start() - 60) : equals.start()]
    )
    written = [text[numbers[place].start : numbers[place].end] for place in places]
    goes_on = _LEADS_ON.search(before) or set(written[:1]) & set(written[1:])
    if places and re.match(r"\s{0,3}(?:[,;]|(?:and|or)\b)", before) and not goes_on:
        return None  # "x = 5 or x = 7", "a = 5, b = 7", "f(2) = 5 and f(3) = 7"
    if (name := _ASSIGNED.search(before)) and not _TOTAL.fullmatch(name[1]) and not _LEADS_ON.search(before):
        others = _SET.findall(text, max(0, equals.start() - 400), equals.start())
        if re.fullmatch(r"[^\w]*", before[: name.start()].rpartition("\n")[2]) and set(others) - {name[1]}:
            return None  # "x = 1", and on the next line "y = 2"
    end = _end_of_sentence(text, number.end)
    later = {one.value for one in numbers[at + 1 :] if one.start > end and not one.aside}
    return number.value if not last or later <= {number.value} else None


def _clause(text: str, end: int) -> str:
    """The clause before `end`."""
    return re.split(r"[.;,\n!?](?=\s|$)", text[max(0, end - 60) : end])[-1]


def _the_only_one(text: str, numbers: Sequence[Number]) -> tuple[float | None] | None:
    """The one number there is outside of parentheses; of several, what the last sentence comes to."""
    shown = [number for number in numbers if not number.aside] or list(numbers)
    if not shown or _NO_NUMBER.search(text):
        return None
    if taken_back(text, shown[-1].end) or denied(text, shown[-1].start):
        return None
    if len({number.value for number in shown}) == 1:
        return (None if supposed(text, shown[0].start) or asks(text, shown[-1].end) else shown[0].value,)
    last = shown[-1]
    if last.value is None or not _concludes(text, last):
        return None
    others = {number.value for number in shown[:-1] if _concludes(text, number)} - {last.value}
    sentence = max((match.end() for match in _SENTENCE.finditer(text, max(0, last.start - 300), last.start)), default=0)
    return (last.value if not others or _SUMMING_UP.search(text, sentence, last.start) else None,)


def _concludes(text: str, number: Number) -> bool:
    return _CONCLUDES.search(text[max(0, number.start - 24) : number.start]) is not None
