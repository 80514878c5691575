"""Settings of tests that need lm-eval and inspect: they run under `make harness` (pytest -m harness) and nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.interchange.hugging_face import write_beside
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer

TEXT = "A man walks to the river and swims. He stops, then the man sits on a wall and sings to the river. "


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the files unread without the marker: importing them needs the harnesses."""
    wanted = "harness" in str(config.getoption("-m")) and "not harness" not in str(config.getoption("-m"))
    return None if wanted else True


@pytest.fixture(scope="session", autouse=True)
def _offline() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
            patch.setenv(name, "1")
        patch.setenv("NO_PROXY", "*")
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        yield


@pytest.fixture(scope="session")
def checkpoint() -> OpenedModel:
    """An exact GPT-2, so that transformers can run it too."""
    tokenizer = BytePairEncodingTokenizer.from_text(TEXT * 20, 299)
    torch.manual_seed(0)
    model = GPT(GPTConfig(block_size=96, vocab_size=tokenizer.n_vocab, n_layer=2, n_head=2, n_embd=32))
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.15)
    return OpenedModel(model.eval(), tokenizer, "tiny")


@pytest.fixture(scope="session")
def folder(checkpoint: OpenedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    checkpoint.model.save_pretrained(folder)
    write_beside(folder, checkpoint.model.config, checkpoint.tokenizer, card=None)
    return folder
