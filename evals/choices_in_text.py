"""The choice that an answer makes, however a model writes it; or none, where that is not certain."""

import dataclasses
import re
from collections.abc import Iterator, Mapping

from gpt_from_scratch.evals.answer_text import undressed

_WINDOW = 160
"""Characters that are looked at on either side of a word such as "answer"."""

_CUE = re.compile(
    r"(?<![a-z])(?:answer|ans|choice|option|letter|solution|response|selection|conclusion|verdict|final|correct|"
    r"antwort|lösung|réponse|reponse|respuesta|resposta|risposta|svar|vastaus|antwoord|odpowied[źz]|odpověď|cevap|jawaban)"
    r"(?![a-z])|ответ|đáp án|答案|答え|回答|解答|正解|选项|選項|正답|정답|답변|답은|답:|الإجابة|الجواب|उत्तर",
    re.I,
)
_VERB = r"(?:is|are|was|be|would be|should be|must be|will be|has to be|ist|lautet|wäre|est|es|é|è|är|jest)(?![a-z])"
_IS = rf"(?:{_VERB}|это|应该是|應該是|是|为|為|は|은|는|هي|هو|है)"
_FILLER = (
    r"(?:(?:most likely|likely|probably|definitely|clearly|certainly|therefore|thus|then|hence|indeed|simply|still|actually|"
    r"now|really|also|the|my|correct|right|final|best|answer|option|choice|letter|one|labell?ed|marked|either|both|number|"
    r"la|le|el|die|der|das|die|opción|opção|opzione|variante|вариант|选项|選項|lettre|letra|lettera|buchstabe|antwort)"
    r"(?![a-z])[\s,:]{0,3}|l')"
)
_CONNECTED = re.compile(
    rf"[\"')\]]?\s{{0,3}}(?:(?:{_IS}|[:=→>–—-]){{1,3}}\s{{0,4}}){{1,3}}(?:{_FILLER}){{0,5}}[>\s]{{0,4}}", re.I
)
_LATER = re.compile(rf"([^.\n:=?!;⟦]{{1,70}}?)\s{_VERB}[:\s]{{0,3}}(?:{_FILLER}){{0,5}}", re.I)
_BARE = re.compile(r"\s{1,2}", re.I)
_NOT = re.compile(r"(?:\bnot\b|n't\b|\bnever\b|\bneither\b|\bexcept\b|\bcannot\b|\bno\b)", re.I)
_SUPPOSED = re.compile(
    r"\b(?:if|whether|unless|suppose|supposing|assume|assuming|why|could|might|may|had|either way)\b", re.I
)
_CHOSEN = re.compile(
    r"\b(?:i|we)(?:'d|'ll|'m| would| will| shall| must| have to| am)?(?: [a-z]{2,12}ly)? (?:choose|chose|pick|picked|select|"
    r"selected|go(?:ing)? with|went with|going for|go for|opt for|vote for|say|answer|guess|settle on|conclude)\b"
    rf"[:\s]{{0,3}}(?:that |it's |it is )?(?:{_FILLER}){{0,4}}",
    re.I,
)
_SO = re.compile(
    r"(?:\b(?:it's|it is|it must be|it has to be|it should be|that's|that is|so|hence|thus|therefore|leaving|leaves)|=>|→)"
    rf"[,:]?\s{{1,2}}(?:only )?(?:{_FILLER}){{0,3}}",
    re.I,
)
_TRUE = re.compile(
    r"(?<![\w'])\(?([A-Z])\)?,? (?:is|seems to be|seems|must be|would be|should be|has to be|appears to be|looks) "
    r"(?:the |my |most |clearly |therefore |thus |definitely |probably |indeed |actually |only |single ){0,4}"
    r"(?:correct|right|best|true|answer|one(?! of)|accurate|appropriate|valid|likely)\b"
)
_PERHAPS = re.compile(r"\b(?:(?:could|might|may)(?: also)?(?: well)? be|maybe|perhaps|possibly)\s", re.I)
_CORRECTED = re.compile(
    r"\b(?:wait|actually|correction|sorry|scratch that|on second thoughts?|reconsider\w*|re-?check\w*|mistake\w*|mistaken|"
    r"instead|i meant|oops|hold on|let me re\w*|no)\b",
    re.I,
)
_LABEL = re.compile(r"([(\[{<\"'⟦ ]{0,4})([A-Za-z])(?![A-Za-z0-9]|'[A-Za-z])\s?([)\]}>\"'⟧.:,;]{0,3})")
_NEXT = re.compile(r"\s{0,2}(?:[,/&+]\s{0,2})?(?:(?:and|or|und|oder|y|et|ou|as well as)\s|和|或|と)?\s{0,2}")
_SURE_AFTER = re.compile(
    r"\s{0,2}(?:$|[\n.,;:!)\]}\"'⟧/&+(]|[-–—→]|(?:because|since|as|is|and|or|but|due|given|not|based|for|which|und|oder|weil|"
    r"car|porque|perché)\b|[^\x00-\x7f])"
)
_LEADING = re.compile(r"[^\w(\[{<\"'⟦]{0,10}(?:(?:option|choice|letter|choose|pick|select)\s)?", re.I)
_OTHER = re.compile(r"(?<![\w'])\(([A-Za-z])\)|(?:(?<=\n)|(?<=[.!?;] ))([A-Z])(?=[).:]\s)")
_AGAINST = re.compile(
    r"(?:\bnot|n't|than|unlike|except|instead of|(?:anything|all|everything) but|rule[sd]? out|eliminat\w+|reject\w*|"
    r"excludes?|over)\s[^\n.]{0,12}$",
    re.I,
)
_REJECTED = re.compile(
    r"[^\n.]{0,40}?\b(?:wrong|incorrect|false|not|isn't|cannot|can't|doesn't|too|eliminated|out)\b", re.I
)


