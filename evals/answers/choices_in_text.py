"""Parser for the choice (A, B, ...) in a model's free-text answer; None if it is ambiguous."""

import dataclasses
import re
from collections.abc import Iterator, Mapping

from gpt_from_scratch.evals.answers.statements import (
    AS_FINAL,
    AS_THE_ANSWER,
    BY_ITSELF,
    CUE,
    EXPLAINS,
    FILLER,
    IN_WORDS,
    NOT,
    REJECTS,
    WINDOW,
    Stated,
    after_cue,
    asks,
    doubtful,
    settled,
    weight_of,
)
from gpt_from_scratch.evals.answers.text import undressed

_CHOSEN = re.compile(
    r"\b(?:i|we)(?:'d|'ll|'m| would| will| shall| must| have to| am)?(?: [a-z]{2,12}ly)? (?:choose|chose|pick|picked|select|"
    r"selected|go(?:ing)? with|went with|going for|go for|opt for|vote for|say|answer|guess|settle on|conclude)\b"
    rf"[:\s]{{0,3}}(?:that |it's |it is )?(?:{FILLER}){{0,4}}",
    re.I,
)
_SO = re.compile(
    r"(?:\b(?:it's|it is|it must be|it has to be|it should be|that's|that is|which is|corresponds to|matches|so|"
    r"hence|thus|therefore|leaving|leaves)|=>|→)"
    rf"[,:]?\s{{1,2}}(?:only )?(?:{FILLER}){{0,3}}",
    re.I,
)
_TRUE = re.compile(
    r"(?<![\w'])\(?([A-Z])\)?,? (?:is|seems to be|seems|must be|would be|should be|has to be|appears to be|looks) "
    r"(?:the |my |most |clearly |therefore |thus |definitely |probably |indeed |actually |only |single ){0,4}"
    r"(?:correct|right|best|true|answer|one(?! of)|accurate|appropriate|valid|likely)\b"
)
_PERHAPS = re.compile(r"\b(?:(?:could|might|may)(?: also)?(?: well)? be|maybe|perhaps|possibly)\s", re.I)
_LABEL = re.compile(
    r"([(\[{<\"'⟦ ]{0,4})([A-Za-z])"
    rf"(?![A-Za-z0-9À-ɏͰ-ӿ]|:\\\\|'[A-Za-z]|[+#]|-[A-Za-z0-9]|[\])]?\s?[{REJECTS}]|\s?(?:[+×*=<>≤≥≈^]|[-=]>|→)\s?[(-]?"
    r"(?:\d|[A-Z](?![A-Za-z])))\s?([)\]}>\"'⟧.:,;]{0,3})"
)
_NEXT = re.compile(
    r"\s{0,2}(?:[,、/&+]\s{0,2})?(?:(?:and|or|as well as|und|oder|y|o|e|et|ou|of|eller|lub|ve|veya|"
    r"hoặc|или|и|أو|या|또는|아니면)\s|和|或者?|と|か)?\s{0,2}"
)
_SURE_AFTER = re.compile(
    r"\s{0,2}(?:$|[\n.,;:!)\]}\"'⟧/&+(]|[-–—→]|(?:because|since|as|is|and|or|but|due|given|not|based|for|over|rather|which|und|oder|weil|"
    r"car|porque|perché)\b|[^\x00-\x7f])"
)
_AFTER_SO = re.compile(
    r"\s{0,2}(?:$|[\n.,;:!)\]}\"'⟧(]|[-–—]\s|(?:because|since|as|due|not|und|weil|car|porque|perché)\b|[^\x00-\x7f])"
)
_ALTERNATIVE = re.compile(
    r"\b(?:or(?: rather| maybe| perhaps| possibly| else| even)?|(?:and )?also|and so (?:is|does)|no|wait|actually|"
    r"edit|but(?=\s\(?[A-Z]\)? is also)|"
    r"and(?=\s\(?[A-Z]\)? (?:for|when|if|otherwise)\b)|"
    r"alternatively|i mean)[,:]?\s(?:option |answer |choice |it's |it is )?(?=\(?[A-Z]\b)",
    re.I,
)
_SELECTED = re.compile(r"(?<![不不要别])(?:选择|選擇|选|選)(?:项|項|了)?[:：\s]{0,3}(?=[(\[]?[A-Z](?![A-Za-z]))")
_CROSSED_OUT = re.compile(rf"(?:^|\n)[^\w\n]{{0,6}}(?:[{REJECTS}]|!=?)[^\w\n]{{0,6}}(?:(?:the|my) )?$", re.I)
_LEADING = re.compile(r"[^\w(\[{<\"'⟦]{0,10}(?:(?:option|choice|letter|choose|pick|select)\s)?", re.I)
_BEFORE_BOXED = re.compile(r"\W{0,3}(?:the )?(?:final |correct )?(?:answer|option|choice)(?: is)?[:\s]{1,3}", re.I)
_MENTIONED = re.compile(
    r"(?:\b(?:see|for|in|of|label\w*|regarding|consider|copyright|vitamin|from|like|unlike|to|about|at|by|point|part|figure|"
    r"column|step|equation|statement)\s|^)$",
    re.I,
)
_OTHER = re.compile(r"(?<![\w'])\(([A-Za-z])\)|(?:(?<=\n)|(?<=[.!?;] ))([A-Z])(?=[).:]\s)")
_AGAINST = re.compile(
    r"(?:\bnot|n't|than|unlike|except|instead of|(?:anything|all|everything) but|rule[sd]? out|eliminat\w+|reject\w*|"
    rf"excludes?|over)\s[^\n.]{{0,12}}$|[{REJECTS}]\s?\(?$",
    re.I,
)
_REJECTED = re.compile(
    rf"[^\n.]{{0,40}}?(?:\b(?:wrong|incorrect|false|not|isn't|cannot|can't|doesn't|too|eliminated|out)\b|[{REJECTS}])",
    re.I,
)


