"""Our providers inside evalugator's evals, and its providers inside ours.

evalugator is not on PyPI. `PACKAGE` is a reconstruction of the parts that meet ours, from its public documentation; where
the real package is installed the same tests run on it instead.
"""

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.evals import evalugator_adapter
from gpt_from_scratch.evals.evalugator_adapter import FromEvalugator, from_evalugator, to_evalugator
from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import OpenAIFunctionCallingProvider
from gpt_from_scratch.evals.protocol import messages, samples
from gpt_from_scratch.evals.providers.echo_provider import EchoProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.runs.run_samples import run_samples

PACKAGE = {
    "__init__.py": "",
    "api/requests.py": """
from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

@dataclass
class Message:
    role: str
    content: str

Prompt = list[Message]

@dataclass(kw_only=True)
class Request:
    context: Any
    prompt: Prompt
    def as_dict(self): return asdict(self)

@dataclass(kw_only=True)
class GetTextRequest(Request):
    temperature: float
    max_tokens: int

@dataclass(kw_only=True)
class GetProbsRequest(Request):
    min_top_n: int
    num_samples: int | None = None

@dataclass(kw_only=True)
class Response:
    model_id: str
    request: Request
    raw_responses: list[Any]
    context: Any
    @abstractmethod
    def as_dict(self): raise NotImplementedError

@dataclass(kw_only=True)
class GetTextResponse(Response):
    txt: str
    def as_dict(self):
        return {"model_id": self.model_id, "request": self.request.as_dict(), "txt": self.txt, "context": self.context}

@dataclass(kw_only=True)
class GetProbsResponse(Response):
    probs: dict[str, float]
    def as_dict(self):
        return {"model_id": self.model_id, "request": self.request.as_dict(), "probs": self.probs, "context": self.context}
""",
    "api/dispatcher.py": """
from functools import partial
PROVIDERS = []

def get_request_processor(request, model_id):
    found = [p for p in PROVIDERS if p.provides_model(model_id)]
    assert len(found) == 1, f"{len(found)} providers for {model_id}"
    return partial(found[0].execute, model_id)
""",
    "api/__init__.py": """
from concurrent.futures import ThreadPoolExecutor
from evalugator.api.dispatcher import get_request_processor
from evalugator.api.requests import GetTextRequest, Message

class Api:
    log = []
    def __init__(self, model_id): self.model_id = model_id
    def execute(self, request):
        future = ThreadPoolExecutor(1).submit(get_request_processor(request, self.model_id), request)
        future.add_done_callback(lambda done: Api.log.append(done.result().as_dict()))
        return future
    def get_text(self, prompt, temperature=1, max_tokens=512):
        prompt = [Message("user", prompt)] if isinstance(prompt, str) else prompt
        request = GetTextRequest(context=None, prompt=prompt, temperature=temperature, max_tokens=max_tokens)
        return self.execute(request)
""",
    "structs.py": """
from typing import Any
from pydantic import BaseModel
from evalugator.api.requests import Message, Prompt

class Sample(BaseModel):
    id: str
    splits: dict[str, str] = {}
    comments: str | None = None
    scores: dict = {}
    type: str = "Sample"
    extra_template_vars: dict = {}
    created_by: str = "unknown"

class QA(Sample):
    body: str | Prompt
    ideal_answers: list[str]

class MCQuestion(Sample):
    body: str | Prompt
    choices_right: list[str]
    choices_wrong: list[str]
    choices_order: list[int] | None = None

class SampleResult(BaseModel):
    input: str | list
    other_output: Any = None
    output: str | list | dict[str, float]
    output_parsed: str | None
    output_correct: str | list[str] | None
    sample: Any
    score: float

class EvalResult(BaseModel):
    id: str
    created_at: str
    completer: str
    accuracy: float | None
    counts: dict
    sample_results: list[SampleResult]
""",
    "evals.py": '''
from evalugator.api import Api
from evalugator.structs import SampleResult

class SimpleEval:
    """Asks each QA, right where the reply starts with the ideal answer."""
    def __init__(self, model, samples): self.api, self.samples = Api(model), samples
    def run(self):
        asked = [(s, self.api.get_text(s.body, temperature=0.5, max_tokens=20)) for s in self.samples]
        return [SampleResult(input=s.body, output=f.result().txt, output_parsed=f.result().txt,
                             output_correct=s.ideal_answers[0], sample=s,
                             score=float(f.result().txt.startswith(s.ideal_answers[0]))) for s, f in asked]
''',
}


@pytest.fixture
def evalugator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if importlib.util.find_spec("evalugator") is None:
        for name, source in PACKAGE.items():
            path = tmp_path / "evalugator" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
    import evalugator.api.dispatcher
    import evalugator.api.requests
    import evalugator.evals
    import evalugator.structs

    monkeypatch.setattr(evalugator.api.dispatcher, "PROVIDERS", [])
    yield evalugator
    for name in [name for name in sys.modules if name.split(".")[0] == "evalugator"]:
        del sys.modules[name]


