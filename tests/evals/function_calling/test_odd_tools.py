"""Whatever a function does becomes a result that the model can read, bounded in size: 200 generated behaviours."""

import collections
import json
import threading
from typing import Any

import pytest

from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import OpenAIFunctionCallingProvider
from gpt_from_scratch.evals.function_calling.registry import ToolRegistry
from gpt_from_scratch.evals.function_calling.strict_schema import ANTHROPIC, OPENAI
from gpt_from_scratch.evals.protocol.samples import QA
from gpt_from_scratch.evals.runs.run_samples import run_samples
from tests.evals.function_calling.odd_behaviours import SilentForGood, _cancelled, _circle, _raising, acting, behaviours

MOST = 1000


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # some leave a coroutine unawaited
@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC], ids=lambda dialect: dialect.vendor)
def test_two_hundred_behaviours_are_two_hundred_results(dialect: Any) -> None:
    kinds = collections.Counter[bool]()
    for act in behaviours(200):
        result = ToolRegistry([acting(act)], dialect, most_result_characters=MOST).resolve("tool", "{}")
        kinds[result.is_error] += 1
        assert len(result.content.encode("utf-16", "strict")) <= 2 * MOST + 2
        if result.is_error:
            error = json.loads(result.content)
            assert error.keys() == {"type", "message", "errors", "traceback"} and error["type"]
            assert "secret" not in error["message"] or "/home" not in error["message"]
    assert kinds[True] + kinds[False] == 200 and min(kinds.values()) > 30


def test_a_run_goes_on_whatever_its_tools_do(server: Any, openai_url: str) -> None:
    acts = iter([_raising(SilentForGood()), _raising(KeyboardInterrupt()), lambda: "\ud83d", _cancelled, _circle])
    lock = threading.Lock()

    def act() -> Any:
        """Do something."""
        with lock:
            own = next(acts)
        return own()

    call = {"id": "1", "type": "function", "function": {"name": "act", "arguments": ""}}
    server.script(*[{"message": {"role": "assistant", "tool_calls": [call]}}] * 5)
    samples = [QA(id=f"q{i}", body="do it", ideal_answers=["x"]) for i in range(5)]
    result = run_samples(
        samples,
        OpenAIFunctionCallingProvider([act]),
        model="function-calling-gpt-4o",
        max_concurrency=5,
        progress=False,
    )
    assert len(result.sample_results) == 5 and not result.errors
