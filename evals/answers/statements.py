"""Statements of an answer in a text, and the choice among several."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

EXPLAINS = re.compile(
    r"\s*\n\s*\W{0,6}(?:explanation|explained|reason\w*|rationale|why|because|justification|analysis|since|erklärung|begründung|"
    r"explication|explicación|解析|解释|理由|説明)",
    re.I,
)
"""Words that introduce the reasons for an answer given on the lines before."""
WINDOW = 160
"""Characters that are looked at on either side of a word such as "answer"."""

CUE = re.compile(
    r"(?<![a-z])(?:answer|ans|choice|option|opción|opção|opzione|letter|solution|response|selection|conclusion|verdict|final|correct|"
    r"antwort|lösung|réponse|reponse|respuesta|resposta|risposta|svar|vastaus|antwoord|odpowied[źz]|odpověď|cevap|jawaban)"
    r"(?![a-z])|ответ|đáp án|答案|答え|回答|解答|正解|选项|選項|정답|답변|답은|답:|الإجابة|الجواب|उत्तर",
    re.I,
)
VERB = r"(?:is|are|was|be|would be|should be|must be|will be|has to be|ist|lautet|wäre|est|es|é|è|är|jest)(?![a-z])"
_IS = rf"(?:{VERB}|это|应该是|應該是|应为|應為|是|为|為|は|은|는|هي|هو|है)"
FILLER = (
    r"(?:(?:most likely|likely|probably|definitely|clearly|certainly|therefore|thus|then|hence|indeed|simply|still|actually|"
    r"now|really|also|donc|the|my|correct|right|final|best|answer|option|choice|letter|one|labell?ed|marked|either|both|number|"
    r"a letra|a alternativa|a opção|letra|alternativa|la|le|el|die|der|das|die|opción|opção|"
    r"opzione|variante|вариант|选项|選項|lettre|lettera|buchstabe|antwort)"
    r"(?![a-z])[\s,:]{0,3}|l')"
)
_CONNECTED = re.compile(
    rf"[\"')\]]?\s{{0,3}}(?:(?:{_IS}|[:=→>–—]|-(?!\s?[\d.$])){{1,3}}\s{{0,4}}){{1,3}}(?:{FILLER}){{0,5}}[>\s]{{0,4}}",
    re.I,
)
_LATER = re.compile(rf"([^.\n:=?!;⟦]{{1,70}}?)\s{_IS}[:\s]{{0,3}}(?:{FILLER}){{0,5}}", re.I)
NOT = re.compile(
    r"\b(?:not|never|neither|except|cannot|no|null|none|nil|n/a|não|non|nicht|kein\w*|pas|niet|geen|nie|inte|ikke|ikkje|ei|"
    r"değil|không|не|нет|ليس\w*|ليست|bukan)\b|n't\b|不|没|沒|नहीं",
    re.I,
)
REJECTS = "❌❎✗✘✖✕☒⛔🚫🙅👎☐□⬜¬≠"
"""Marks that say that what stands beside them is not the answer, or that it was not ticked."""
_WRONG = (
    r"(?:wrong|incorrect|false|mistaken|impossible|a (?:mistake|trap|distractor)|an error|"
    r"not (?:right|correct|true|the answer|it))\b(?! to\b)"
)
_GAP = (  # the choice's own text, or a unit
    r"(?:(?!\b(?:because|since|as|while|whereas|and|but|so|than|not|over|where)\b|\b(?-i:[A-Z])\b)[^.\n!?,;:]){0,50}?"
)
_BE = r"(?:is|are|was|looks|seems|must be|would be|has to be)"
_THAT_IS = rf"(?:that|this|it|which)(?:'s|\s{_BE})\s(?:\w+ly\s)?{_WRONG}"
_NEXT_SENTENCE = r"(?:[^.\n!?]{0,60}[.!?\n])?\s{0,3}(?:[^.\n!?]{0,40}[.!?\n]\s{0,3})?"
_DENIALS = (
    rf"{_GAP}\s{_BE}\s(?:(?:\w+ly|just|simply)\s){{0,2}}(?:{_WRONG}|(?:(?:ruled )?out|eliminated|not)\b)",
    rf"{_GAP}\s(?:(?:is|are|was)n't|(?:cannot|can't) be(?! determined| known| inferred)|doesn't (?:work|fit)|"
    r"can be (?:eliminated|ruled|rejected|excluded))\b",
    r"(?:(?!\b(?-i:[A-Z])\b)[^.\n!?]){0,60}?\b(?:but|although|though|yet|however),?\s(?:i|we|it|this|that|they|he|she)\b"
    rf"[^.\n]{{0,25}}?(?:\b(?:disagree|doubt)|\b{_WRONG}|(?:\bnot|n't)(?=[.,!;\n]|$))",
    rf"[^.\n!?]{{0,60}}?\b(?:and )?{_THAT_IS}",
    rf"[^.\n!?]{{0,60}}?\b(?:but|though|although) the (?!others?\b|rest\b)\w{{1,20}} (?:is|was) {_WRONG}",
    rf"(?:[^.\n!?]{{0,60}}[.!?\n;,])?\s{{0,3}}(?:{_THAT_IS}|(?:but )?(?:i|we) (?:\w+ly )?(?:disagree|doubt)\b)",
    rf"{_NEXT_SENTENCE}(?:(?:but|actually|hmm|well|or|though),?\s)?i(?:(?:'m| am) not (?:\w+ )?(?:sure|certain)|"
    r" can(?:no|')t (?:tell|say)| (?:don't|do not) know)\b",
    r"(?:\s?\b\w{1,12}\b){0,2}\s?\(?\b(?:(?:only )?(?:if|when)|unless|assuming|provided)\s(?!(?:i|i'm|my)\b)",
    r"[^.\n!?,;。，]{0,12}(?:是错|是錯|不对|不對|不正确|不是|错误|錯誤|間違|誤り|ではな|ではあり|じゃな|틀[렸린]|"
    r"[가이은는] ?아[니닙닌]|नहीं|değil)",
    r"[^.\n!?,;]{0,12}\s(?:ist falsch|est (?:faux|incorrecte?)|es (?:falsa?|incorrect[ao])|неверн)",
)
_TAKEN_BACK = re.compile("|".join(_DENIALS), re.I)
_BY_OTHERS = re.compile(
    r"\b(?:everyone|everybody|they|he|she|people|someone|somebody|some|many|others|students?|you|friend|author|textbook|book|"
    r"user|teacher)\b(?:\s\w+){0,2}?\s(?:says?|said|thinks?|thought|claims?|claimed|believes?|believed|argue[sd]?|guess(?:ed)?)\b"
    r"[^.\n,]{0,12}$|\bothers\b[^.\n]{0,20}$|\b(?:student|user|friend|author|someone|model|guesser|answerer)'s\s$|"
    r"\b(?:used to|supposedly|allegedly|told (?:me|us)|"
    r"(?:is|it's|was) (?:\w+ly |often |sometimes )?(?:said|claimed|believed|argued|thought))\b[^.\n,]{0,12}$",
    re.I,
)
_SUPPOSED = re.compile(
    r"\b(?:if|whether|unless|suppose|supposing|assume|assuming|why|could|might|may|had|either way)\b", re.I
)
_DOUBTED = re.compile(
    r"(?:\bnot|n't|\bnever|\bdoubt|\bno|\bhardly)\s(?:(?!\bbut\b)[^,]){0,25}$|\b(?:is|are)\s(?:the\s)?$|"
    r"\b(?:each|every|any|both|all|other|these|those|wrong|incorrect)\s(?:\w+\s)?$|"
    r"\b(?:probability|chances?|likelihood|odds)\b[^.,]{0,12}\bthat\b[^.,]{0,20}$",
    re.I,
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
    kept = [one for one in stated if not taken_back(text, one.end)]
    if not kept:
        return None
    current, *others = sorted(kept, key=lambda one: (one.start, -one.weight))
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
    """Start and weight of the answer after a match of `CUE` ("answer is", "answer:"); None if no answer follows."""
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
    return any(pattern.search(clause) for pattern in (_SUPPOSED, _DOUBTED, _BY_OTHERS))


def denied(text: str, start: int) -> bool:
    """Whether the clause before `start` says that what follows is not so, or that others say it."""
    clause = re.split(r"\bbut\b", _clause(text, start))[-1]
    unsure = NOT.search(clause) or re.search(r"\b(?:perhaps|maybe|possibly)\b", clause, re.I)
    return unsure is not None or _BY_OTHERS.search(clause) is not None


def taken_back(text: str, end: int) -> bool:
    """Whether what follows `end` denies what was said there, or makes it depend on something."""
    return _TAKEN_BACK.match(text[end : end + 160]) is not None


def _clause(text: str, start: int) -> str:
    return re.split(r"[.\n!?;]", text[max(0, start - 45) : start])[-1]


def asks(text: str, end: int) -> bool:
    """Whether what ends at `end` is asked."""
    return re.match(r"[^\n.!;]{0,25}\?", text[end : end + 30]) is not None
