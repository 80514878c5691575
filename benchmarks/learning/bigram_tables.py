"""The character models' losses as tables, from the metrics.json of their runs (`training/train_bigram.py`)."""

from pathlib import Path
from typing import Any

from gpt_from_scratch.benchmarks.common.measured import NOT_MEASURED, read, table_of


@table_of("bigram_ladder.json")
def ladder(metrics: dict[str, Any]) -> list[str]:
    """Every stage with what it adds and its losses at its best."""
    config, stages = metrics["config"], metrics["stages"]
    minutes = sum(stage["cpu_seconds"] for stage in stages) / 60
    lines = [
        f"{config['steps']:,} steps of {config['batch_size']} × {config['model']['block_size']} characters each, seed "
        f"{config['seed']}; losses in nats per character, validation on the whole last tenth; {minutes:.1f} minutes of one "
        "core for all nine.",
        "",
        "| stage | adds | parameters | train | validation |",
        "|---|---|---:|---:|---:|",
    ]
    for stage in stages:
        best = stage["best"]
        losses = f"{best['train']:.4f} | {best['validation']:.4f}"
        lines.append(f"| {stage['stage']} | {stage['adds']} | {stage['parameters']:,} | {losses} |")
    return lines


def large(results: Path) -> list[str]:
    """The small and the large model with everything, at their best and their last evaluation, beside the lecture's."""
    lines = [
        "| model | parameters | steps | core-minutes | best validation loss | at the last step | the lecture's |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, lecture in (("small", "2.0263"), ("large", "1.4678, then 2.1802")):
        metrics = read(results / f"bigram_{name}.json")
        if metrics is None:
            lines.append(f"| {name} | {NOT_MEASURED} | | | | | {lecture} |")
            continue
        (stage,) = metrics["stages"]
        best, last = stage["best"], stage["last"]
        lines.append(
            f"| {name} (seed {metrics['config']['seed']}) | {stage['parameters']:,} | {last['step']:,} | "
            f"{stage['cpu_seconds'] / 60:.0f} | {best['validation']:.4f} (step {best['step']:,}) | {last['validation']:.4f} | "
            f"{lecture} |"
        )
    return lines