@dataclasses.dataclass(frozen=True)
class _Stated:
    """A place that states a choice. letter: None where it states more than one; weight: what it has against others."""

    start: int
    end: int
    letter: str | None
    weight: int


_AS_A_LETTER, _IN_WORDS, _AS_THE_ANSWER, _AS_FINAL = range(1, 5)


def read_choice(output: str, choices: Mapping[str, str]) -> str | None:
    """The letter an answer chooses, or None where it chooses none, more than one, or it cannot be told.

    Read are "(B)", "B)", "B.", "b", "the answer is B", "I'd go with B, not C", \\boxed{B}, {"answer": "B"}, the one "(B)"
    in a text, the choice's own text, and more, also in some other languages. What is stated as the final answer counts
    before what is stated as the answer, and that before a letter by itself. Of answers that contradict each other the
    last counts where it is said to correct the one before ("wait", "actually", "final answer"); else none does.

    choices: the texts by their letters, A to Z
    """
    text = re.sub(r"[*`#]|(?<!\w)_|_(?!\w)|(?<=\w)_(?=\w)", _unmarked, undressed(output)).strip()
    if not text:
        return None
    if (named := _by_text(text, choices)) is not None and not re.fullmatch(r"\W*\w\W*", text):
        return named
    stated = sorted(_stated(text, choices), key=lambda one: (one.start, -one.weight))
    if stated:
        letter = _settled(stated, text)
        return letter if letter in choices else None
    return _by_text(text, choices) or _the_only_one(text, choices)


def _unmarked(match: re.Match[str]) -> str:
    return " " if match[0] == "_" else ""


def _by_text(text: str, choices: Mapping[str, str]) -> str | None:
    plain = _bare(text)
    same = [letter for letter, choice in choices.items() if _bare(choice) == plain]
    return same[0] if len(same) == 1 and plain else None


def _bare(text: str) -> str:
    return text.strip(" \t\n.!\"'⟦⟧").casefold()


