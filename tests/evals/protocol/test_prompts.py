"""Prompts hold what their style says, in its order."""

from gpt_from_scratch.evals.protocol.messages import Message
from gpt_from_scratch.evals.protocol.prompts import PromptStyle, ask
from gpt_from_scratch.evals.protocol.samples import QA, MCQuestion

CHOICE = MCQuestion(id="m", body="Which?", choices_right=["r1", "r2"], choices_wrong=["w"], choices_order=[2, 0, 1])
SOLVED = QA(id="s", body=[Message("system", "of the shot"), Message("user", "1 + 1")], ideal_answers=["2", "two"])


def test_a_text_and_a_conversation() -> None:
    assert ask(QA(id="q", body="hi", ideal_answers=["x"]), PromptStyle()).prompt == [Message("user", "hi")]
    assert ask(SOLVED, PromptStyle()).prompt == SOLVED.body
    assert ask(SOLVED, PromptStyle()).ideal_answers == ["2", "two"]


def test_choices_are_lettered_in_their_order() -> None:
    asked = ask(CHOICE, PromptStyle(instruction="Answer with a letter."))
    assert asked.prompt == [Message("user", "Which?\n\n(A) w\n(B) r1\n(C) r2\n\nAnswer with a letter.")]
    assert asked.ideal_answers == ["(B)", "(C)"]
    assert asked.choices == {"A": "w", "B": "r1", "C": "r2"}


def test_shots_come_between_system_and_question_and_never_give_the_answer_away() -> None:
    style = PromptStyle(system="s", instruction="i", few_shot=[SOLVED, CHOICE])
    question = QA(id="q", body=[Message("system", "own"), Message("user", "2 + 2")], ideal_answers=["4"])
    roles_and_texts = [(message.role, message.content) for message in ask(question, style).prompt]
    assert roles_and_texts == [
        *(("system", "s"), ("system", "own"), ("user", "1 + 1\n\ni"), ("assistant", "2")),
        *(("user", "Which?\n\n(A) w\n(B) r1\n(C) r2\n\ni"), ("assistant", "(B)"), ("user", "2 + 2\n\ni")),
    ]
    assert len(ask(SOLVED, style).prompt) == 5, "the sample is not among its own shots"


def test_order_depends_on_seed_sample_and_epoch_alone() -> None:
    def order(id: str, **how: int) -> str:
        sample = MCQuestion(id=id, body="?", choices_right=["1"], choices_wrong=list("23456"))
        return "".join(ask(sample, PromptStyle(), **how).choices.values())

    assert order("a", seed=1) == order("a", seed=1)
    assert len({order("a"), order("b"), order("a", seed=1), order("a", epoch=1)}) == 4
