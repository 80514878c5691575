"""Our own checkpoint as a provider: the text and the probabilities are the model's, and threads share a batch."""

import math
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.evals.protocol.messages import (
    GetProbsRequest,
    GetProbsResponse,
    GetTextRequest,
    GetTextResponse,
    Message,
    Request,
    Usage,
)
from gpt_from_scratch.evals.protocol.provider import Provider, ProviderError
from gpt_from_scratch.evals.protocol.samples import QA
from gpt_from_scratch.evals.providers.local_checkpoint import LocalCheckpointProvider
from gpt_from_scratch.evals.providers.shared_engine import SharedEngine
from gpt_from_scratch.evals.runs.run_samples import run_samples
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.engine import generate
from gpt_from_scratch.models.generation.sampling import Sampling

PROMPT = [Message("system", "Add."), Message("user", "1 + 1 = ")]
TOKENS_OF = "Add.\n\n1 + 1 = "


def ask(provider: LocalCheckpointProvider, temperature: float = 0.0, text: str = "1 + 1 = ") -> str:
    request = GetTextRequest(
        context="mine", prompt=[Message("system", "Add."), Message("user", text)], temperature=temperature, max_tokens=9
    )
    response = provider.execute(provider.model_id, request)
    assert isinstance(response, GetTextResponse)
    return response.txt


def test_text_is_what_the_model_generates(checkpoint: OpenedModel) -> None:
    provider = LocalCheckpointProvider(checkpoint)
    assert isinstance(provider, Provider)
    assert provider.provides_model("local/tiny") and not provider.provides_model("local/other")
    request = GetTextRequest(context="mine", prompt=PROMPT, temperature=0, max_tokens=9)
    response = provider.execute("local/tiny", request)
    assert isinstance(response, GetTextResponse) and response.call is not None
    tokens = checkpoint.tokenizer.encode_ordinary(TOKENS_OF)
    stop = (checkpoint.tokenizer.eot_token,)
    expected = generate(checkpoint.model, [tokens], 9, Sampling(temperature=0, stop_tokens=stop))[0]
    assert response.txt == checkpoint.tokenizer.decode([token for token in expected if token not in stop])
    assert (response.context, response.call.served_model) == ("mine", "local/tiny")
    assert response.call.usage == Usage(len(tokens), len(expected))
    assert response.call.parameters == {"temperature": 0, "max_tokens": 9}
    assert response.call.finish_reason == ("stop" if stop[0] in expected else "length")
    bare = provider.execute("local/tiny", Request(context=None, prompt=PROMPT))
    assert isinstance(bare, GetTextResponse)


def test_probabilities_are_the_models(checkpoint: OpenedModel) -> None:
    provider = LocalCheckpointProvider(checkpoint)
    response = provider.execute("local/tiny", GetProbsRequest(context=None, prompt=PROMPT, min_top_n=100))
    assert isinstance(response, GetProbsResponse)
    assert math.fsum(response.probs.values()) == pytest.approx(1, abs=1e-5)
    tokens = torch.tensor([checkpoint.tokenizer.encode_ordinary(TOKENS_OF)])
    with torch.no_grad():
        expected = torch.softmax(checkpoint.model(tokens)[0, -1], dim=-1)
    for token in range(100):
        assert response.probs[checkpoint.tokenizer.decode([token])] == pytest.approx(float(expected[token]), abs=1e-5)
    few = provider.execute("local/tiny", GetProbsRequest(context=None, prompt=PROMPT, min_top_n=3))
    assert isinstance(few, GetProbsResponse)
    assert list(few.probs.values()) == pytest.approx(expected.topk(3).values.tolist(), abs=1e-5)


def test_sampling_is_repeatable_and_a_second_answer_differs(checkpoint: OpenedModel) -> None:
    first, again = LocalCheckpointProvider(checkpoint), LocalCheckpointProvider(checkpoint)
    answers = [ask(first, 1.0) for _ in range(4)]
    assert len(set(answers)) > 1
    ask(again, 1.0, "another prompt between")
    assert [ask(again, 1.0) for _ in range(4)] == answers
    assert [ask(LocalCheckpointProvider(checkpoint, seed=1), 1.0) for _ in range(4)] != answers


def test_threads_share_forward_passes(checkpoint: OpenedModel) -> None:
    engine, count = SharedEngine(checkpoint), 8
    together = threading.Barrier(count)

    def one(seed: int) -> str:
        together.wait()
        return engine.complete([1, 2, seed], 20, Sampling(seed=seed)).text

    with ThreadPoolExecutor(count) as pool:
        texts = list(pool.map(one, range(count)))
    assert engine.steps < 20 * count / 2
    alone = SharedEngine(checkpoint)
    assert texts == [alone.complete([1, 2, seed], 20, Sampling(seed=seed)).text for seed in range(count)]


def test_a_stop_sequence_ends_a_row_of_the_shared_engine(checkpoint: OpenedModel) -> None:
    engine = SharedEngine(checkpoint)
    whole = engine.complete([1, 2, 3], 20, Sampling(temperature=0))
    stop = whole.text[4:6]
    cut = engine.complete([1, 2, 3], 20, Sampling(temperature=0), [stop])
    place = whole.text.index(stop)
    assert (cut.text, cut.tokens, cut.finish) == (whole.text[:place], place + 2, "stop")


def test_an_engine_that_fails_says_so_to_all_and_recovers(checkpoint: OpenedModel) -> None:
    engine = SharedEngine(checkpoint)
    expected = engine.complete([1], 3, Sampling(temperature=0))
    weight = checkpoint.model.wte.weight.data
    before = weight.clone()
    weight.fill_(torch.nan)
    with pytest.raises(RuntimeError, match="generation failed: the model's logits are not finite"):
        engine.complete([1], 3, Sampling(temperature=0))
    weight.copy_(before)
    assert engine.complete([1], 3, Sampling(temperature=0)) == expected


def test_a_run_over_samples_counts_what_cannot_be_asked(folder: Path) -> None:
    provider = LocalCheckpointProvider(folder, device="cpu")
    samples = [QA(id=str(i), body=body, ideal_answers=["2"]) for i, body in enumerate(["1 + 1 = ", "2 · 2 = "])]
    result = run_samples(samples, provider, model=provider.model_id, max_tokens=3, max_concurrency=2)
    assert [row.error is None for row in result.sample_results] == [True, False]
    assert "cannot be encoded: character '·'" in str(result.sample_results[1].error)
    assert result.sample_results[0].served_model == "local/tiny-run-step-00000020"
    assert result.cost == 0


def test_the_fingerprint_is_of_the_weights(checkpoint: OpenedModel) -> None:
    provider = LocalCheckpointProvider(checkpoint)
    before = provider.fingerprint()
    assert before == LocalCheckpointProvider(checkpoint).fingerprint()
    bias = checkpoint.model.ln_f.bias
    assert bias is not None
    with torch.no_grad():
        bias[0] += 1
    assert provider.fingerprint() != before
    with torch.no_grad():
        bias[0] -= 1


def test_a_prompt_that_cannot_be_encoded_is_the_providers_error(checkpoint: OpenedModel) -> None:
    with pytest.raises(ProviderError, match="cannot be encoded"):
        ask(LocalCheckpointProvider(checkpoint), text="·")


def test_importing_it_brings_no_torch() -> None:
    code = "import sys; import gpt_from_scratch.evals.providers.local_checkpoint; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
