"""Every command where the locale is ASCII, first with its output in a file, then with standard output closed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpt_from_scratch.__main__ import COMMANDS
from tests.training.conftest import SMALL

NAME = "größe 猫🐈"
RUN = f"runs/{NAME}"
WORDS: dict[str, list[tuple[list[str], int]]] = {
    "train": [([*SMALL, "--data", f"{NAME}.txt", "--run.name", NAME], 0)],
    "prepare": [
        (
            [
                f"{NAME}.jsonl",
                "--tokenizer",
                f"{NAME}.bpe",
                "--pieces",
                "2",
                "--validation-fraction",
                "0.5",
                "--out",
                NAME,
            ],
            0,
        )
    ],
    "stories": [(["--num", "1"], 0)],
    "learn bigram": [(["--data", f"{NAME}.txt", "--stage", "bigram", "--steps", "2", "--out", f"b {NAME}"], 0)],
    "learn dictionary": [
        (["--num", "60", "--n-random", "2", "--out", f"d {NAME}", "--ksvd.n-atoms", "8", "--ksvd.iterations", "1"], 0)
    ],
    "learn features": [
        ([RUN, "--num", "200", "--sae.steps", "2", "--sae.k", "3", "--sae.n-features", "20", "--out", f"f {NAME}"], 0)
    ],
    "generate": [([RUN, "--prompt", "the 🐈", "--max-tokens", "9"], 0), ([f"{NAME}.txt"], 2)],
    "chat": [([f"{NAME}.txt"], 2)],
    "export": [([RUN, "--out", f"e {NAME}"], 0)],
    "import": [([f"{RUN}/checkpoints/step-00000012/model", "--out", f"i {NAME}"], 0)],
    "push": [([RUN, "no name"], 2)],
    "serve": [([NAME, "--port", "0"], 2)],
    "tokenizer": [(["train", f"{NAME}.txt", "--vocab-size", "280", "--out", f"{NAME}.bpe"], 0)],
    "report": [([RUN], 0)],
    "attention": [([RUN, "--text", "the 🐈", "--out", f"a {NAME}"], 0)],
    "eval": [
        (["bits-per-byte", RUN, "--data", f"{NAME}.txt"], 0),
        (["arithmetic", "--model", "oracle", "--num", "3", "--out", f"one {NAME}"], 0),
        (["arithmetic", "--model", "oracle", "--num", "3", "--out", f"two {NAME}"], 0),
    ],
    "compare": [([f"one {NAME}", f"two {NAME}"], 0)],
    "kernels": [([], 0)],
    "bench": [(["--help"], 0)],
    "doctor": [([], 0)],
}
FIRST = ("tokenizer", "train")  # what others need
WALK = """
import json, os, shutil, sys
from pathlib import Path
from gpt_from_scratch.support.command_line.command import run_command
from gpt_from_scratch.__main__ import COMMANDS

folder, lines = Path(sys.argv[1]), json.loads(sys.argv[2])
found = []
for state in ("open", "closed"):
    os.chdir(folder / state)
    if state == "closed":  # the same run: tests/training/faults trains with standard output closed
        shutil.copytree("../open/runs", "runs")
    for command, words, expected in lines:
        if (state, command) == ("closed", "train"):
            continue
        # As Python begins: an encoding of the locale, or no stream at all.
        sys.stdout.flush()
        if state == "closed":
            os.close(1)
            sys.stdout = None
        sys.argv = ["gpt", *words]
        print("==", state, command, file=sys.stderr, flush=True)
        try:
            run_command("gpt " + command, COMMANDS[command].target)
        except SystemExit as end:
            status = end.code or 0
        found.append([state, command, words, expected, status])
(folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
"""


@pytest.mark.timeout(300)
def test_every_command_works_in_an_ascii_locale_and_without_standard_output(tmp_path: Path) -> None:
    assert WORDS.keys() == COMMANDS.keys(), "a command has no line here"
    for state in ("open", "closed"):
        (tmp_path / state).mkdir()
        text = "".join(f"the 🐈 saß {number} mal in größter 猫. " for number in range(40))
        (tmp_path / state / f"{NAME}.txt").write_text(text, encoding="utf-8")
        rows = (json.dumps({"text": f"{number} {text}"}, ensure_ascii=False) + "\n" for number in range(8))
        (tmp_path / state / f"{NAME}.jsonl").write_text("".join(rows), encoding="utf-8")
    order = [*FIRST, *(command for command in WORDS if command not in FIRST)]
    lines = [(command, words, status) for command in order for words, status in WORDS[command]]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"}
    environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WALK, tmp_path, json.dumps(lines)], env=environment, capture_output=True, check=False
    )
    said = done.stderr.decode("ascii")
    assert done.returncode == 0 and done.stdout.isascii() and "Traceback" not in said, said[-3000:]
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert [line for line in found if line[3] != line[4]] == [], said[-3000:]
    assert len(found) == 2 * len(lines) - 1
