"""The models "local/PATH": a checkpoint, a run, or a model's folder of your own."""

import re
from typing import ClassVar

from gpt_from_scratch.evals.protocol.messages import Request, Response
from gpt_from_scratch.evals.protocol.pricing import PriceList
from gpt_from_scratch.evals.providers.local_checkpoint import PREFIX, LocalCheckpointProvider

PRICES = PriceList(re.compile(re.escape(PREFIX)), free=True)


class LocalCheckpoints:
    """The models "local/PATH": a provider for each checkpoint, made when it is first asked for."""

    names: ClassVar[str] = "local/RUN (a checkpoint of yours)"
    example: ClassVar[str] = "local/RUN"

    def __init__(self) -> None:
        self._made: dict[str, LocalCheckpointProvider] = {}

    def of(self, model_id: str) -> LocalCheckpointProvider:
        """The checkpoint's own provider."""
        return self._made.setdefault(model_id, LocalCheckpointProvider(model_id.removeprefix(PREFIX)))

    def provides_model(self, model_id: str) -> bool:
        return model_id.startswith(PREFIX)

    def execute(self, model_id: str, request: Request) -> Response:
        return self.of(model_id).execute(model_id, request)

    def encode(self, model_id: str, data: str) -> list[int]:
        return self.of(model_id).encode(model_id, data)

    def decode(self, model_id: str, tokens: list[int]) -> str:
        return self.of(model_id).decode(model_id, tokens)


PROVIDER = LocalCheckpoints()
