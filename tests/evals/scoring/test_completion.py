"""Text from tokens: whole characters, stop sequences never shown, and offsets that point at each token's text."""

from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.evals.scoring.completion import TextStream, complete
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.engine import generate
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer

BYTES = BytePairEncodingTokenizer([])


@given(data=st.binary(max_size=30), stops=st.lists(st.text("aé\N{GRINNING FACE}b", max_size=3), max_size=3))
def test_what_is_sent_is_the_text_up_to_the_first_stop(data: bytes, stops: list[str]) -> None:
    """Token by token, with any bytes: the same as decoding all at once and cutting. An empty stop stops nothing."""
    stream = TextStream(BYTES, stops)
    sent, used = [], 0
    for token in data:
        sent.append(stream.add(token))
        used += 1
        if stream.stopped:
            break
    sent.append(stream.finish())
    whole = data[:used].decode("utf-8", errors="replace")
    places = [whole.find(stop) for stop in stops if stop and stop in whole]
    assert "".join(sent) == stream.text == (whole[: min(places)] if places else whole)
    assert stream.stopped == bool(places)


@given(text=st.text("ab", max_size=12), stop=st.text("ab", min_size=1, max_size=4))
def test_nothing_is_held_longer_than_it_must_be(text: str, stop: str) -> None:
    stream = TextStream(BYTES, [stop])
    sent = ""
    for count, letter in enumerate(text, start=1):
        sent += stream.add(ord(letter))
        if stream.stopped:
            return
        held = text[len(sent) : count]
        assert stop.startswith(held) and len(held) < len(stop)
        assert not any(stop.startswith(text[start:count]) for start in range(len(sent)))


def test_offsets_are_where_each_token_begins() -> None:
    stream = TextStream(BYTES)
    for token in "é a".encode():
        stream.add(token)
    assert stream.offsets == [0, 0, 1, 2]


def test_completions_end_at_a_stop_the_end_of_text_or_their_length(checkpoint: OpenedModel) -> None:
    prompts = [[1, 2, 3], [4], [5, 6]]
    whole = generate(
        checkpoint.model, prompts, 20, Sampling(temperature=0, stop_tokens=(checkpoint.tokenizer.eot_token,))
    )
    texts = [checkpoint.tokenizer.decode(tokens) for tokens in whole]
    stop = texts[1][6:9]
    done = complete(
        checkpoint,
        prompts,
        max_tokens=[20, 20, 7],
        sampling=Sampling(temperature=0),
        stops=[(), (stop,), ()],
    )
    assert [one.text for one in done] == [texts[0], texts[1][: texts[1].index(stop)], texts[2][:7]]
    assert [one.finish for one in done] == ["length", "stop", "length"]
    assert [one.tokens for one in done] == [20, texts[1].index(stop) + len(stop), 7]
    ended = complete(checkpoint, [[1]], max_tokens=50, sampling=Sampling(temperature=0, stop_tokens=tuple(range(100))))
    assert (ended[0].text, ended[0].tokens, ended[0].finish) == ("", 1, "stop")
