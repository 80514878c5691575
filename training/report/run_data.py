"""Reader of a run's folder for the report: config.json, run.json and metrics.jsonl, with each line checked."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gpt_from_scratch.support.storage.json_text import flat
from gpt_from_scratch.training.metrics.history import history
from gpt_from_scratch.training.metrics.kinds import parse
from gpt_from_scratch.training.metrics.record import Record

CONFIG_FILE, RUN_FILE, METRICS_FILE = "config.json", "run.json", "metrics.jsonl"


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Run:
    """The data of a run, with warnings about damage."""

    folder: Path
    config: dict[str, Any]
    facts: dict[str, Any]
    records: tuple[Record, ...]
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        """The run's name from its config, else its folder's name."""
        name = self.facts.get("name")
        return name if isinstance(name, str) and name else self.folder.absolute().name

    def of(self, kind: type[R]) -> list[R]:
        """The records of one kind, by step."""
        return sorted((record for record in self.records if isinstance(record, kind)), key=lambda record: record.step)


def read_run(folder: Path) -> Run:
    """Read a run's folder. Damaged parts are left out and listed in `warnings`.

    Raises: FileNotFoundError: the folder does not exist or has no metrics.jsonl.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: give the folder of a run, such as runs/NAME")
    if not (folder / METRICS_FILE).is_file():
        raise FileNotFoundError(f"{folder} is not a run: it holds no {METRICS_FILE}. Runs are in subfolders of runs/")
    warnings: list[str] = []
    config, facts = (_read_object(folder / name, warnings) for name in (CONFIG_FILE, RUN_FILE))
    records = history(read_records(folder / METRICS_FILE, warnings)).records
    if not records:
        warnings.append(f"{METRICS_FILE} has no record yet")
    return Run(folder, config, facts, records, tuple(warnings))


def _read_object(path: Path, warnings: list[str]) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        warnings.append(f"{path.name} is missing")
        return {}
    except (ValueError, RecursionError) as error:
        warnings.append(f"{path.name} is damaged: {error}")
        return {}
    if not isinstance(found, dict):
        warnings.append(f"{path.name} is damaged: it holds a {type(found).__name__}, expected an object")
        return {}
    return found


def read_records(path: Path, warnings: list[str]) -> Iterator[Record]:
    """Parse every line of metrics.jsonl; damaged lines are left out and listed in `warnings`."""
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            yield parse(json.loads(line.decode("utf-8")))
        except (ValueError, RecursionError, OverflowError) as error:
            warnings.append(f"{path.name}, line {number}, is left out: {error}")


def differences(runs: list[Run]) -> dict[str, list[Any]]:
    """The settings that differ: dotted name to the values of the runs, in order ("" if a run lacks it)."""
    configs = [flat(run.config) for run in runs]
    names = dict.fromkeys(name for config in configs for name in config)
    values = {name: [config.get(name, "") for config in configs] for name in names}
    return {name: found for name, found in values.items() if any(value != found[0] for value in found[1:])}
