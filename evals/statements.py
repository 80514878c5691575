"""Places in a text that state an answer, and which of several holds."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

WINDOW = 160
"""Characters that are looked at on either side of a word such as "answer"."""

CUE = re.compile(
    r"(?<![a-z])(?:answer|ans|choice|option|letter|solution|response|selection|conclusion|verdict|final|correct|"
    r"antwort|lösung|réponse|reponse|respuesta|resposta|risposta|svar|vastaus|antwoord|odpowied[źz]|odpověď|cevap|jawaban)"
    r"(?![a-z])|ответ|đáp án|答案|答え|回答|解答|正解|选项|選項|정답|답변|답은|답:|الإجابة|الجواب|उत्तर",
    re.I,
)
VERB = r"(?:is|are|was|be|would be|should be|must be|will be|has to be|ist|lautet|wäre|est|es|é|è|är|jest)(?![a-z])"
_IS = rf"(?:{VERB}|это|应该是|應該是|是|为|為|は|은|는|هي|هو|है)"
FILLER = (
    r"(?:(?:most likely|likely|probably|definitely|clearly|certainly|therefore|thus|then|hence|indeed|simply|still|actually|"
    r"now|really|also|the|my|correct|right|final|best|answer|option|choice|letter|one|labell?ed|marked|either|both|number|"
    r"la|le|el|die|der|das|die|opción|opção|opzione|variante|вариант|选项|選項|lettre|letra|lettera|buchstabe|antwort)"
    r"(?![a-z])[\s,:]{0,3}|l')"
)
_CONNECTED = re.compile(
    rf"[\"')\]]?\s{{0,3}}(?:(?:{_IS}|[:=→>–—]|-(?!\s?[\d.$])){{1,3}}\s{{0,4}}){{1,3}}(?:{FILLER}){{0,5}}[>\s]{{0,4}}",
    re.I,
)
_LATER = re.compile(rf"([^.\n:=?!;⟦]{{1,70}}?)\s{VERB}[:\s]{{0,3}}(?:{FILLER}){{0,5}}", re.I)
NOT = re.compile(r"(?:\bnot\b|n't\b|\bnever\b|\bneither\b|\bexcept\b|\bcannot\b|\bno\b)", re.I)
_SUPPOSED = re.compile(
    r"\b(?:if|whether|unless|suppose|supposing|assume|assuming|why|could|might|may|had|either way)\b", re.I
)
_DOUBTED = re.compile(
    r"(?:\bnot|n't|\bnever|\bdoubt|\bno|\bhardly)\s(?:(?!\bbut\b)[^,]){0,25}$|\b(?:is|are)\s(?:the\s)?$", re.I
)
_CORRECTED = re.compile(
    r"\b(?:wait|actually|correction|sorry|scratch that|on second thoughts?|reconsider\w*|re-?check\w*|mistake\w*|mistaken|"
    r"instead|i meant|oops|hold on|let me re\w*|no)\b",
    re.I,
)


@dataclasses.dataclass(frozen=True)
class Stated(Generic[T]):
    """A place that states an answer. value: None where it cannot be told; weight: what it has against others."""

    start: int
    end: int
    value: T | None
    weight: int


BY_ITSELF, IN_WORDS, AS_THE_ANSWER, AS_FINAL = range(1, 5)


def settled(stated: Sequence[Stated[T]], text: str) -> T | None:
    """The value that holds after all statements, of which there is at least one.

    A heavier one counts before a lighter one. Of others that contradict each other the last counts where the words between
    say that it corrects the one before; else none does.
    """
    current, *others = sorted(stated, key=lambda one: (one.start, -one.weight))
    for one in others:
        if one.weight > current.weight:
            current = one
        elif one.value == current.value:
            current = dataclasses.replace(one, weight=current.weight)
        elif one.start < current.end:
            continue  # the same words, read another way
        elif _CORRECTED.search(text, current.end, one.start + 12):
            current = one
        elif one.weight == current.weight or one.weight >= IN_WORDS:
            current = dataclasses.replace(one, value=None, weight=current.weight)
    return current.value


def after_cue(text: str, cue: re.Match[str]) -> tuple[int, int] | None:
    """Where an answer begins that a match of `CUE` names ("answer is", "answer:"), and its weight; None where it names none."""
    if doubtful(text, cue.start()):
        return None
    window = text[cue.end() : cue.end() + WINDOW]
    connected = _CONNECTED.match(window)
    if connected is None and (later := _LATER.match(window)) is not None:
        between = later[1]
        if not (NOT.search(between) or _SUPPOSED.search(between) or re.search(r"(?<![\w'])[A-Z](?![\w'])", between)):
            connected = later
    if connected is None or NOT.match(window, connected.end()):
        return None
    return cue.end() + connected.end(), weight_of(text, cue)


def weight_of(text: str, cue: re.Match[str]) -> int:
    """`AS_FINAL` for a final answer and for a field of JSON, else `AS_THE_ANSWER`."""
    before = text[max(0, cue.start() - 14) : cue.start()].lower()
    final = "final" in before or cue[0].lower() == "final" or re.search(r"\{\s*\"[a-z ]{0,12}$", before)
    return AS_FINAL if final else AS_THE_ANSWER


def supposed(text: str, start: int) -> bool:
    """Whether the clause before `start` only supposes what follows."""
    return _SUPPOSED.search(_clause(text, start)) is not None


def doubtful(text: str, start: int) -> bool:
    """Whether the clause before `start` supposes, asks or denies what follows."""
    clause = _clause(text, start)
    return _SUPPOSED.search(clause) is not None or _DOUBTED.search(clause) is not None


def _clause(text: str, start: int) -> str:
    return re.split(r"[.\n!?;]", text[max(0, start - 45) : start])[-1]


def asks(text: str, end: int) -> bool:
    """Whether what ends at `end` is asked."""
    return re.match(r"[^\n.!;]{0,25}\?", text[end : end + 30]) is not None
