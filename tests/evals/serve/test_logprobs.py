"""Tokens and log-probabilities in the JSON of both endpoints."""

import pytest

from gpt_from_scratch.evals.serve.logprobs import chat_logprobs, completion_logprobs, token_text
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.scored import Scored


def test_tokens_that_are_no_characters_are_written_as_bytes(checkpoint: OpenedModel) -> None:
    assert [token_text(checkpoint.tokenizer, token) for token in (0x61, 0xC3)] == ["a", "bytes:\\xc3"]


def test_logprobs_in_both_forms(checkpoint: OpenedModel) -> None:
    scored = [Scored(0x61, -1.0, ((0x62, -0.5), (0x61, -1.0))), Scored(0xC3, -3.0, ((0x62, -0.25),))]
    assert completion_logprobs(checkpoint.tokenizer, [0x7A, *scored], [0, 1, 2]) == {
        "tokens": ["z", "a", "bytes:\\xc3"],
        "token_logprobs": [None, -1.0, -3.0],
        "top_logprobs": [None, {"b": -0.5, "a": -1.0}, {"b": -0.25, "bytes:\\xc3": -3.0}],
        "text_offset": [0, 1, 2],
    }
    content = chat_logprobs(checkpoint.tokenizer, scored)["content"]
    assert [one["token"] for one in content] == ["a", "bytes:\\xc3"]
    assert content[1]["bytes"] == [0xC3]
    assert content[0]["top_logprobs"][0] == {"token": "b", "logprob": -0.5, "bytes": [0x62]}


@pytest.mark.parametrize("likelier_first", [True, False])
def test_tokens_with_one_text_keep_the_likelier_value(checkpoint: OpenedModel, likelier_first: bool) -> None:
    """lm-eval takes the largest value for that of the most likely token."""
    tokens = [token for token in range(264) if token_text(checkpoint.tokenizer, token) == "a"]
    top = ((tokens[0], -0.5), (tokens[0], -2.0))
    scored = Scored(tokens[0], -2.0, top if likelier_first else top[::-1])
    assert completion_logprobs(checkpoint.tokenizer, [scored], [0])["top_logprobs"] == [{"a": -0.5}]
