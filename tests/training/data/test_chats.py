"""Packed conversations: each of the assistant's tokens is a target once, and a packed one costs what it costs alone."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.chat.encoding import encode, stop_tokens
from gpt_from_scratch.tokenizer.chat.template import Message, template_of
from gpt_from_scratch.training.data.chats import as_texts, of_conversations, questions_of, with_template
from gpt_from_scratch.training.data.loader import NO_TARGET
from gpt_from_scratch.training.data.source import Conversations
from gpt_from_scratch.training.data.sources.conversations import read_conversations
from gpt_from_scratch.training.data.sources.dialogues import LIVE as DIALOGUES
from gpt_from_scratch.training.data.sources.dialogues import DialogueOptions, dialogue
from gpt_from_scratch.training.data.tokenizers import make_tokenizer
from gpt_from_scratch.training.data.validation_set import evaluate
from gpt_from_scratch.training.ranks.process_group import ONE_RANK

DATA = DIALOGUES.read(DialogueOptions(n_dialogues=60))
TOKENIZER = make_tokenizer(
    "bpe", 400, "tinystories", train=as_texts(DATA).train, special_tokens=DIALOGUES.special_tokens
)
words = st.text("abc the", min_size=0, max_size=8)
turn = st.tuples(words, words)


def talk(turns: list[tuple[str, str]]) -> list[Message]:
    return [m for q, a in turns for m in ({"role": "user", "content": q}, {"role": "assistant", "content": a})]


talks = st.lists(st.lists(turn, min_size=1, max_size=3).map(talk), min_size=1, max_size=6)


def targets_of(conversations: list[list[Message]], block_size: int) -> list[int]:
    corpus = of_conversations(Conversations(conversations, DATA.validation[:1]), block_size, TOKENIZER)
    data = corpus.train
    _, targets = data.batch(np.arange(data.n_samples))
    found = targets[targets != NO_TARGET].tolist()
    assert len(found) == data.n_targets
    assert [int((row != NO_TARGET).sum()) for row in targets] == list(data.targets)
    return found


@settings(deadline=None)
@given(talks, st.integers(4, 80))
def test_each_token_of_an_answer_is_a_target_once_and_no_other_is(
    conversations: list[list[Message]], size: int
) -> None:
    expected = [t for one in conversations for t, answer in zip(*encode(TOKENIZER, one), strict=True) if answer]
    assert sorted(targets_of(conversations, size)) == sorted(expected)


@settings(max_examples=8, deadline=None)
@given(talks)
def test_a_packed_conversation_costs_what_it_costs_alone(conversations: list[list[Message]]) -> None:
    assume(any(message["content"] for one in conversations for message in one[1::2]))
    config = GPTConfig(128, TOKENIZER.n_vocab, 1, 2, 8, document_mask=True, end_of_text=TOKENIZER.eot_token, ngram=2)
    torch.manual_seed(0)
    model = GPT(config).eval()
    torch.nn.init.normal_(model.wpe.weight)  # type: ignore[union-attr]
    corpus = partial(of_conversations, block_size=128, tokenizer=TOKENIZER)

    def nats(part: list[list[Message]]) -> float:
        data = corpus(Conversations(part, DATA.validation[:1])).train
        tokens, targets = data.batch(np.arange(data.n_samples))
        with torch.no_grad():
            return float(model(tokens, targets, reduction="sum"))

    together = nats(conversations)
    assert together == pytest.approx(sum(nats([one]) for one in conversations), rel=1e-5)
    # The validation set scores each answer by itself, and finds the same.
    score = evaluate(model, corpus(Conversations(DATA.train[:1], conversations)).validation, ONE_RANK)
    assert score is not None and score.nats == pytest.approx(together, rel=1e-5)


def test_a_tokenizer_without_a_template_gets_a_plain_one_and_keeps_its_ids() -> None:
    plain = make_tokenizer("bpe", 300, "gpt2", train=["the cat sat on the mat"] * 9)
    chats = with_template(plain)
    assert template_of(chats) is not None and chats.eot_token == plain.eot_token
    assert chats.encode_ordinary("the cats") == plain.encode_ordinary("the cats")
    assert stop_tokens(chats) == (plain.eot_token,)
    with pytest.raises(ValueError, match="cannot have a chat template"):
        with_template(CharacterTokenizer.from_text("abc"))


def test_a_dialogue_has_one_right_answer_and_questions_hold_what_was_said_before() -> None:
    answers: dict[str, str] = {}
    for index in range(100):
        for question in questions_of(dialogue(5, index), TOKENIZER):
            said = "\n".join(message["content"] for message in question.messages)
            assert answers.setdefault(said, question.answer) == question.answer
    assert len(answers) > 60 and TOKENIZER.decode(question.tokens).endswith("<|assistant|>")


def test_a_line_that_is_no_conversation_is_named(tmp_path) -> None:
    path = tmp_path / "chats.jsonl"
    good = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    path.write_text(good + '\n{"messages": [{"role": "user", "content": "no answer"}]}\n')
    assert len(list(read_conversations(path))) == 1
    path.write_text(good + '{"messages": [{"role": "cat"}]}\n')
    with pytest.raises(ValueError, match=r"chats\.jsonl, line 2: message 0 needs a role: system, user, assistant"):
        list(read_conversations(path))
