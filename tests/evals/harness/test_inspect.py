"""inspect on a checkpoint of ours: its epochs, its settings, and the room that it leaves for an answer."""

from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from tests.evals.harness.conftest import TEXT

pytestmark = pytest.mark.harness


def test_inspect_runs_a_task_on_our_checkpoint(folder: Path, tmp_path: Path) -> None:
    import inspect_ai
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.scorer import includes

    import gpt_from_scratch.evals.harness.inspect_adapter  # noqa: F401  (registers the provider)
    from gpt_from_scratch.models.checkpoints.opening import open_model
    from gpt_from_scratch.models.generation.engine import generate
    from gpt_from_scratch.models.generation.sampling import Sampling

    checkpoint = open_model(folder, device="cpu")
    prompts = ["The river", "A man", "The wall"]
    expected = []
    for prompt in prompts:
        end = checkpoint.tokenizer.eot_token
        tokens = checkpoint.tokenizer.encode_ordinary(prompt)
        new = generate(checkpoint.model, [tokens], 8, Sampling(temperature=0, stop_tokens=(end,)))[0]
        expected.append(checkpoint.tokenizer.decode([token for token in new if token != end]))
    samples = [Sample(input=prompt, target=text) for prompt, text in zip(prompts, expected, strict=True)]
    task = inspect_ai.Task(dataset=MemoryDataset(samples), scorer=includes(ignore_case=False))
    (log,) = inspect_ai.eval(
        task,
        model=f"gpt_from_scratch/{folder}",
        model_args={"device": "cpu"},
        temperature=0,
        max_tokens=8,
        log_dir=str(tmp_path),
        display="none",
    )
    assert log.status == "success", log.error
    assert log.results is not None
    assert log.results.scores[0].metrics["accuracy"].value == 1
    assert log.samples is not None
    assert [sample.output.completion for sample in log.samples] == expected


def test_inspects_epochs_with_a_seed_are_texts_of_their_own(folder: Path) -> None:
    import inspect_ai
    from inspect_ai.dataset import Sample
    from inspect_ai.model import get_model
    from inspect_ai.solver import generate as solver

    import gpt_from_scratch.evals.harness.inspect_adapter as adapter

    assert adapter
    task = inspect_ai.Task(dataset=[Sample(input="A man walks", target="x")], solver=solver(), epochs=8)

    def texts() -> set[str]:
        model = get_model(f"gpt_from_scratch/{folder}", device="cpu", memoize=False)
        (log,) = inspect_ai.eval(
            task, model=model, seed=3, max_tokens=16, display="none", log_dir=str(folder.parent / "logs")
        )
        return {sample.output.completion for sample in log.samples or []}

    assert len(first := texts()) == 8 and texts() == first


def ask_inspect(folder: Path, prompt: str, **settings: Any) -> Any:
    import asyncio

    from inspect_ai.model import ChatMessageUser, GenerateConfig

    import gpt_from_scratch.evals.harness.inspect_adapter as adapter

    model = adapter.GPTFromScratchAPI(str(folder), device="cpu")
    config = GenerateConfig(temperature=0, **settings)
    outputs = [asyncio.run(model.generate([ChatMessageUser(content=prompt)], [], "auto", config)) for _ in range(2)]
    assert outputs[0].completion == outputs[1].completion
    return outputs[0]


def test_inspect_keeps_room_for_the_answer_and_says_what_it_cuts(
    folder: Path, checkpoint: OpenedModel, caplog: pytest.LogCaptureFixture
) -> None:
    long = TEXT * 5
    count = len(checkpoint.tokenizer.encode_ordinary(long))
    output = ask_inspect(folder, long, max_tokens=20)
    assert output.usage.input_tokens == 96 - 20 and output.usage.output_tokens <= 20
    assert f"a prompt of {count} tokens loses its first {count - 76}: it and an answer of 20" in caplog.text
    assert ask_inspect(folder, long).usage.input_tokens == 96 - 24
    caplog.clear()
    output = ask_inspect(folder, "A man", max_tokens=500)
    assert output.usage.total_tokens <= 96 and output.stop_reason in ("model_length", "stop")
    assert ask_inspect(folder, "A man", max_tokens=3).stop_reason in ("max_tokens", "stop")
    assert not caplog.records


def test_inspect_names_what_it_ignores_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    ask_inspect(folder, "A man", max_tokens=3, logprobs=True, frequency_penalty=0.5, max_retries=2, num_choices=4)
    named = [record.getMessage() for record in caplog.records]
    assert named == [f"{folder} has no frequency_penalty, logprobs, num_choices: these settings are ignored"]


def test_inspects_empty_stop_sequence_stops_nothing(folder: Path) -> None:
    plain = ask_inspect(folder, "A man", max_tokens=12).completion
    assert ask_inspect(folder, "A man", max_tokens=12, stop_seqs=[""], top_k=0).completion == plain != ""
    assert (
        ask_inspect(folder, "A man", max_tokens=12, stop_seqs=["", plain[3]]).completion
        == plain[: plain.index(plain[3])]
    )