def read_choice(output: str, choices: Mapping[str, str]) -> str | None:
    """The letter that an answer chooses; None if there is none, more than one, or it is ambiguous.

    Read are "(B)", "B)", "B.", "b", "the answer is B", "I'd go with B, not C", \\boxed{B}, {"answer": "B"}, the one "(B)"
    in a text, the choice's own text, and more, also in some other languages. What is stated as the final answer counts
    before what is stated as the answer, and that before a letter by itself. Of answers that contradict each other the
    last counts where it is said to correct the one before ("wait", "actually", "final answer"); else none does.

    choices: the texts by their letters, A to Z
    """
    text = re.sub(r"[*`]|(?<![A-Za-z])#|(?<!\w)_|_(?!\w)|(?<=\w)_(?=\w)", _unmarked, undressed(output)).strip()
    if not text:
        return None
    if (named := _by_text(text, choices)) is not None and not re.fullmatch(r"\W*\w\W*", text):
        return named
    if stated := [one for one in _stated(text, choices) if not _crossed_out(text, one.start)]:
        letter = settled([_with_its_text(one, text, choices) for one in stated], text)
        return letter if letter in choices else None
    return _by_text(text, choices) or _the_only_one(text, choices)


def _unmarked(match: re.Match[str]) -> str:
    return " " if match[0] == "_" else ""


def _crossed_out(text: str, start: int) -> bool:
    """Whether a line up to `start` is nothing but a mark such as "❌"."""
    return _CROSSED_OUT.search(text[max(0, start - 18) : start]) is not None


def _with_its_text(one: Stated[str], text: str, choices: Mapping[str, str]) -> Stated[str]:
    """The statement with the choice's own text, where that follows its letter."""
    own = choices.get(one.value or "", "").strip()
    behind = re.match(rf"[\s).:,;(\"'–—-]{{0,6}}{re.escape(own)}", text[one.end : one.end + len(own) + 6], re.I)
    return dataclasses.replace(one, end=one.end + behind.end()) if own and behind else one


def _by_text(text: str, choices: Mapping[str, str]) -> str | None:
    plain = _bare(text)
    same = [letter for letter, choice in choices.items() if _bare(choice) == plain]
    return same[0] if len(same) == 1 and plain else None


def _bare(text: str) -> str:
    return text.strip(" \t\n.!\"'⟦⟧").casefold()


