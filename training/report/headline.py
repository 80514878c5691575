"""The headline of a report: what was learned, and a few sentences that say what its reader sees."""

from collections.abc import Sequence
from pathlib import PurePath

from gpt_from_scratch.training.metrics.records.eval import Eval
from gpt_from_scratch.training.metrics.records.sample import SampleRecord
from gpt_from_scratch.training.metrics.records.train import Train
from gpt_from_scratch.training.report.run_data import Run

SUBJECTS = {"stories": "to write little stories", "shakespeare": "to write like Shakespeare"}
"""What is learned from a source of data, where the source itself says it."""
RUNNING, ENDED = "running", "finished"
"""States of a run, as run.json has them."""


def is_running(run: Run) -> bool:
    """Whether the run had not ended when it was read."""
    return bool(run.facts.get("state") == RUNNING)


def headline(run: Run) -> str:
    """Title: "A GPT that learned to write little stories"; the run's name if its data are unknown."""
    data = run.config.get("data")
    source, path = (data.get("source"), data.get("path")) if isinstance(data, dict) else (None, None)
    if isinstance(path, str) and path:
        subject = f"from {PurePath(path).name or path}"
    elif isinstance(source, str) and source:
        subject = SUBJECTS.get(source, f"from {source}")
    else:
        return run.name
    state = run.facts.get("state")
    return f"A GPT that {'is learning' if state == RUNNING else 'learned'} {subject}"


def sentences(run: Run) -> str:
    """Sentences about the loss, its reference value and the samples; "" if nothing is known."""
    kind: type[Eval] | type[Train] = Eval if run.of(Eval) else Train
    losses = [record for record in run.of(kind) if record.loss is not None]
    said = []
    if losses:
        first, last, whose = losses[0], losses[-1], "validation" if isinstance(losses[0], Eval) else "training"
        if last.step > first.step:
            turned = "fell" if last.loss < first.loss else "went"  # type: ignore[operator]
            said.append(
                f"The {whose} loss {turned} from {first.loss:.2f} nats per token at step {first.step:,} to {last.loss:.2f} "
                f"at step {last.step:,}."
            )
        else:
            said.append(f"The {whose} loss was {last.loss:.2f} nats per token at step {last.step:,}.")
    floor = run.facts.get("floor_nats_per_token")
    if losses and isinstance(floor, float):
        said.append(f"No model can come below {floor:.2f}: that is the entropy of the text itself.")
    said += about_samples(run.of(SampleRecord))
    return " ".join(said)


def about_samples(samples: Sequence[SampleRecord]) -> list[str]:
    """Number of the last samples that the grammar accepts and the training text lacks."""
    last = [one for one in samples if one.step == samples[-1].step]
    judged = [one for one in last if one.grammatical is not None and one.novel is not None]
    if not judged:
        return []
    good = sum(bool(one.grammatical and one.novel) for one in judged)
    return [
        f"Of the last {len(judged)} texts that it wrote, {good} {'is' if good == 1 else 'are'} grammatical and not in its "
        "training text."
    ]