def _stated(text: str, choices: Mapping[str, str]) -> Iterator[_Stated]:
    """Every statement of a choice; some may overlap."""
    for match in re.finditer(r"⟦([^⟧]{0,200})⟧", text):
        letters, _ = _letters(match[1], 0, choices, strict=False)
        letter = _by_text(match[1], choices) if not letters else letters[0] if len(letters) == 1 else None
        yield _Stated(match.start(), match.end(), letter, _AS_FINAL)
    for match in _CUE.finditer(text):
        if (one := _after_cue(text, match, choices)) is not None:
            yield one
    for pattern, strict in ((_CHOSEN, False), (_SO, True)):
        for match in pattern.finditer(text):
            if not _doubtful(text, match.start()) and not _NOT.match(text, match.end()):
                letters, end = _letters(text, match.end(), choices, strict=strict)
                if letters and not _asks(text, end):
                    yield _Stated(match.start(), end, letters[0] if len(letters) == 1 else None, _IN_WORDS)
    for match in _PERHAPS.finditer(text):
        letters, end = _letters(text, match.end(), choices, strict=True)
        if letters:
            yield _Stated(match.start(), end, None, _IN_WORDS)
    for match in _TRUE.finditer(text):
        if match[1] in choices and not _doubtful(text, match.start()) and not _asks(text, match.end()):
            several = re.search(
                r"\b(?:and|or|nor)\s\(?$", text[max(0, match.start() - 6) : match.start() + (match[0][0] == "(")]
            )
            yield _Stated(match.start(), match.end(), None if several else match[1], _IN_WORDS)
    if (one := _leading(text, choices)) is not None:
        yield one


def _after_cue(text: str, cue: re.Match[str], choices: Mapping[str, str]) -> _Stated | None:
    """What follows "answer is", "answer:" and the like."""
    if _doubtful(text, cue.start()):
        return None
    before = text[max(0, cue.start() - 12) : cue.start()].lower()
    final = "final" in before or cue[0].lower() == "final" or re.search(r"\{\s*\"[a-z ]{0,12}$", before)
    weight = _AS_FINAL if final else _AS_THE_ANSWER
    window = text[cue.end() : cue.end() + _WINDOW]
    connected = _CONNECTED.match(window)
    if connected is None:
        later = _LATER.match(window)
        if later is not None and not _NOT.search(later[1]) and not _SUPPOSED.search(later[1]):
            connected = None if re.search(r"(?<![\w'])[A-Z](?![\w'])", later[1]) else later
    strict = False
    if connected is None:  # "Answer B", as a line's first words
        line = text[max(0, cue.start() - 40) : cue.start()].rpartition("\n")[2].strip(" ({\"'").lower()
        if cue[0].lower() in ("answer", "option", "choice") and (not line or line.endswith(("final", "correct"))):
            connected, strict = _BARE.match(window), True
    if connected is None or _NOT.match(window, connected.end()):
        return None
    start = cue.end() + connected.end()
    letters, end = _letters(text, start, choices, strict=strict)
    rest = text[start : start + _WINDOW].partition("\n")[0]
    named = [letter for letter, choice in choices.items() if _bare(choice) and _bare(rest) == _bare(choice)]
    if not letters:
        return _Stated(cue.start(), end, named[0], weight) if len(named) == 1 else None
    if _asks(text, end) or (strict and _REJECTED.match(text, end)):
        return None
    several = len(letters) > 1 or (named and named != letters) or _denied(text, letters[0], end, choices)
    return _Stated(cue.start(), end, None if several else letters[0], weight)


def _letters(text: str, start: int, choices: Mapping[str, str], *, strict: bool) -> tuple[list[str], int]:
    """The letters of "B", "(B)", "A and B" or "A, B or C" from `start` on, and where they end."""
    found: list[str] = []
    end = start
    while (match := _LABEL.match(text, end if not found else _NEXT.match(text, end).end())) is not None:  # type: ignore[union-attr]
        letter, closed = match[2].upper(), bool(match[1].strip()) and bool(match[3])
        bare = not closed and not match[3]
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