def _stated(text: str, choices: Mapping[str, str]) -> Iterator[Stated[str]]:
    """Every statement of a choice; some may overlap."""
    for match in re.finditer(r"⟦([^⟧]{0,200})⟧", text):
        begins = _BEFORE_BOXED.match(match[1])
        letters, _ = _letters(match[1], begins.end() if begins else 0, choices, strict=False)
        letter = _by_text(match[1], choices) if not letters else letters[0] if len(letters) == 1 else None
        yield Stated(match.start(), match.end(), letter, AS_FINAL)
    for match in CUE.finditer(text):
        if (one := _after_cue(text, match, choices)) is not None:
            yield one
    for pattern, strict in ((_CHOSEN, False), (_SELECTED, False), (_SO, True)):
        for match in pattern.finditer(text):
            if not doubtful(text, match.start()) and not NOT.match(text, match.end()):
                letters, end = _letters(text, match.end(), choices, strict=strict)
                several = len(letters) > 1 or re.match(r"\s(?:and|or)\b", text[end : end + 5]) is not None
                if letters and not asks(text, end) and (pattern is not _SO or several or _AFTER_SO.match(text, end)):
                    yield Stated(match.start(), end, None if several else letters[0], IN_WORDS)
    for pattern in (_PERHAPS, _ALTERNATIVE):
        for match in pattern.finditer(text):
            letters, end = _letters(text, match.end(), choices, strict=True)
            against = pattern is _ALTERNATIVE and _AGAINST.search(text[max(0, match.start() - 25) : match.start()])
            if letters and letters[0] in choices and not against and not _REJECTED.match(text, end):
                yield Stated(match.start(), end, None, IN_WORDS)
    for match in _TRUE.finditer(text):
        if match[1] in choices and not doubtful(text, match.start()) and not asks(text, match.end()):
            before = text[max(0, match.start() - 6) : match.start() + (match[0][0] == "(")]
            several = re.search(r"\b(?:and|or|nor)\s\(?$", before) is not None
            yield Stated(match.start(), match.end(), None if several else match[1], IN_WORDS)
    if (one := _leading(text, choices)) is not None:
        yield one


def _after_cue(text: str, cue: re.Match[str], choices: Mapping[str, str]) -> Stated[str] | None:
    """The text after "answer is", "answer:" and similar cues."""
    found, strict = after_cue(text, cue), False
    if found is None:  # "Answer B", as a line's first words
        line = text[max(0, cue.start() - 40) : cue.start()].rpartition("\n")[2].strip(" ({\"'").lower()
        bare = re.compile(r"\s{1,2}").match(text, cue.end())
        if cue[0].lower() not in ("answer", "option", "choice") or bare is None:
            return None
        if (line and not line.endswith(("final", "correct"))) or NOT.match(text, bare.end()):
            return None
        found, strict = (bare.end(), weight_of(text, cue)), True
    start, weight = found
    letters, end = _letters(text, start, choices, strict=strict)
    rest = text[start : start + WINDOW].partition("\n")[0]
    named = [letter for letter, choice in choices.items() if _bare(choice) and _bare(rest) == _bare(choice)]
    if not letters:
        named = named or _begins_with(rest, choices)
        labels = {match[1] for match in re.finditer(r"\(([A-Z])\)", rest)} - set(named)
        return Stated(cue.start(), end, None if labels else named[0], weight) if len(named) == 1 else None
    if asks(text, end) or (strict and _REJECTED.match(text, end)):
        return None
    several = len(letters) > 1 or (named and named != letters) or _denied(text, letters[0], end, choices)
    return Stated(cue.start(), end, None if several else letters[0], weight)


def _begins_with(rest: str, choices: Mapping[str, str]) -> list[str]:
    """The letters of the choices whose text is what the answer's sentence gives."""
    plain = rest.lstrip(" \"'(").casefold()
    return [
        letter
        for letter, choice in choices.items()
        if (bare := _bare(choice))
        and re.match(
            rf"{re.escape(bare)}[\"']?(?:\s\(|[.;](?:\s|$)|, (?:which|because|since|as|so|and not|not)\b)", plain
        )
    ]


def _letters(text: str, start: int, choices: Mapping[str, str], *, strict: bool) -> tuple[list[str], int]:
    """The letters of "B", "(B)", "A and B" or "A, B or C" from `start` on, and where they end."""
    found: list[str] = []
    end = start
    while (match := _LABEL.match(text, end if not found else _NEXT.match(text, end).end())) is not None:  # type: ignore[union-attr]
        letter, closed = match[2].upper(), bool(match[1].strip()) and bool(match[3])
        bare = not closed and not match[3]
        if match[3].startswith(".") and re.match(r"\s?[A-Za-z]\.", text[match.end() :][:3]):  # A.D., B.C.
            break
        sure = closed or _SURE_AFTER.match(text, match.end(2)) is not None
        if found and ((bare and letter not in choices) or not sure or (match[2].islower() and not closed)):
            break
        if not sure and (strict or match[2].islower() or letter in "AI"):
            break
        if letter not in found:
            found.append(letter)
        end = match.end()
        if match[3] and set(match[3]) & set(".:;\n"):
            break
    return found, end


