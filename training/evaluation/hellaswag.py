"""HellaSwag during training, by evals' completion-style scorer on the uncompiled model, shared among the ranks."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from gpt_from_scratch.evals.scoring.hellaswag import HellaSwagItem, continuations, evaluate_hellaswag, read_items
from gpt_from_scratch.evals.scoring.loglikelihood import Scorable
from gpt_from_scratch.tokenizer.protocol import Tokenizer
from gpt_from_scratch.training.ranks.process_group import Ranks

QUESTIONS_AT_ONCE = 512
"""Questions in a batch; between batches the ranks agree on whether to stop."""


class HellaSwagScore(NamedTuple):
    """Accuracy, by the mean log-probability per token (`acc_norm`) and by its sum (`acc`)."""

    acc_norm: float
    acc: float
    n: int


class HellaSwagQuestions:
    """The questions, read and encoded once before training, so that errors in them are found early.

    Raises:
        FileNotFoundError: there is no such file; says how to get it.
        ValueError: a line is not a question, or the tokenizer cannot encode a text.
    """

    def __init__(self, path: Path, tokenizer: Tokenizer) -> None:
        self.items, self.tokenizer = read_items(path), tokenizer
        if not self.items:
            raise ValueError(f"{path} holds no questions")
        for item in self.items:
            try:
                continuations(item, tokenizer, "completion")
            except ValueError as error:
                raise ValueError(
                    f"{path}, question {item.name}, cannot be encoded by the tokenizer: {error}"
                ) from error

    def score(
        self, model: Scorable, ranks: Ranks, should_stop: Callable[[], bool] = lambda: False
    ) -> HellaSwagScore | None:
        """Score all questions; every rank must call this. None if any rank was asked to stop."""
        norm = plain = 0
        for start in range(0, len(self.items), QUESTIONS_AT_ONCE):
            if ranks.sum(float(should_stop()))[0]:
                return None
            norm_hits, hits = self._hits(model, self.items[start : start + QUESTIONS_AT_ONCE])
            norm, plain = norm + norm_hits, plain + hits
        return HellaSwagScore(norm / len(self.items), plain / len(self.items), len(self.items))

    @torch.inference_mode()
    def _hits(self, model: Scorable, items: list[HellaSwagItem]) -> tuple[int, int]:
        found = evaluate_hellaswag(model, self.tokenizer, items, styles=("completion",)).accuracies()
        return found["completion/acc_norm_token"].correct, found["completion/acc"].correct
