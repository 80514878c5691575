"""Several stories a row: with the document mask each has the loss that it has alone."""

import itertools

import numpy as np
import pytest
import torch

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.data.building import build_corpus
from gpt_from_scratch.training.data.config import DataConfig
from gpt_from_scratch.training.run.presets import MODERN
from gpt_from_scratch.training.run.session import fitted, knowing_documents

BLOCK = 900
CORPUS = build_corpus(DataConfig(source="stories", vocab_size=300, n_stories=12, n_validation=1), BLOCK)
SMALL = {"block_size": BLOCK, "n_layer": 2, "n_head": 2, "n_embd": 16, "document_mask": True}


def test_a_story_in_a_packed_row_has_the_loss_that_it_has_alone() -> None:
    settings = vars(MODERN) | SMALL | {"window": 64, "window_pattern": "SL", "ngram": 3, "zero_init": False}
    config = fitted(TrainConfig(model=GPTConfig(**settings)), CORPUS.tokenizer.n_vocab)
    config = knowing_documents(config, CORPUS.tokenizer)
    torch.manual_seed(0)
    model, eot = GPT(config.model).double(), CORPUS.tokenizer.eot_token
    assert config.model.end_of_text == eot
    rows = [sample for sample in range(CORPUS.train.n_samples) if (CORPUS.train.row(sample) == eot).sum() > 2]
    assert rows
    with torch.no_grad():
        for sample in rows[:3]:
            tokens, targets = CORPUS.train.batch(np.array([sample]))
            packed = model(tokens, targets, reduction="none")[0, : len(CORPUS.train.row(sample)) - 1]
            ends = np.flatnonzero(CORPUS.train.row(sample) == eot).tolist()
            row = torch.from_numpy(CORPUS.train.row(sample).astype(np.int64))
            alone = [
                model(row[None, start:end], row[None, start + 1 : end + 1], reduction="none")[0]
                for start, end in itertools.pairwise(ends)
            ]
            torch.testing.assert_close(packed, torch.cat(alone), rtol=1e-9, atol=1e-9)


def test_documents_need_the_tokenizers_own_end_of_text_token() -> None:
    config = TrainConfig(model=GPTConfig(**SMALL))
    with pytest.raises(ValueError, match="model.document_mask needs a tokenizer with an end-of-text token"):
        knowing_documents(config, BytePairEncodingTokenizer([], special_tokens=()))
    other = TrainConfig(model=GPTConfig(**SMALL, end_of_text=7))
    with pytest.raises(ValueError, match="model.end_of_text is 7, the tokenizer's end-of-text token is 299"):
        knowing_documents(other, CORPUS.tokenizer)