def _denied(text: str, letter: str, end: int, choices: Mapping[str, str]) -> bool:
    """Whether the text behind a letter is another choice's, not its own."""
    rest = _bare(text[end : end + 300].partition("\n")[0].lstrip(" )].:,;-–—("))
    rest = re.sub(r"^(?:i\.e\.|that is|namely),?\s", "", rest)
    own = _bare(choices.get(letter, ""))
    if re.fullmatch("[a-z]", rest) and rest.upper() in choices and rest.upper() != letter:
        return True
    others = {_bare(choice) for other, choice in choices.items() if other != letter} - {own, ""}
    if own and (listed := re.match(rf"{re.escape(own)}[\s,;/&]{{1,3}}(?:(?:and|or)\s)?\(?([a-z])[).:]", rest)):
        return listed[1].upper() != letter  # "A) red, B) green"
    begins = [one for one in (*others, own) if one and re.match(rf"{re.escape(one)}(?!\w)", rest)]
    return bool(begins) and max(begins, key=len) != own


def _leading(text: str, choices: Mapping[str, str]) -> Stated[str] | None:
    """A letter that the answer begins with: alone on its line, or as "B)", "B." and "B:"."""
    start = _LEADING.match(text)
    at = start.end() if start else 0
    letters, end = _letters(text, at, choices, strict=True)
    if not letters or letters[0] not in choices or _crossed_out(text, at):
        return None
    if re.match(r"\s(?:is|isn't|was|can|can't|cannot|does)\b", text[end:]):
        return None
    if len(letters) > 1:
        return Stated(0, end, None, BY_ITSELF)
    if re.match(r"\W{0,3}\{?\s?[\"'][A-Z][\"']\s?:", text):  # a key of JSON
        return Stated(0, end, None, BY_ITSELF)
    line = text[at:].partition("\n")[0]
    if re.fullmatch(r"\W{0,6}\w\W{0,6}", line) and line:
        return Stated(0, end, letters[0], AS_THE_ANSWER)
    begins = re.match(rf"\W{{0,4}}{re.escape(choices[letters[0]])}", text[end:], re.I)
    if not begins and re.match(
        r"[^\n.;,]{1,60}?\s(?:is|are|was)\s(?:[a-z]+ly\s)?(?:wrong|incorrect|false|not)\b", text[end : end + 90]
    ):
        return None
    label = _LABEL.match(text, at)
    own = _bare(text[end:].partition("\n")[0].strip(" ()")) == _bare(choices[letters[0]])
    if own and EXPLAINS.match(text, at + len(line)) and not _lists(text[at + len(line) :], choices):
        return Stated(0, end, letters[0], AS_THE_ANSWER)
    if text[at:end].strip().endswith(":") and not begins and not re.match(r"\s?(?:because|since|as)\b", text[end:]):
        return None  # who speaks
    marked = own or (label is not None and (label[1].strip() or label[3]))
    if not marked and not re.match(r"\s{0,2}(?:[-–—→]|(?:because|since|as|due|given)\b|[^\x00-\x7f])", text[end:]):
        return None
    others = {
        (match[1] or match[2]).upper()
        for match in _OTHER.finditer(text, end)
        if not _AGAINST.search(text[max(0, match.start() - 25) : match.start() + 1])
    }
    several = (others & set(choices)) - {letters[0]} or _denied(text, letters[0], end, choices)
    return Stated(0, end, None if several else letters[0], BY_ITSELF)


def _lists(text: str, choices: Mapping[str, str]) -> bool:
    """Whether lines of a text repeat choices as they were given."""
    lines = {_bare(line) for line in text.splitlines()}
    return any(_bare(f"{letter}{mark} {choice}") in lines for letter, choice in choices.items() for mark in ".):")


def _the_only_one(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter in parentheses, where it is the only one and not rejected."""
    found: set[str] = set()
    for match in re.finditer(r"\(([A-Z])\)", text):
        if match[1] in choices:
            before = text[max(0, match.start() - 25) : match.start()]
            against = _AGAINST.search(before + "(") or _MENTIONED.search(before)
            if against or _REJECTED.match(text, match.end()) or asks(text, match.end()):
                return None
            found.add(match[1])
    if len(found) != 1:
        return None
    letter = found.pop()
    mentioned = {one for one, choice in choices.items() if re.search(rf"(?<!\w){re.escape(choice)}(?!\w)", text, re.I)}
    return letter if letter in mentioned or not mentioned else None
