"""The Situational Awareness Dataset (Laine et al. 2024), from the user's own clone of it, on a checkpoint that we serve.

SAD asks that its questions appear nowhere in plain text, so it is never part of this repository: the user clones it, git
ignores it, and nothing here opens a file of questions. Its answers stay in the clone too.

    gpt eval sad check --model NAME
    gpt eval sad run --model NAME
"""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("sad", "gpt_from_scratch.evals.sad:main")


import argparse
import http.client
import importlib.util
import json
import os
import re
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpt_from_scratch.evals.protocol.credentials import public_url
from gpt_from_scratch.support.command_line.arguments import ArgumentParser, a_path
from gpt_from_scratch.support.command_line.invocation import gpt

PREFIX = "gptfs/"
TASKS = (
    "facts_human_defaults",
    "facts_llms",
    "facts_which_llm",
    "facts_names",
    "influence",
    "introspection_count_tokens",
    "introspection_predict_tokens",
    "introspection_rules",
    "stages_full",
    "stages_oversight",
    "self_recognition_who",
    "self_recognition_groups",
    "id_leverage_entity_name",
    "id_leverage_multihop",
    "output_control",
    "do_not_imitate",
)
MOST_BYTES = 2**20
"""Of a server's list of models."""
ENDLESS = ("self_recognition_who", "self_recognition_groups")
"""These ask again until the model has written a long enough text: a small model never does, and they never end."""
GRADED = ("id_leverage_entity_name", "id_leverage_multihop")
"""These are graded by one of OpenAI's models."""


@dataclass(frozen=True)
class Finding:
    """One thing that a run needs: whether it is there, and if not, what to do."""

    what: str
    fine: bool
    remedy: str = ""


def main(argv: list[str]) -> int:
    """check: say what is there and what is missing. run: check, then run SAD's own command line."""
    args = _parser().parse_args(argv)
    findings = check(args.clone, args.python or default_python(args.clone), args.model, args.url)
    for finding in findings:
        print(f"{'ok     ' if finding.fine else 'missing'}  {finding.what}")
        if not finding.fine:
            print("".join(f"           {line}\n" for line in finding.remedy.splitlines()), end="")
    missing = sum(not finding.fine for finding in findings)
    if missing:
        print(f"{missing} of {len(findings)} are missing; fix them in this order and check again")
        return 1
    if args.action == "check":
        print("everything is there; run it with:", gpt("eval", "sad", "run", "--model", args.model))
        return 0
    tasks = chosen_tasks(args.tasks, os.environ)
    return run(args.clone, args.python or default_python(args.clone), args.model, args.url, tasks, args.variants)


def check(clone: Path, python: Path, model: str, url: str) -> list[Finding]:
    """Check the requirements of a run, in the order in which to fix them. It opens no file of questions."""
    there = (clone / "sad" / "main.py").is_file()
    found = [
        Finding(
            f"SAD's clone at {clone}",
            there,
            f"git clone https://github.com/LRudL/sad.git {clone}\n"
            "Its questions must stay out of every corpus: never commit, publish or paste them.",
        )
    ]
    if not there:
        return found
    found.append(
        Finding(
            "git ignores the clone",
            is_ignored(clone),
            f"add /{clone.name}/ to the .gitignore of the repository around it, or move the clone out of it:\n"
            "nothing is run while its questions or answers could be committed",
        )
    )
    opened, archives = unpacked(clone)
    found.append(
        Finding(
            f"the questions are unpacked ({opened} of {archives} archives)",
            opened > 0 or archives == 0,
            f"cd {clone} && ./unzip.sh --exclude-evals",
        )
    )
    why = cannot_import(python)
    found.append(
        Finding(
            f"{python} has sad and evalugator",
            why == "",
            f"{why}\nSAD's packages clash with ours, so it needs an environment of its own:\n"
            f"python3 -m venv {clone}/.venv && {clone}/.venv/bin/pip install -e {clone}",
        )
    )
    lists = [path.read_text(encoding="utf-8", errors="replace") for path in clone.glob("**/models.yaml")]
    listed = any(re.search(rf"{PREFIX}{re.escape(model)}(?![\w./-])", text) for text in lists)
    found.append(
        Finding(
            f"{PREFIX}{model} is in SAD's models.yaml",
            listed,
            f"add to {clone}/models.yaml:\n- name: {PREFIX}{model}\n  included: true",
        )
    )
    served = serves(url)
    found.append(
        Finding(
            f"{model} is served at {public_url(url)}",
            served is not None and model in served,
            f"{gpt('serve', '--checkpoint', 'CHECKPOINT', '--name', model)}"
            if served is None
            else f"that server has {', '.join(served)}: name it with --model",
        )
    )
    return found


