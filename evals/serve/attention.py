"""The endpoint behind the page's attention view: the weights of one head on a client's tokens."""

import asyncio
import dataclasses
import json
from typing import Any

from gpt_from_scratch.evals.serve.answers import check_tokens
from gpt_from_scratch.evals.serve.errors import RequestError
from gpt_from_scratch.evals.serve.fields import RequestFields
from gpt_from_scratch.evals.serve.limits import ServerLimits
from gpt_from_scratch.evals.serve.parameters import check_model
from gpt_from_scratch.evals.serve.worker import Worker
from gpt_from_scratch.models.attention_maps import attention_maps
from gpt_from_scratch.models.checkpoints.opening import OpenedModel

DECIMALS = 4
"""Decimal places of a weight: a map is long, and a picture shows less."""


@dataclasses.dataclass(frozen=True)
class Look:
    """A request for one head's weights; row i of the answer is how token i divides its attention among tokens 0 to i."""

    worker: Worker
    checkpoint: OpenedModel
    tokens: tuple[int, ...]
    layer: int
    head: int
    client: str = ""

    @classmethod
    def of(
        cls, values: dict[str, Any], worker: Worker, checkpoint: OpenedModel, limits: ServerLimits, client: str = ""
    ) -> "Look":
        """The request in a body. Raises RequestError."""
        fields = RequestFields(values)
        check_model(fields.text("model"), checkpoint.name)
        tokens = fields.take("tokens")
        config = checkpoint.model.config
        layer = fields.integer("layer", 0, 0, config.n_layer - 1)
        head = fields.integer("head", 0, 0, config.n_head - 1)
        fields.done()
        most = min(limits.attention_tokens, checkpoint.context)
        if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
            raise RequestError("tokens must be a list of integers", param="tokens")
        if not 1 <= len(tokens) <= most:
            raise RequestError(f"tokens must be 1 to {most} integers, they are {len(tokens)}", param="tokens")
        check_tokens(tokens, checkpoint, "tokens")
        return cls(worker, checkpoint, tuple(tokens), layer, head, client)

    async def whole(self) -> bytes:
        """The answer's JSON."""
        weights = await self.worker.aside(
            lambda: attention_maps(self.checkpoint.model, self.tokens, [self.layer])[0, self.head], self.client
        )

        def written() -> bytes:
            rows = weights.double().round(decimals=DECIMALS).tolist()
            answer = {
                "object": "attention",
                "model": self.checkpoint.name,
                "layer": self.layer,
                "head": self.head,
                "weights": [row[: number + 1] for number, row in enumerate(rows)],
            }
            return json.dumps(answer, separators=(",", ":")).encode()

        return await asyncio.to_thread(written)
