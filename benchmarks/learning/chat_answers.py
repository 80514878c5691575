"""The right answers of the preset `chat` on dialogues that it has not seen, and the seconds that it learned for:

    python -m gpt_from_scratch.benchmarks.learning.chat_answers              # the preset, from the start of its process
    python -m gpt_from_scratch.benchmarks.learning.chat_answers --run RUN    # of a run that is there

An answer is right where the most likely tokens are the one right answer, to the letter. Exit status 1: fewer than 95 % are, or
the run took more than three minutes.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from gpt_from_scratch.benchmarks.common.timed_lines import timed_lines
from gpt_from_scratch.models.checkpoints.opening import OpenedModel, open_model
from gpt_from_scratch.models.generation.engine import generate
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.tokenizer.chat.encoding import stop_tokens
from gpt_from_scratch.training.data.chats import Question, questions_of
from gpt_from_scratch.training.data.sources.dialogues import dialogue

FRESH_SEED = 2
LEAST_RIGHT, MOST_SECONDS = 0.95, 180.0


def answers(opened: OpenedModel, dialogues: int) -> list[tuple[Question, str]]:
    """Each question of so many new dialogues, and what the model answers."""
    stops = stop_tokens(opened.tokenizer)
    asked = [q for index in range(dialogues) for q in questions_of(dialogue(FRESH_SEED, index), opened.tokenizer)]
    rows = generate(opened.model, [q.tokens for q in asked], 30, Sampling(temperature=0, stop_tokens=stops))
    written = (opened.tokenizer.decode([token for token in row if token not in stops]) for row in rows)
    return list(zip(asked, written, strict=True))


def main(arguments: list[str] | None = None) -> int:
    """Train, ask, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run that is there")
    parser.add_argument("--dialogues", type=int, default=300)
    options = parser.parse_args(arguments)
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        run = options.run or Path(folder) / "chat"
        if options.run is None:
            command = [sys.executable, "-m", "gpt_from_scratch", "train", "chat", "--out", str(run), "--device", "cpu"]
            for seconds, line in timed_lines(command):  # noqa: B007 (the last one's time is the run's)
                print(line)
        made = answers(open_model(run, device="cpu"), options.dialogues)
    wrong = [(question, answer) for question, answer in made if answer != question.answer]
    for question, answer in wrong[:5]:
        print(f"  {question.messages[-1]['content']}  ->  {answer}  (right: {question.answer})")
    right = 1 - len(wrong) / len(made)
    trained = f", trained in {seconds:.0f} s" if seconds else ""
    print(f"{right:.1%} of {len(made)} answers are right{trained}")
    return int(right < LEAST_RIGHT or seconds > MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
