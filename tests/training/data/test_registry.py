"""A data source is one file: a new one is in the command line, the config, the errors and `generate` with no other change."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gpt_from_scratch.training.data.registry import LIVE, NAMED, PREPARED, found_in, live_sources

ROOT = Path(__file__).parents[3]

NEW_SOURCE = '''
"""`sums`: lines of sums."""

from dataclasses import dataclass

from gpt_from_scratch.training.data.source import DataSettings, LiveSource, Texts


@dataclass(frozen=True)
class SumOptions(DataSettings):
    """How many."""

    n_sums: int = 400
    """Sums to train on."""


class Sums(LiveSource):
    """Lines."""

    name = "sums"
    about = "lines of sums, made here"
    options = SumOptions
    running_text = True

    def read(self, settings, *, progress=None):
        lines = [f"{i} + {i % 7} = {i + i % 7}\\n" for i in range(settings.n_sums)]
        return Texts(["".join(lines)], ["".join(lines[:40])])


LIVE = Sums()
'''


def test_a_new_live_source_is_one_file(tmp_path: Path) -> None:
    tree = tmp_path / "tree" / "project"
    shutil.copytree(ROOT / "training", tree / "training", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("support", "kernels", "tokenizer", "models", "evals"):
        (tree / name).symlink_to(ROOT / name)
    (tree / "training" / "data" / "sources" / "sums.py").write_text(NEW_SOURCE)
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "gpt_from_scratch").symlink_to(tree)
    small = (
        "tiny --steps 2 --batch-size 2 --model.n-layer 1 --model.n-head 2 --model.n-embd 16 --model.block-size 16 "
        "--data sums --data.n-sums 300 --data.tokenizer character --run.n-final-samples 1 --run.sample-tokens 5 "
        "--backend torch --run.name one --run.folder"
    )
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path / "path")!r})
from gpt_from_scratch.training import launch, config
assert config.__file__.startswith({str(tmp_path)!r}), config.__file__
from gpt_from_scratch.training.generate import learned_documents
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.session import prepared
from gpt_from_scratch.training.ranks.process_group import ranks_from_environment
with prepared(parse({[*small.split(), str(tmp_path / "runs")]!r}), ranks_from_environment()) as session:
    assert session.run()
from pathlib import Path
assert not learned_documents(Path({str(tmp_path / "runs" / "one" / "checkpoints" / "step-00000002" / "model")!r}))
try:
    parse(["--help"])
except SystemExit:
    pass
"""
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "COLUMNS": "90"}
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    told = " ".join(run.stdout.replace("│", " ").split())
    assert '"sums": lines of sums, made here' in told and "--data.n-sums" in told
    saved = json.loads((tmp_path / "runs" / "one" / "config.json").read_text())
    assert saved["data"]["source"] == "sums" and saved["data"]["n_sums"] == 300


def test_every_name_has_its_words() -> None:
    assert all(f'"{name}": {source.about}' in live_sources() for name, source in LIVE.items())
    assert all(source.name == name and source.about for name, source in PREPARED.items())
    assert set(NAMED) == {name for name, source in PREPARED.items() if not source.suffixes}


def test_the_documentation_names_every_source() -> None:
    told = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    for name, source in PREPARED.items():
        assert f"`{source.suffixes[0] if source.suffixes else name}`" in told, name


@pytest.mark.parametrize(
    "content, message",
    [
        ("'''Nothing.'''", "declares no data source: expected LIVE, PREPARED or both"),
        ("LIVE = 5", "LIVE is 5, expected an instance of LiveSource"),
        ("PREPARED = str", "expected an instance of PreparedSource"),
        ("from gpt_from_scratch.training.data.sources.text import LIVE", "another source has the name 'text'"),
        (
            "from gpt_from_scratch.training.data.sources.jsonl import PREPARED",
            "another source has the name 'JSON lines'",
        ),
    ],
)
def test_a_file_that_declares_no_source_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    package = tmp_path / f"other_sources_{abs(hash(content))}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    if "import" in content:
        (package / "a_first.py").write_text(content)
    (package / "faulty.py").write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    with pytest.raises((TypeError, ValueError), match=rf"faulty\.py.*{message}"):
        found_in([str(package)], package.name)
