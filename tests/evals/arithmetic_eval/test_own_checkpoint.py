"""The arithmetic eval of a checkpoint of our own, by its folder's name alone."""

from pathlib import Path

import pytest
import torch

from gpt_from_scratch.evals import __main__
from gpt_from_scratch.evals.providers import dispatcher
from gpt_from_scratch.evals.providers.local_checkpoint import LocalCheckpointProvider
from gpt_from_scratch.evals.results import results
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = CharacterTokenizer("\n" + "".join(map(chr, range(32, 127))))
    config = GPTConfig(block_size=512, vocab_size=tokenizer.n_vocab, n_layer=1, n_head=2, n_embd=16)
    GPT(config).save_pretrained(folder)
    tokenizer.save(folder / TOKENIZER_FILE)
    return folder


def test_it_is_scored_end_to_end(folder: Path, tmp_path: Path) -> None:
    model, out = f"local/{folder}", tmp_path / "out"
    arguments = ["--num-problems", "4", "--max-depth", "2", "--max-tokens", "5", "--out", str(out)]
    assert __main__.main(["arithmetic", "--model", model, *arguments]) == 0
    rows = results.load(out)
    assert len(rows) == 4 and (out / "report.html").exists()
    for row in rows:
        assert row.score is not None and 0 < row.output_tokens <= 5 and row.cost == 0.0
        assert row.parameters == {"temperature": 0.0, "max_tokens": 5} and "tiny" in str(row.served_model)
    assert __main__.main(["arithmetic", "--model", model, *arguments[:-1], str(tmp_path / "again")]) == 0
    again = {row.sample.id: row.output for row in results.load(tmp_path / "again")}
    assert again == {row.sample.id: row.output for row in rows}


def test_each_folder_is_a_model_of_its_own(folder: Path) -> None:
    provider = dispatcher.get_model_provider(f"local/{folder}")
    assert isinstance(provider, LocalCheckpointProvider)
    assert dispatcher.get_model_provider(f"local/{folder}") is provider
    assert dispatcher.get_model_provider("local/elsewhere") is not provider
    (own,) = [entry for entry in dispatcher.PROVIDERS if entry.provides_model(f"local/{folder}")]
    assert own.decode(f"local/{folder}", own.encode(f"local/{folder}", "3 + 4")) == "3 + 4"