def default_python(clone: Path) -> Path:
    """The interpreter of the clone's own environment."""
    return clone / ".venv" / "bin" / "python"


def is_ignored(clone: Path) -> bool:
    """Whether no repository around the clone would take it in."""
    inside = subprocess.run(
        ["git", "-C", str(clone.resolve().parent), "rev-parse", "--is-inside-work-tree"],
        capture_output=True,
        check=False,
    )
    if inside.returncode != 0:
        return True
    command = ["git", "-C", str(clone.resolve().parent), "check-ignore", "-q", str(clone.resolve())]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def unpacked(clone: Path) -> tuple[int, int]:
    """Number of unpacked archives of the clone, and number of archives. It reads only names."""
    archives = [path for path in clone.rglob("*.zip") if ".venv" not in path.relative_to(clone).parts]
    opened = 0
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
        opened += any((base / name).exists() for name in names for base in (path.parent, path.with_suffix(""), clone))
    return opened, len(archives)


def cannot_import(python: Path) -> str:
    """Why that interpreter cannot run SAD, or the empty text if it can."""
    if not python.is_file():
        return f"there is no {python}"
    code = "import importlib.util as u, sys; sys.exit(', '.join(m for m in ('evalugator', 'sad') if not u.find_spec(m)) or 0)"
    # From its own folder: in the clone's parent the clone itself would pass for the package.
    command, folder = [str(python.absolute()), "-c", code], python.absolute().parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"not there: {done.stderr.strip()}"


def serves(url: str) -> list[str] | None:
    """The models of a server, None if there is none."""
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/models")
    if token := os.environ.get("GPT_SERVE_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as reply:
            return [str(model["id"]) for model in json.loads(reply.read(MOST_BYTES))["data"]]
    # No server, one that speaks no HTTP, or a reply of another form.
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError):
        return None


def chosen_tasks(wanted: list[str], environment: Mapping[str, str]) -> list[str]:
    """The tasks to run: those that were named, else all that end and need nobody else. Says what it leaves out.

    Raises:
        ValueError: there is no such task.
    """
    if unknown := [task for task in wanted if task not in TASKS]:
        raise ValueError(f"SAD has no task {unknown[0]!r}; it has {', '.join(TASKS)}")
    if wanted:
        return wanted
    print(f"left out: {', '.join(ENDLESS)} (they ask a small model for ever; name them with --tasks to run them)")
    ungraded = () if environment.get("OPENAI_API_KEY") else GRADED
    if ungraded:
        print(f"left out: {', '.join(ungraded)} (graded by OpenAI's models, and OPENAI_API_KEY is not set)")
    return [task for task in TASKS if task not in (*ENDLESS, *ungraded)]


def run(clone: Path, python: Path, model: str, url: str, tasks: list[str], variants: list[str]) -> int:
    """SAD's own command line, in its own environment, with our bridge among evalugator's providers; its exit code."""
    spec = importlib.util.find_spec("gpt_from_scratch.evals.harness.sad_bridge")
    assert spec is not None and spec.origin is not None
    command = [str(python.absolute()), spec.origin, "run", "--tasks", ",".join(tasks), "--models", f"{PREFIX}{model}"]
    command += ["--variants", ",".join(variants)]
    print(f"in {clone}: {' '.join(command[2:])}", flush=True)
    return subprocess.run(command, cwd=clone, env={**os.environ, "GPTFS_URL": url}, check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(prog="gpt eval sad", description=__doc__)
    parser.add_argument("action", choices=["check", "run"], help="check the requirements, or run the evaluation")
    parser.add_argument("--model", required=True, help="the model's name on the server")
    parser.add_argument("--base-url", "--url", dest="url", default="http://127.0.0.1:8000", help="default: %(default)s")
    parser.add_argument(
        "--clone", type=a_path, default=Path("sad"), help="folder of the clone of SAD; default: %(default)s"
    )
    parser.add_argument(
        "--python", type=a_path, help="Python interpreter of SAD's environment; default: CLONE/.venv/bin/python"
    )
    parser.add_argument(
        "--tasks", nargs="+", default=[], metavar="TASK", help="default: all tasks that a small model can finish"
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        default=["plain"],
        choices=["plain", "sp", "sp_large"],
        help="SAD's kinds of prompt",
    )
    return parser
