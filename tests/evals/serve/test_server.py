"""The server as its clients see it: the real OpenAI client, and lm-eval's contract for scoring."""

import concurrent.futures
import json
import urllib.error
import urllib.request
from typing import Any

import openai
import pytest

from gpt_from_scratch.evals.__main__ import main
from gpt_from_scratch.evals.scoring.loglikelihood import Continuation, loglikelihoods
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.engine import generate
from gpt_from_scratch.models.generation.sampling import Sampling

TEXT = "the cat sat on é"


def post(url: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_completion_is_what_the_model_generates(client: openai.OpenAI, checkpoint: OpenedModel) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "gpt_from_scratch"
    tokens = checkpoint.tokenizer.encode_ordinary(TEXT)
    expected = generate(checkpoint.model, [tokens], 12, Sampling(temperature=0))[0]
    for prompt in (TEXT, tokens):
        answer = client.completions.create(model="tiny", prompt=prompt, max_tokens=12, temperature=0)
        assert answer.choices[0].text == checkpoint.tokenizer.decode(expected)
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage is not None
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (len(tokens), 12)


@pytest.mark.parametrize("chat", [False, True])
def test_a_stream_is_the_whole_in_pieces(client: openai.OpenAI, chat: bool) -> None:
    common: dict[str, Any] = {"model": "tiny", "max_tokens": 30, "seed": 5, "n": 2, "temperature": 1.3, "stop": ["the"]}
    if chat:
        common |= {"messages": [{"role": "user", "content": TEXT}], "logprobs": True, "top_logprobs": 2}
    else:
        common |= {"prompt": TEXT, "logprobs": 2}
    create: Any = client.chat.completions.create if chat else client.completions.create
    whole = create(**common)
    texts, finishes, logprobs = ["", ""], [None, None], [[], []]
    usage = None
    for chunk in create(**common, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage
        for choice in chunk.choices:
            texts[choice.index] += (choice.delta.content or "") if chat else choice.text
            finishes[choice.index] = choice.finish_reason or finishes[choice.index]
            if choice.logprobs is not None:
                logprobs[choice.index] += choice.logprobs.content if chat else choice.logprobs.token_logprobs
    assert texts == [choice.message.content if chat else choice.text for choice in whole.choices]
    assert texts[0] != texts[1]
    assert finishes == [choice.finish_reason for choice in whole.choices]
    assert usage == whole.usage
    for choice, own in zip(whole.choices, logprobs, strict=True):
        if chat:
            assert [one.token for one in own] == [one.token for one in choice.logprobs.content]
            own, expected = ([one.logprob for one in content] for content in (own, choice.logprobs.content))
        else:
            expected = choice.logprobs.token_logprobs
        assert own == pytest.approx(expected, abs=1e-4)


def test_a_stop_sequence_ends_the_text_before_it(client: openai.OpenAI) -> None:
    plain = client.completions.create(model="tiny", prompt=TEXT, max_tokens=30, seed=1).choices[0].text
    stop = plain[5:8]
    cut = client.completions.create(model="tiny", prompt=TEXT, max_tokens=30, seed=1, stop=stop).choices[0]
    assert cut.text == plain[: plain.index(stop)]
    assert cut.finish_reason == "stop"


def test_choices_come_in_the_order_of_their_prompts(client: openai.OpenAI, checkpoint: OpenedModel) -> None:
    prompts = [[1, 2], [3], [4, 5, 6]]
    answer = client.completions.create(model="tiny", prompt=prompts, max_tokens=6, n=2, seed=9)
    expected = [
        checkpoint.tokenizer.decode(generate(checkpoint.model, [prompt], 6, Sampling(seed=9 + copy))[0])
        for prompt in prompts
        for copy in range(2)
    ]
    assert [choice.index for choice in answer.choices] == list(range(6))
    assert [choice.text for choice in answer.choices] == expected


def test_a_prompt_that_comes_again_gets_another_text(client: openai.OpenAI, checkpoint: OpenedModel) -> None:
    answer = client.completions.create(model="tiny", prompt=[TEXT, "a", TEXT, TEXT], max_tokens=12, n=2, seed=9)
    texts = [choice.text for choice in answer.choices]
    tokens = checkpoint.tokenizer.encode_ordinary(TEXT)
    expected = [
        checkpoint.tokenizer.decode(generate(checkpoint.model, [tokens], 12, Sampling(seed=9).for_row(row))[0])
        for row in range(6)
    ]
    assert texts[:2] + texts[4:] == expected and len(set(expected)) == 6
    alone = client.completions.create(model="tiny", prompt="a", max_tokens=12, n=2, seed=9)
    assert texts[2:4] == [choice.text for choice in alone.choices]


def test_echo_scores_the_prompt_as_lm_eval_wants_it(client: openai.OpenAI, checkpoint: OpenedModel) -> None:
    tokenizer = checkpoint.tokenizer
    prompts = [tokenizer.encode_ordinary(text) for text in (TEXT, "the hat")]
    answer = client.completions.create(
        model="tiny", prompt=prompts, max_tokens=1, temperature=0, logprobs=1, echo=True, seed=1234
    )
    for choice, prompt in zip(answer.choices, prompts, strict=True):
        logprobs: Any = choice.logprobs
        assert choice.text.startswith(tokenizer.decode(prompt))
        assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == len(prompt) + 1
        assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
        scores = loglikelihoods(
            checkpoint.model, [Continuation(tuple(prompt[:i]), (prompt[i],)) for i in range(1, len(prompt))]
        )
        assert logprobs.token_logprobs[1:-1] == pytest.approx([score.logprob for score in scores], abs=1e-4)
        for score, own, top in zip(scores, logprobs.token_logprobs[1:-1], logprobs.top_logprobs[1:-1], strict=True):
            assert (own == max(top.values())) == score.greedy  # equal to the last bit: so lm-eval tells greedy tokens
        assert logprobs.text_offset[-1] == len(tokenizer.decode(prompt))


def test_echo_alone_makes_no_token(client: openai.OpenAI) -> None:
    choice = client.completions.create(model="tiny", prompt=TEXT, max_tokens=0, echo=True, logprobs=0).choices[0]
    assert choice.text == TEXT
    assert choice.logprobs is not None and choice.logprobs.token_logprobs is not None
    assert len(choice.logprobs.token_logprobs) == len(choice.logprobs.tokens or [])
    assert client.completions.create(model="tiny", prompt=TEXT, max_tokens=2, echo=True).choices[0].logprobs is None


def test_the_end_of_text_ends_a_choice_and_is_scored(client: openai.OpenAI, checkpoint: OpenedModel) -> None:
    """lm-eval counts on a token after the prompt, even if it is this one."""
    end = checkpoint.tokenizer.eot_token
    ending = next(
        [a, b]
        for a in range(60)
        for b in range(60)
        if generate(checkpoint.model, [[a, b]], 1, Sampling(temperature=0))[0] == [end]
    )
    answer = client.completions.create(
        model="tiny", prompt=ending, max_tokens=5, temperature=0, logprobs=1, echo=True
    ).choices[0]
    assert answer.text == checkpoint.tokenizer.decode(ending)
    assert answer.finish_reason == "stop"
    assert answer.logprobs is not None and answer.logprobs.tokens is not None
    assert answer.logprobs.tokens[2:] == ["<|endoftext|>"]


def test_an_empty_prompt_is_the_beginning_of_a_text(client: openai.OpenAI, checkpoint: OpenedModel) -> None:
    answer = client.completions.create(model="tiny", prompt="", max_tokens=5, temperature=0).choices[0].text
    expected = generate(checkpoint.model, [[checkpoint.tokenizer.eot_token]], 5, Sampling(temperature=0))[0]
    assert answer == checkpoint.tokenizer.decode(expected)


def test_many_at_once_are_each_as_if_alone(client: openai.OpenAI) -> None:
    def ask(seed: int) -> str:
        return (
            client.completions.create(model="tiny", prompt=TEXT[: 3 + seed % 9], max_tokens=20, seed=seed)
            .choices[0]
            .text
        )

    alone = [ask(seed) for seed in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert list(pool.map(ask, range(12))) == alone


def test_errors_have_openais_form(client: openai.OpenAI, checkpoint: OpenedModel) -> None:
    with pytest.raises(openai.NotFoundError, match="this server has 'tiny'"):
        client.completions.create(model="gpt-4o", prompt="a")
    with pytest.raises(
        openai.BadRequestError, match="maximum context length is 64 tokens, the prompt has 65"
    ) as caught:
        client.completions.create(model="tiny", prompt=[1] * 65)
    assert caught.value.code == "context_length_exceeded"
    size = checkpoint.tokenizer.n_vocab
    with pytest.raises(openai.BadRequestError, match=f"token {size} is not among the tokenizer's {size}"):
        client.completions.create(model="tiny", prompt=[size])
    with pytest.raises(openai.BadRequestError, match="tools is not supported"):
        function = {"type": "function", "function": {"name": "f"}}
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "a"}], tools=[function])  # type: ignore[list-item]
    with pytest.raises(openai.NotFoundError, match="there is no POST /v1/embeddings here"):
        client.embeddings.create(model="tiny", input="a")


