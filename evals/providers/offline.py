"""Offline providers: any function of a prompt, and an oracle that knows the answers."""

import re
from collections.abc import Callable, Iterable
from typing import ClassVar

from gpt_from_scratch.evals.protocol.messages import (
    Call,
    GetProbsResponse,
    GetTextResponse,
    Prompt,
    Request,
    Response,
    TextOptions,
    Usage,
    asks_for_probs,
)
from gpt_from_scratch.evals.protocol.pricing import PriceList, estimated_tokens
from gpt_from_scratch.evals.protocol.samples import AnySample, MCQuestion, Question

PRICES = PriceList(re.compile("oracle$"), free=True)


class OfflineProvider:
    """A provider whose model is a function of the prompt. Its tokens are the characters' code points."""

    offline: ClassVar[bool] = True

    def __init__(self, model_id: str, answer: Callable[[Prompt], str]) -> None:
        self.model_id = model_id
        self._answer = answer

    def provides_model(self, model_id: str) -> bool:
        return model_id == self.model_id

    def execute(self, model_id: str, request: Request) -> Response:
        answer = self._answer(request.prompt)
        options = TextOptions.of(request)
        text = self.decode(model_id, self.encode(model_id, answer)[: options.max_tokens])
        usage = Usage(sum(estimated_tokens(message.content) for message in request.prompt), estimated_tokens(text))
        parameters = {"temperature": options.temperature, "max_tokens": options.max_tokens}
        call = Call(served_model=self.model_id, parameters=parameters, usage=usage, finish_reason="stop")
        if asks_for_probs(request):
            return GetProbsResponse(
                model_id=model_id,
                request=request,
                raw_responses=[answer],
                context=request.context,
                call=call,
                probs={answer[:1]: 1.0},
            )
        return GetTextResponse(
            model_id=model_id, request=request, raw_responses=[text], context=request.context, call=call, txt=text
        )

    def encode(self, model_id: str, data: str) -> list[int]:
        return [ord(character) for character in data]

    def decode(self, model_id: str, tokens: list[int]) -> str:
        return "".join(map(chr, tokens))


class OracleProvider(OfflineProvider):
    """Knows the right answer of each sample, and gives it unless `corrupt` changes it.

    corrupt: takes the sample and its right answer, returns what to say. An oracle with errors shows whether an eval and
    its plots would see them.
    """

    def __init__(
        self, samples: Iterable[AnySample], corrupt: Callable[[AnySample, str], str] = lambda sample, answer: answer
    ) -> None:
        self._samples = {_last_text(sample): sample for sample in samples}
        self._corrupt = corrupt
        super().__init__("oracle", self._answer_from_samples)

    def _answer_from_samples(self, prompt: Prompt) -> str:
        text = prompt[-1].content
        sample = self._samples.get(text) or next(
            (sample for question, sample in self._samples.items() if text.startswith(question)), None
        )
        if sample is None:
            raise KeyError(f"the oracle was given no sample that asks {text[:80]!r}")
        if isinstance(sample, MCQuestion):
            return self._corrupt(sample, _right_letter(sample, text))
        return self._corrupt(sample, sample.ideal_answers[0])


def _last_text(sample: Question) -> str:
    return sample.body if isinstance(sample.body, str) else sample.body[-1].content


def _right_letter(sample: MCQuestion, text: str) -> str:
    """The letter under which a rendered question offers a right choice: its lines end in "(A) choice"."""
    for line in text.splitlines():
        if line[:1] == "(" and line[2:4] == ") " and line[4:] in sample.choices_right:
            return line[:3]
    raise KeyError(f"no right choice of sample {sample.id!r} is on offer in {text[:80]!r}")
