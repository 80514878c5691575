"""A model with functions as the model of a run: its turns are one answer, with one cost."""

from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.evals.function_calling.anthropic.function_calling_provider import AnthropicFunctionCallingProvider
from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import OpenAIFunctionCallingProvider
from gpt_from_scratch.evals.protocol.pricing import price_of
from gpt_from_scratch.evals.protocol.retry import Backoff
from gpt_from_scratch.evals.protocol.samples import QA
from gpt_from_scratch.evals.runs.run_samples import run_samples


def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


VENDORS: dict[str, Any] = {
    "openai": (
        OpenAIFunctionCallingProvider,
        "function-calling-gpt-4o-mini",
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "double", "arguments": '{"number": 4}'}}
            ],
        },
    ),
    "anthropic": (
        AnthropicFunctionCallingProvider,
        "function-calling-claude-haiku-4-5",
        [{"type": "tool_use", "id": "1", "name": "double", "input": {"number": 4}}],
    ),
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_turns_are_summed_retried_and_cached(
    server: Any, openai_url: str, anthropic_url: str, vendor: str, tmp_path: Path
) -> None:
    kind, model, call = VENDORS[vendor]
    server.script({"message": call}, {"status": 500}, {"message": call}, {"text": "8"})
    samples = [QA(id="q", body="Twice 4?", ideal_answers=["8"])]
    options: dict[str, Any] = {"model": model, "cache_dir": tmp_path, "progress": False, "backoff": Backoff(base=0.001)}
    result = run_samples(samples, kind([double]), **options)
    (row,) = result.sample_results
    assert (row.score, row.output, row.retries) == (1.0, "8", 1)
    assert (row.input_tokens, row.output_tokens) == (30, 15), "the first turn of the failed try was paid for too"
    price = price_of(model)
    assert price is not None and row.cost == result.cost == pytest.approx((30 * price.input + 15 * price.output) / 1e6)
    again = run_samples(samples, kind([double]), **options)
    assert again.sample_results[0].cached and len(server.log) == 4
    run_samples(samples, kind([double], 5), **options)
    assert len(server.log) == 5, "with other functions or turns it is another model"


@pytest.mark.parametrize("vendor", VENDORS)
def test_too_many_turns_are_an_error_that_is_counted(
    server: Any, openai_url: str, anthropic_url: str, vendor: str
) -> None:
    kind, model, call = VENDORS[vendor]
    server.script(*[{"message": call}] * 2)
    samples = [QA(id="q", body="Twice 4?", ideal_answers=["8"])]
    (row,) = run_samples(samples, kind([double], 2), model=model, progress=False).sample_results
    assert "still called functions after 2 turns" in str(row.error) and row.input_tokens == 20 and row.score is None