def _doubtful(text: str, start: int) -> bool:
    """Whether the clause before `start` supposes, asks or denies."""
    clause = re.split(r"[.\n!?;]", text[max(0, start - 45) : start])[-1]
    return bool(_SUPPOSED.search(clause)) or bool(
        re.search(
            r"(?:\bnot|n't|\bnever|\bdoubt|\bno|\bhardly)\s(?:(?!\bbut\b)[^,]){0,25}$|\b(?:is|are)\s(?:the\s)?$",
            clause,
            re.I,
        )
    )


def _asks(text: str, end: int) -> bool:
    return re.match(r"[^\n.!;]{0,25}\?", text[end : end + 30]) is not None


def _denied(text: str, letter: str, end: int, choices: Mapping[str, str]) -> bool:
    """Whether the text behind a letter is another choice's, not its own."""
    rest = _bare(text[end : end + 300].partition("\n")[0].lstrip(" )].:,;-–—("))
    own = _bare(choices.get(letter, ""))
    if re.fullmatch("[a-z]", rest) and rest.upper() in choices and rest.upper() != letter:
        return True
    others = {_bare(choice) for other, choice in choices.items() if other != letter} - {own, ""}
    return any(rest == other or rest.rstrip(")") == other for other in others)


def _leading(text: str, choices: Mapping[str, str]) -> _Stated | None:
    """A letter that the answer begins with: alone on its line, or as "B)", "B." and "B:"."""
    start = _LEADING.match(text)
    at = start.end() if start else 0
    letters, end = _letters(text, at, choices, strict=True)
    if not letters or letters[0] not in choices or re.match(r"\s(?:is|isn't|was|can|can't|cannot|does)\b", text[end:]):
        return None
    if len(letters) > 1:
        return _Stated(0, end, None, _AS_A_LETTER)
    line = text[at:].partition("\n")[0]
    if re.fullmatch(r"\W{0,6}\w\W{0,6}", line) and line:
        return _Stated(0, end, letters[0], _AS_THE_ANSWER)
    label = _LABEL.match(text, at)
    own = _bare(text[end:].partition("\n")[0].strip(" ()")) == _bare(choices[letters[0]])
    marked = own or (label is not None and (label[1].strip() or label[3]))
    if not marked and not re.match(r"\s{0,2}(?:[-–—→]|(?:because|since|as|due|given)\b|[^\x00-\x7f])", text[end:]):
        return None
    others = {
        (match[1] or match[2]).upper()
        for match in _OTHER.finditer(text, end)
        if not _AGAINST.search(text[max(0, match.start() - 25) : match.start() + 1])
    }
    several = (others & set(choices)) - {letters[0]} or _denied(text, letters[0], end, choices)
    return _Stated(0, end, None if several else letters[0], _AS_A_LETTER)


def _settled(stated: list[_Stated], text: str) -> str | None:
    """The letter that stands after all statements; see `read_choice`."""
    current = stated[0]
    for one in stated[1:]:
        if one.weight > current.weight:
            current = one
        elif one.letter == current.letter:
            current = dataclasses.replace(one, weight=current.weight)
        elif one.start < current.end:
            continue  # the same words, read another way
        elif _CORRECTED.search(text, current.end, one.start + 12):
            current = one
        elif one.weight == current.weight or one.weight >= _IN_WORDS:
            current = dataclasses.replace(one, letter=None, weight=current.weight)
    return current.letter


def _the_only_one(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter in parentheses, where it is the only one and not rejected."""
    found: set[str] = set()
    for match in re.finditer(r"\(([A-Z])\)", text):
        if match[1] in choices:
            against = _AGAINST.search(text[max(0, match.start() - 25) : match.start() + 1])
            if against or _REJECTED.match(text, match.end()) or _asks(text, match.end()):
                return None
            found.add(match[1])
    return found.pop() if len(found) == 1 else None
