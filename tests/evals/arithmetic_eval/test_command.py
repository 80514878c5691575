"""python -m gpt_from_scratch.evals arithmetic and compare, and the report that the first writes."""

import base64
import hashlib
import html.parser
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from gpt_from_scratch.evals import __main__
from gpt_from_scratch.evals.protocol.samples import QA, EvalResult
from gpt_from_scratch.evals.providers.offline import OfflineProvider
from gpt_from_scratch.evals.results import results
from gpt_from_scratch.evals.results.report import render
from gpt_from_scratch.evals.runs.run_samples import run_samples

matplotlib.use("Agg")


def command(*arguments: object) -> int:
    return __main__.main([str(argument) for argument in arguments])


def test_a_run_leaves_its_record_summary_heatmap_and_report(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "run"
    assert command("arithmetic", "--model", "oracle", "--num-problems", 40, "--max-depth", 4, "--out", out) == 0
    said = capsys.readouterr()
    assert said.out.startswith("score 1.0000, 95 % interval 0.9119 to 1.0000, of 40 answers\n")
    assert {path.name for path in out.iterdir()} == {"record.jsonl", "summary.json", "heatmap.png", "report.html"}
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["accuracy"], summary["answered"], summary["errors"], summary["id"]) == (1.0, 40, 0, "run")
    assert summary["interval_95"] == pytest.approx([0.9119, 1.0], abs=1e-4)
    assert len(results.load(out)) == 40
    assert "oracle: 40/40 · score 1.000" in said.err


def test_a_server_and_a_run_that_goes_on(server: Any, tmp_path: Path, capsys: Any) -> None:
    arguments = (
        "arithmetic",
        "--model",
        "tiny",
        "--base-url",
        f"{server.url}/v1",
        "--num-problems",
        6,
        "--out",
        tmp_path,
    )
    server.script({"status": 404}, {"status": 400})
    assert command(*arguments, "--price", 1, 2, "--max-concurrency", 1) == 1
    said = capsys.readouterr().err
    assert (
        "2 answers failed; run the command again to retry them" in said and "1 of them with --retry-all alone" in said
    )
    assert command(*arguments) == 1
    assert "1 answers failed (1 × 400); a retry cannot help; --retry-all retries anyway" in capsys.readouterr().err
    assert len(server.log) == 7
    assert command(*arguments, "--retry-all") == 0
    assert len(server.log) == 8
    body = server.log[0]["body"]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("tiny", 64, 0.0)


def test_a_run_that_a_limit_stops(server: Any, openai_url: str, tmp_path: Path, capsys: Any) -> None:
    arguments = ("arithmetic", "--model", "gpt-4o-mini", "--num-problems", 50, "--out", tmp_path)
    assert command(*arguments, "--max-total-tokens", 600) == 1
    said = capsys.readouterr().err
    assert "expected cost $" in said.splitlines()[0] and "stopped: the limit of 600 tokens" in said
    assert json.loads((tmp_path / "summary.json").read_text())["requested"] == 50
    assert 0 < len(server.log) < 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["arithmetic", "--model", "gpt-4o", "--num-problems", "3"], "OPENAI_API_KEY is not set"),
        (["arithmetic", "--model", "gtp", "--num-problems", "3"], "no provider has the model 'gtp'"),
        (["compare", "nowhere", "neither"], "nowhere does not exist"),
        (["arithmetik"], "there is no command 'arithmetik'. Did you mean 'arithmetic'?"),
    ],
)
def test_what_a_user_can_put_right_says_so(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, RuntimeError, FileNotFoundError), match=re.escape(message)):
        command(*arguments)


def test_such_an_error_is_one_line() -> None:
    run = subprocess.run([sys.executable, "-m", "gpt_from_scratch.evals", "arithmetik"], capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr.startswith("error: there is no command") and run.stderr.count("\n") == 1


def test_compare(tmp_path: Path, capsys: Any) -> None:
    for model in ("oracle", "echo"):
        command("arithmetic", "--model", model, "--num-problems", 30, "--out", tmp_path / model)
    command("arithmetic", "--model", "oracle", "--num-problems", 30, "--scorer", "seed", "--out", tmp_path / "seed")
    capsys.readouterr()
    assert command("compare", tmp_path / "echo", tmp_path / "oracle" / "record.jsonl") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[2] == "B - A  +1.0000, 95 % interval +0.7679 to +1.0000, p = 1.9e-09"
    assert said[3] == "30 samples in both: B is better in 30, worse in 0"
    with pytest.raises(ValueError, match="scored by numeric_close.* and B by seed"):
        command("compare", tmp_path / "oracle", tmp_path / "seed")


def test_help_lists_every_command(capsys: Any) -> None:
    assert command("--help") == 0 and command() == 2
    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in [*__main__.COMMANDS, *__main__.text_evals()])


class Tags(html.parser.HTMLParser):
    """What a browser would make of a page: its elements, and its visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


HOSTILE = '</td><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202eright"'


def hostile_result() -> EvalResult:
    samples = [
        QA(id=f"{name}{HOSTILE}", body=f"{name} {HOSTILE}", ideal_answers=[HOSTILE], splits={HOSTILE: HOSTILE})
        for name in ("right", "wrong", "other")
    ]
    provider = OfflineProvider(
        "echo", lambda prompt: HOSTILE if prompt[0].content.startswith("right") else "no" + HOSTILE
    )
    result = run_samples(samples, provider, model="echo", max_tokens=500, progress=False)
    result.completer, result.stopped = HOSTILE, HOSTILE
    result.sample_results[2] = result.sample_results[2].model_copy(
        update={"score": None, "output": None, "error": HOSTILE}
    )
    return result


def test_the_report_escapes_whatever_it_shows() -> None:
    page = render(hostile_result(), title=HOSTILE, figures=[(HOSTILE, b"png")])
    parsed = Tags(page)
    names = [tag for tag, _ in parsed.tags]
    assert names.count("script") == 1 and names.count("img") == 1
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    assert "\x1b" not in page and "\u202e" not in page and "␛[31m\\u202eright" in "".join(parsed.text)
    assert [attributes["class"] for tag, attributes in parsed.tags if tag == "tr" and attributes] == [
        *("error", "wrong", "right")
    ]
    assert "wrong " + HOSTILE[:5] in "".join(parsed.text)


def test_the_reports_policy_allows_its_own_script_and_style_and_nothing_else() -> None:
    page = render(hostile_result(), title="t")
    (policy,) = [a["content"] for tag, a in Tags(page).tags if a.get("http-equiv") == "Content-Security-Policy"]
    for kind in ("script", "style"):
        (body,) = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        assert f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" in str(policy)
    assert str(policy).startswith("default-src 'none';") and "unsafe" not in str(policy)
    assert not re.search(r'(src|href)="(?!data:)', page)
