"""Text from tokens: whole characters, stop sequences never shown, and offsets that point at each token's text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.evals.lm.checkpoint import Checkpoint
from gpt_from_scratch.evals.serve.text import TextStream, chat_logprobs, completion_logprobs, token_text
from gpt_from_scratch.models.generation import Scored


@given(data=st.binary(max_size=30), stops=st.lists(st.text("aé\N{GRINNING FACE}b", min_size=1, max_size=3), max_size=3))
def test_what_is_sent_is_the_text_up_to_the_first_stop(checkpoint: Checkpoint, data: bytes, stops: list[str]) -> None:
    """Token by token, with any bytes: the same as decoding all at once and cutting."""
    stream = TextStream(checkpoint.tokenizer, stops)
    sent, used = [], 0
    for token in data:
        sent.append(stream.add(token))
        used += 1
        if stream.stopped:
            break
    sent.append(stream.finish())
    whole = data[:used].decode("utf-8", errors="replace")
    places = [whole.find(stop) for stop in stops if stop in whole]
    assert "".join(sent) == stream.text == (whole[: min(places)] if places else whole)
    assert stream.stopped == bool(places)


@given(text=st.text("ab", max_size=12), stop=st.text("ab", min_size=1, max_size=4))
def test_nothing_is_held_longer_than_it_must_be(checkpoint: Checkpoint, text: str, stop: str) -> None:
    stream = TextStream(checkpoint.tokenizer, [stop])
    sent = ""
    for count, letter in enumerate(text, start=1):
        sent += stream.add(ord(letter))
        if stream.stopped:
            return
        held = text[len(sent) : count]
        assert stop.startswith(held) and len(held) < len(stop)
        assert not any(stop.startswith(text[start:count]) for start in range(len(sent)))


def test_offsets_are_where_each_token_begins(checkpoint: Checkpoint) -> None:
    stream = TextStream(checkpoint.tokenizer)
    for token in "é a".encode():
        stream.add(token)
    assert stream.offsets == [0, 0, 1, 2]


def test_tokens_that_are_no_characters_are_written_as_bytes(checkpoint: Checkpoint) -> None:
    assert [token_text(checkpoint.tokenizer, token) for token in (0x61, 0xC3)] == ["a", "bytes:\\xc3"]


def test_logprobs_in_both_forms(checkpoint: Checkpoint) -> None:
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
def test_tokens_with_one_text_keep_the_likelier_value(checkpoint: Checkpoint, likelier_first: bool) -> None:
    """lm-eval takes the largest value for that of the most likely token."""
    tokens = [token for token in range(264) if token_text(checkpoint.tokenizer, token) == "a"]
    top = ((tokens[0], -0.5), (tokens[0], -2.0))
    scored = Scored(tokens[0], -2.0, top if likelier_first else top[::-1])
    assert completion_logprobs(checkpoint.tokenizer, [scored], [0])["top_logprobs"] == [{"a": -0.5}]
