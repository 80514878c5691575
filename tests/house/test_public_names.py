"""The names that the documentation uses: importable from the top packages, lazily. tests/first_hour has them typed."""

import importlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("kernels", "tokenizer", "models", "evals", "training")

SCRIPT = """
    import dataclasses
    from pathlib import Path

    from gpt_from_scratch.evals import QA, get_model_provider, run_samples
    from gpt_from_scratch.kernels import attention, use_backend
    from gpt_from_scratch.models import GPT, GPTConfig, Sampling, generate
    from gpt_from_scratch.tokenizer import BytePairEncodingTokenizer
    from gpt_from_scratch.training import PRESETS, TrainConfig, train

    tokenizer = BytePairEncodingTokenizer.from_text("the robin sang to the fox " * 50, 270)
    model = GPT(GPTConfig(block_size=16, vocab_size=tokenizer.n_vocab, n_layer=1, n_head=2, n_embd=16))
    with use_backend("torch"):
        made = generate(model, [tokenizer.encode("the robin")], 4, Sampling(temperature=0.0))
    assert attention.name == "attention"
    text: str = tokenizer.decode(made[0])
    settings: TrainConfig = dataclasses.replace(PRESETS["tiny"][1], steps=2, batch_size=2)
    sums = [QA(id="sum", body="1 + 1 =", ideal_answers=["2"])]
    result = run_samples(sums, get_model_provider("echo"), model="echo", progress=False)
    score: float | None = result.accuracy
    if __name__ == "__main__":
        folder: Path = train(settings)
        print(folder)
"""


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package: str) -> None:
    module = importlib.import_module(f"gpt_from_scratch.{package}")
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="its public names are"):
        getattr(module, "no_such_name")  # noqa: B009


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_imports_nothing_else(package: str) -> None:
    code = f"import gpt_from_scratch.{package}, sys; print(sum(n.startswith('gpt_from_scratch.') for n in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"


def test_a_users_script_runs(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(textwrap.dedent(SCRIPT))
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert Path(tmp_path / run.stdout.splitlines()[-1] / "metrics.jsonl").exists()
