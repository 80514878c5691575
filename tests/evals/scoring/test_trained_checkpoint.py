"""A run of the main job, scored end to end: by its loss, by questions, and over HTTP with the real client."""

import json
import math
import shlex
import socket
import threading
from pathlib import Path

import openai
import pytest
import uvicorn

from gpt_from_scratch.evals.__main__ import main
from gpt_from_scratch.evals.arithmetic_eval import arithmetic_eval
from gpt_from_scratch.evals.serve.app import Server
from gpt_from_scratch.evals.serve.limits import ServerLimits
from gpt_from_scratch.evals.serve.worker import Worker
from gpt_from_scratch.kernels.backends import in_force, put_in_force
from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.command_line import parse
from tests.training.trained import train

CHARACTERS = "".join(map(chr, range(32, 127))) + "\n"
SMALL = (
    "tiny --model.n-layer 1 --model.n-head 2 --model.n-embd 32 --model.block-size 32 --data.tokenizer character "
    "--steps 60 --batch-size 8 --run.eval-every 60 --run.checkpoint-every 60 --device cpu --run.name small"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(("1 + 1 = 2. 2 + 1 = 3. " * 40 + CHARACTERS) * 4)
    paths = ["--data.path", str(folder / "text.txt"), "--run.folder", str(folder / "runs")]
    before = in_force()
    with pytest.MonkeyPatch.context() as patch:  # drawing takes longer than the run
        patch.setattr("gpt_from_scratch.training.report.page.write_report", lambda folders: folders[0] / "report.html")
        train(parse([*shlex.split(SMALL), *paths]), Ranks())
    put_in_force(before)
    return folder / "runs" / "small"


def test_its_bits_per_byte_show_that_it_learned(run: Path, tmp_path: Path) -> None:
    """On the text that it learned: far below what guessing would give."""
    (tmp_path / "text.txt").write_text("1 + 1 = 2. 2 + 1 = 3. " * 20)
    arguments = ["--checkpoint", str(run), "--data", str(tmp_path / "text.txt"), "--device", "cpu"]
    assert main(["bits-per-byte", *arguments, "--out", str(tmp_path / "out")]) == 0
    results = json.loads((tmp_path / "out" / "summary.json").read_text())["results"]
    assert results["loss"] < 0.6 * math.log(len(CHARACTERS))
    assert results["bits_per_byte"]["value"] == pytest.approx(results["loss"] / math.log(2))


def test_it_answers_the_arithmetic_eval(run: Path) -> None:
    frame = arithmetic_eval.create_and_run_eval(model=f"local/{run}", max_depth=1, num_problems=4)
    assert len(frame) == 4
    assert frame["error"].isna().all()
    assert all(isinstance(output, str) and output for output in frame["output"])
    assert set(frame["score"]) <= {0.0, 1.0}


def test_the_real_client_reads_what_it_writes(run: Path) -> None:
    checkpoint = open_model(run, device="cpu")
    app = Server(checkpoint, Worker(checkpoint), ServerLimits()).app()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        with openai.OpenAI(api_key="none", base_url=address, max_retries=0) as client:
            (model,) = [one.id for one in client.models.list()]
            chunks = client.completions.create(model=model, prompt="1 + 1", max_tokens=12, temperature=0, stream=True)
            text = "".join(chunk.choices[0].text for chunk in chunks)
        server.should_exit = True
        thread.join()
    assert model == "small-step-00000060"
    assert len(text) == 12
