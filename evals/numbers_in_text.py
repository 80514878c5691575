"""The number that an answer means, however a model writes it; or none, where that is not certain."""

import re
from collections.abc import Sequence

from gpt_from_scratch.evals.answer_text import undressed
from gpt_from_scratch.evals.statements import AS_FINAL, CUE, NOT, Stated, after_cue, asks, settled, supposed
from gpt_from_scratch.evals.written_numbers import Number, numbers_in, rewritten, without_emphasis

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
_SUMMING_UP = re.compile(r"\b(?:so|thus|therefore|hence|altogether|in total|total|overall|finally|in all)\b", re.I)
_NO_NUMBER = re.compile(
    r"\b(?:undefined|infinit\w*|inf|nan|indeterminate|impossible|unknown|cannot|can't|does not exist|doesn't exist|"
    r"no (?:real |such |unique )?(?:solution|answer|number|value)|don't know|do not know|"
    r"not (?:sure|known|enough|defined|a number))\b|∞",
    re.I,
)
_ALSO = re.compile(r"\s{0,3}(?:[,;]|(?:, )?(?:or|and)\s)\s{0,3}[A-Za-z]\w{0,8}\s{0,3}$")


def read_number(text: str) -> float | None:
    """The number that an answer gives, or None where it gives none, more than one, or it cannot be told.

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
    if named := _named(text, numbers):
        return settled(named, text)
    for reading in (_after_equals, _the_only_one):
        if found := reading(text, numbers):
            return found[0]
    return None


def _alone(text: str) -> float | None:
    """The number of a few words that are marked as the answer."""
    numbers = numbers_in(text)
    found = _after_equals(text, numbers) or _the_only_one(text, numbers)
    return found[0] if found else None


def _named(text: str, numbers: Sequence[Number]) -> list[Stated[float]]:
    """What follows "the answer is" and the like, up to the end of the sentence."""
    stated: list[Stated[float]] = []
    at = 0
    for cue in CUE.finditer(text):
        if (found := after_cue(text, cue)) is None:
            continue
        start, weight = found
        end = _end_of_sentence(text, start)
        while at < len(numbers) and numbers[at].start < start:
            at += 1
        inside = [number for number in numbers[at : at + 20] if number.start < end]
        if not inside or asks(text, inside[0].end):
            continue
        value = _of_sentence(text, start, end, inside)
        stated.append(Stated(cue.start(), inside[-1].end, value, weight))
    return stated


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
    """Where the sentence that goes on at `start` ends, or 400 characters later."""
    begins = start + len(text[start : start + 8]) - len(text[start : start + 8].lstrip())
    found = _SENTENCE.search(text, begins, begins + 400)
    while found is not None and _SHORT.search(text, max(0, found.start() - 8), found.end()):
        found = _SENTENCE.search(text, found.end(), begins + 400)
    return found.start() if found else begins + 400


def _after_equals(text: str, numbers: Sequence[Number]) -> tuple[float | None] | None:
    """What follows the last "=" that a number follows; nothing where none does."""
    at = len(numbers)
    last: tuple[re.Match[str], Number] | None = None
    for equals in reversed([*_EQUALS.finditer(text)]):
        while at > 0 and numbers[at - 1].start >= equals.end():
            at -= 1
        if at < len(numbers):
            last = equals, numbers[at]
            break
    if last is None:
        return None
    equals, number = last
    if not _NEAR.match(text, equals.end(), number.start) or number.value is None:
        return (None,)
    before = [one for one in numbers[max(0, at - 1) : at] if one.start < equals.start()]
    if before and _ALSO.match(text, before[0].end, equals.start()):
        return (None,)  # "x = 5 or x = 7", "a = 5, b = 7"
    end = _end_of_sentence(text, number.end)
    later = {one.value for one in numbers[at + 1 :] if one.start > end and not one.aside}
    return (number.value if later <= {number.value} else None,)


def _the_only_one(text: str, numbers: Sequence[Number]) -> tuple[float | None] | None:
    """The one number there is outside of parentheses; of several, what the last sentence comes to."""
    shown = [number for number in numbers if not number.aside] or list(numbers)
    if not shown or _NO_NUMBER.search(text):
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
