"""One generation engine for requests of several threads: those that wait at the same time are one batch."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpt_from_scratch.evals.scoring.completion import Completion, TextStream
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.engine import Engine
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.generation.scored import Generated


@dataclass(eq=False)
class _Waiting:
    stream: TextStream
    tokens: int = 0
    last: Generated | None = None
    failure: RuntimeError | None = None


class SharedEngine:
    """Every thread that waits for its row makes the next step for all, whoever comes first: no thread of its own is needed."""

    def __init__(self, checkpoint: OpenedModel, max_rows: int = 64) -> None:
        self._checkpoint, self._max_rows = checkpoint, max_rows
        self._lock = threading.Lock()
        self._engine = self._fresh()
        self._rows: dict[int, _Waiting] = {}
        self.steps = 0

    def complete(
        self, prompt: Sequence[int], max_tokens: int, sampling: Sampling, stops: Sequence[str] = ()
    ) -> Completion:
        """Continue the prompt to the end-of-text token, a stop sequence or `max_tokens`.

        Raises:
            ValueError: what `Engine.add` refuses.
            RuntimeError: the engine failed; all rows that ran fail alike.
        """
        ends = sampling.stop_tokens or (self._checkpoint.tokenizer.eot_token,)
        row = self._run(prompt, max_tokens, replace(sampling, stop_tokens=ends), stops=stops)
        assert row.last is not None
        return Completion(row.stream.text, row.tokens, "stop" if row.stream.stopped else str(row.last.finish))

    def likeliest(self, prompt: Sequence[int], count: int) -> list[tuple[int, float]]:
        """The most likely next tokens with their probabilities, best first."""
        row = self._run(prompt, 1, Sampling(temperature=0), top=max(1, count))
        assert row.last is not None
        return [(token, math.exp(logprob)) for token, logprob in row.last.top]

    def _fresh(self) -> Engine:
        n_vocab = self._checkpoint.tokenizer.n_vocab
        return Engine(self._checkpoint.model, n_vocab=n_vocab, max_rows=self._max_rows)

    def _run(
        self, prompt: Sequence[int], max_tokens: int, sampling: Sampling, *, stops: Sequence[str] = (), top: int = 0
    ) -> _Waiting:
        row = _Waiting(TextStream(self._checkpoint.tokenizer, stops))
        with self._lock:
            self._rows[self._engine.add(prompt, max_tokens, sampling, top=top)] = row
        while True:
            with self._lock:
                if row.failure is not None:
                    raise RuntimeError(f"generation failed: {row.failure}") from row.failure
                if row.last is not None:
                    return row
                self._step()

    def _step(self) -> None:
        try:
            made = self._engine.step()
        except RuntimeError as error:  # out of memory, or logits that are no numbers
            for row in self._rows.values():
                row.failure = error
            self._rows.clear()
            self._engine = self._fresh()
            return
        self.steps += 1
        for new in made:
            row = self._rows[new.row]
            row.tokens += 1
            if new.finish != "stop":
                row.stream.add(new.token)
            if row.stream.stopped:
                self._engine.remove(new.row)
            if row.stream.stopped or new.finish is not None:
                row.stream.finish()
                row.last = new
                del self._rows[new.row]
