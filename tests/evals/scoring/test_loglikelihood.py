"""Log-probabilities of continuations: equal to a loop that takes one token at a time, whatever the batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.evals.scoring.loglikelihood import Continuation, ContinuationScore, encode_pair, loglikelihoods
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer


def slowly(model: GPT, request: Continuation) -> ContinuationScore:
    """The definition: each token after all that fits before it (a long continuation in windows of the context's size)."""
    both = [*request.context, *request.continuation]
    size, start, count = model.config.block_size, len(request.context), len(request.continuation)
    logprob, greedy = 0.0, True
    for position in range(start, len(both)):
        if count <= size:
            first = max(0, len(both) - 1 - size)
        else:
            first = max(0, start + (position - start) // size * size - 1)
        with torch.no_grad():
            row = torch.log_softmax(model(torch.tensor([both[first:position]]))[0, -1], dim=-1)
        logprob += float(row[both[position]])
        greedy &= int(row.argmax()) == both[position]
    return ContinuationScore(logprob, greedy, count)


tokens = st.lists(st.integers(0, 99), min_size=1, max_size=70).map(tuple)


@given(pairs=st.lists(st.tuples(tokens, tokens), max_size=5), batch_tokens=st.sampled_from([1, 60, 9999]))
@settings(max_examples=12, deadline=None)
def test_equal_to_one_token_at_a_time(
    checkpoint: OpenedModel, pairs: list[tuple[tuple[int, ...], tuple[int, ...]]], batch_tokens: int
) -> None:
    requests = [Continuation(*pair) for pair in pairs]
    scores = loglikelihoods(checkpoint.model, requests + requests[:1], batch_tokens=batch_tokens)
    assert len(scores) == len(requests) + len(requests[:1])
    for request, score in zip(requests + requests[:1], scores, strict=True):
        expected = slowly(checkpoint.model, request)
        assert score.logprob == pytest.approx(expected.logprob, abs=1e-4 * expected.tokens)
        assert (score.greedy, score.tokens) == (expected.greedy, expected.tokens)


def test_greedy_is_what_the_model_would_say(checkpoint: OpenedModel) -> None:
    said: list[int] = []
    for _ in range(5):
        with torch.no_grad():
            said.append(int(checkpoint.model(torch.tensor([[7, 8, *said]]))[0, -1].argmax()))
    other = [*said[:-1], (said[-1] + 1) % 100]
    scores = loglikelihoods(checkpoint.model, [Continuation((7, 8), tuple(end)) for end in (said, other)])
    assert [score.greedy for score in scores] == [True, False]


def test_the_vocabulary_never_meets_a_whole_batch(checkpoint: OpenedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [Continuation((i, 1), tuple(range(30))) for i in range(8)]
    whole = loglikelihoods(checkpoint.model, requests)
    monkeypatch.setattr("gpt_from_scratch.evals.scoring.loglikelihood.LOGITS_AT_ONCE", 700)
    seen: list[int] = []
    linear = torch.nn.functional.linear

    def watched(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        if weight is checkpoint.model.head_weight:
            seen.append(len(x))
        return linear(x, weight, bias)

    monkeypatch.setattr(torch.nn.functional, "linear", watched)
    parts = loglikelihoods(checkpoint.model, requests)
    assert max(seen) == 7
    assert [s.logprob for s in parts] == pytest.approx([s.logprob for s in whole], abs=1e-4)


@pytest.mark.parametrize("request_", [((), (1,)), ((1,), ())])
def test_an_empty_side_is_refused(request_: tuple) -> None:
    with pytest.raises(ValueError, match="at least one token each"):
        Continuation(*request_)


@pytest.mark.parametrize("bad", [-1, 100])
def test_tokens_outside_the_vocabulary_are_refused(checkpoint: OpenedModel, bad: int) -> None:
    with pytest.raises(ValueError, match=f"token {bad} is not among the model's 100"):
        loglikelihoods(checkpoint.model, [Continuation((1, bad), (2,))])


def test_pairs_are_split_as_lm_eval_does() -> None:
    text = "the cat sat on the mat, the cat sat on the hat. " * 20
    tokenizer = BytePairEncodingTokenizer.from_text(text, 271)
    pair = encode_pair(tokenizer, "the cat ", "sat")
    assert list(pair.context) == tokenizer.encode_ordinary("the cat")  # the space goes to the continuation
    assert [*pair.context, *pair.continuation] == tokenizer.encode_ordinary("the cat sat")
    assert pair == encode_pair(tokenizer, "the cat", " sat")
    for empty in ("", "  "):
        alone = encode_pair(tokenizer, empty, "sat")
        assert alone.context == (tokenizer.eot_token,)
        assert list(alone.continuation) == tokenizer.encode_ordinary(empty + "sat")


JOINING = BytePairEncodingTokenizer.from_text("aab abb ab aaa bbb abab " * 30, 269)


@given(context=st.text("ab ", max_size=9), continuation=st.text("ab ", min_size=1, max_size=6))
def test_no_join_leaves_a_continuation_without_tokens(context: str, continuation: str) -> None:
    """A tokenizer that joins letters across the two, more of them the longer they are."""
    tokenizer = JOINING
    pair = encode_pair(tokenizer, context, continuation)
    assert pair.context and pair.continuation
    given = tokenizer.encode_ordinary(context.rstrip())
    rest = tokenizer.encode_ordinary(context + continuation)[len(given) :]
    if rest:
        assert list(pair.continuation) == rest
    else:
        moved = context[len(context.rstrip()) :]
        assert list(pair.continuation) == tokenizer.encode_ordinary(moved + continuation)