def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@pytest.mark.parametrize("kind", ["plain", "functions"])
def test_our_provider_inside_its_eval(evalugator: Any, server: Any, openai_url: str, kind: str) -> None:
    ours: Any = OpenAIProvider() if kind == "plain" else OpenAIFunctionCallingProvider([shout])
    model = "gpt-4o" if kind == "plain" else "function-calling-gpt-4o"
    evalugator_adapter.register(ours)
    sample = evalugator.structs.QA(
        id="1", body=[evalugator.api.requests.Message("user", "say this")], ideal_answers=["say"]
    )
    (result,) = evalugator.evals.SimpleEval(model, [sample]).run()
    assert (result.output, result.score) == ("say this", 1.0)
    body = server.log[0]["body"]
    assert (body["temperature"], body["max_tokens"], body["model"]) == (0.5, 20, "gpt-4o")
    logged = evalugator.api.Api.log[-1]
    assert logged["txt"] == "say this" and logged["request"]["temperature"] == 0.5
    response = evalugator.api.Api(model).get_text("again").result()
    assert type(response) is evalugator.api.requests.GetTextResponse
    assert type(response.request) is evalugator.api.requests.GetTextRequest


AS_IT_IS = """
import evalugator.api.dispatcher, evalugator.evals, evalugator.structs
from evalugator.api.requests import Message
from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import OpenAIFunctionCallingProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider

def shout(text: str) -> str:
    return text.upper()

evalugator.api.dispatcher.PROVIDERS += [OpenAIProvider(), OpenAIFunctionCallingProvider([shout])]
sample = evalugator.structs.QA(id="1", body=[Message("user", "say this")], ideal_answers=["say"])
for model in ("gpt-4o", "function-calling-gpt-4o"):
    (result,) = evalugator.evals.SimpleEval(model, [sample]).run()
    print(result.output, result.score)
"""


def test_our_providers_may_be_appended_as_they_are(evalugator: Any, server: Any, openai_url: str) -> None:
    """In a process of its own: the shape checks of the tests want our own request classes there."""
    path = os.pathsep.join([str(Path(evalugator.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", AS_IT_IS],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout.split("\n")[:2] == ["say this 1.0"] * 2
    assert [(entry["body"]["temperature"], entry["body"]["max_tokens"]) for entry in server.log] == [(0.5, 20)] * 2


def test_probabilities_inside_its_api(evalugator: Any) -> None:
    evalugator_adapter.register(EchoProvider())
    requests = evalugator.api.requests
    request = requests.GetProbsRequest(
        context="c", prompt=[requests.Message("user", "hi")], min_top_n=1, num_samples=None
    )
    response = evalugator.api.Api("echo").execute(request).result()
    assert type(response) is requests.GetProbsResponse
    assert (response.probs, response.context) == ({"h": 1.0}, "c")


def test_its_provider_inside_our_runner(evalugator: Any) -> None:
    requests = evalugator.api.requests

    class Theirs:
        def provides_model(self, model_id: str) -> bool:
            return model_id == "theirs"

        def execute(self, model_id: str, request: Any) -> Any:
            assert type(request) is requests.GetTextRequest and type(request.prompt[0]) is requests.Message
            text = request.prompt[-1].content
            response = requests.GetTextResponse(
                model_id=model_id, request=request, raw_responses=[], context=request.context, txt=text
            )
            if text == "b":
                response.error = "refused"
            return response

    questions = [samples.QA(id=text, body=text, ideal_answers=[text]) for text in "ab"]
    result = run_samples(questions, FromEvalugator(Theirs()), model="theirs", progress=False)
    assert result.accuracy == 1.0
    assert [row.error for row in result.sample_results] == [None, "refused"]
    assert result.sample_results[0].served_model == "theirs"


def test_samples_and_results_both_ways(evalugator: Any) -> None:
    for sample in (
        samples.QA(id="q", body=[messages.Message("user", "?")], ideal_answers=["1"], splits={"depth": "2"}),
        samples.MCQuestion(id="m", body="?", choices_right=["a"], choices_wrong=["b"], choices_order=[1, 0]),
    ):
        theirs = to_evalugator(sample)
        assert type(theirs) is getattr(evalugator.structs, type(sample).__name__)
        assert from_evalugator(theirs) == sample
    result = run_samples(
        [samples.QA(id="q", body="x", ideal_answers=["x"])], EchoProvider(), model="echo", progress=False
    )
    assert to_evalugator(result).sample_results[0].score == 1.0
    failed = result.sample_results[0].model_copy(update={"score": None, "output": None, "error": "no"})
    row = to_evalugator(failed)
    assert row.output == "" and math.isnan(row.score)


def test_without_it_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evalugator", None)
    with pytest.raises(RuntimeError, match="evalugator is not on PyPI"):
        to_evalugator(messages.Message("user", "hi"))
