"""The dispatcher finds exactly one provider for a model."""

import subprocess
import sys

import pytest

from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import OpenAIFunctionCallingProvider
from gpt_from_scratch.evals.protocol.messages import GetProbsRequest, GetTextRequest, Message
from gpt_from_scratch.evals.protocol.pricing import Price, price_of
from gpt_from_scratch.evals.protocol.provider import fingerprint
from gpt_from_scratch.evals.protocol.samples import QA, MCQuestion
from gpt_from_scratch.evals.providers import dispatcher
from gpt_from_scratch.evals.providers.anthropic_provider import AnthropicProvider
from gpt_from_scratch.evals.providers.echo_provider import EchoProvider
from gpt_from_scratch.evals.providers.offline import OracleProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider


def say(text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        *(("gpt-4o-mini", OpenAIProvider), ("o3", OpenAIProvider), ("chatgpt-4o-latest", OpenAIProvider)),
        *(("claude-opus-5", AnthropicProvider), ("echo", EchoProvider)),
    ],
)
def test_each_model_has_one_provider(model: str, kind: type) -> None:
    assert isinstance(dispatcher.get_model_provider(model), kind)


def test_none_and_more_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no provider has the model 'gtp-4o'.*'echo'"):
        dispatcher.get_model_provider("gtp-4o")
    functions = OpenAIFunctionCallingProvider([say])
    monkeypatch.setattr(dispatcher, "PROVIDERS", [*dispatcher.PROVIDERS, functions])
    assert dispatcher.get_model_provider("function-calling-gpt-4o") is functions
    monkeypatch.setattr(dispatcher, "PROVIDERS", [*dispatcher.PROVIDERS, EchoProvider()])
    with pytest.raises(ValueError, match="more than one provider has the model 'echo': EchoProvider, EchoProvider"):
        dispatcher.get_model_provider("echo")


def test_fingerprints_tell_providers_apart() -> None:
    prints = [
        fingerprint(provider)
        for provider in (
            OpenAIProvider(),
            OpenAIProvider(base_url="http://127.0.0.1:1/v1"),
            AnthropicProvider(),
            EchoProvider(),
            OpenAIFunctionCallingProvider([say]),
            OpenAIFunctionCallingProvider([say], 5),
            OpenAIFunctionCallingProvider([say], strict=False),
        )
    ]
    assert len({str(p) for p in prints}) == len(prints)


def test_offline_providers() -> None:
    text = GetTextRequest(prompt=[Message("user", "你好")], context=1, temperature=0.0, max_tokens=1)
    response = EchoProvider().execute("echo", text)
    assert response.txt == "你" and response.context == 1
    probs = EchoProvider().execute("echo", GetProbsRequest(prompt=text.prompt, context=None, min_top_n=1))
    assert probs.probs == {"你": 1.0}
    samples = [
        QA(id="1", body="1 + 1", ideal_answers=["2"]),
        MCQuestion(id="2", body="Which?", choices_right=["yes"], choices_wrong=["no"]),
    ]
    oracle = OracleProvider(samples, corrupt=lambda sample, answer: f"{sample.id}:{answer}")
    request = GetTextRequest(prompt=[Message("user", "1 + 1")], context=None, temperature=0.0, max_tokens=9)
    assert oracle.execute("oracle", request).txt == "1:2"
    request.prompt = [Message("user", "Which?\n\n(A) no\n(B) yes")]
    assert oracle.execute("oracle", request).txt == "2:(B)"
    request.prompt = [Message("user", "unheard of")]
    with pytest.raises(KeyError, match="unheard of"):
        oracle.execute("oracle", request)


def test_prices() -> None:
    assert price_of("gpt-4o-mini") == price_of("gpt-4o-mini-2024-07-18") == price_of("function-calling-gpt-4o-mini")
    assert price_of("claude-3-5-haiku-latest") == price_of("claude-3-5-haiku-20241022") == Price(0.8, 4.0)
    assert price_of("unheard-of") is None and price_of("echo") == Price(0.0, 0.0)


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    """The runner, the function calling and the arithmetic eval load without any SDK, pandas or torch."""
    modules = [
        *("runs.run_samples", "providers.dispatcher", "answers.scorers", "protocol.stats"),
        *("results.report", "results.compare", "evalugator_adapter", "__main__"),
        *(
            "arithmetic_eval.arithmetic_eval",
            "text_command",
            "function_calling.openai.function_calling_provider",
        ),
        "function_calling.anthropic.function_calling_provider",
    ]
    code = (
        "import sys; "
        + "; ".join(f"import gpt_from_scratch.evals.{name}" for name in modules)
        + "; print(*sys.modules)"
    )
    loaded = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    assert not {"torch", "openai", "anthropic", "pandas", "matplotlib", "evalugator"} & loaded