def test_tokens_by_vllms_endpoints(url: str, checkpoint: OpenedModel) -> None:
    tokens = checkpoint.tokenizer.encode_ordinary(TEXT)
    assert post(f"{url}/tokenize", {"prompt": TEXT, "add_special_tokens": False}) == (
        200,
        {"tokens": tokens, "count": len(tokens), "max_model_len": 64},
    )
    assert post(f"{url}/detokenize", {"tokens": tokens}) == (200, {"prompt": TEXT})
    with urllib.request.urlopen(f"{url}/tokenizer_info") as reply:
        info = json.load(reply)
    assert info["eos_token"] == "<|endoftext|>"
    end = [checkpoint.tokenizer.eot_token]
    assert post(f"{url}/tokenize", {"prompt": info["eos_token"]})[1]["tokens"] == end
    assert post(f"{url}/tokenize", {"prompt": f"a{info['eos_token']}"})[1]["tokens"][-1:] != end
    for body in ({"tokens": [10**6]}, {"tokens": "a"}, {"tokens": [True]}):
        assert post(f"{url}/detokenize", body)[0] == 400
    assert post(f"{url}/tokenize", {})[0] == 400


def test_an_address_of_the_network_needs_a_token(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPT_SERVE_TOKEN", raising=False)
    with pytest.raises(ValueError, match=r"--host 0.0.0.0 can be reached from other machines: set GPT_SERVE_TOKEN"):
        main(["serve", "--checkpoint", str(folder), "--host", "0.0.0.0"])
