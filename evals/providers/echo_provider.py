"""The offline model "echo", which repeats the question."""

import re
from typing import ClassVar

from gpt_from_scratch.evals.protocol.pricing import PriceList
from gpt_from_scratch.evals.providers.offline import OfflineProvider

PRICES = PriceList(re.compile("echo$"), free=True)


class EchoProvider(OfflineProvider):
    """Answers with the last message: a way to run everything but a model."""

    names: ClassVar[str] = "echo (offline: it repeats the question)"
    example: ClassVar[str] = "echo"

    def __init__(self) -> None:
        super().__init__("echo", lambda prompt: prompt[-1].content)


PROVIDER = EchoProvider()
