"""uvicorn's HTTP connection with the two clocks that it lacks: no client may hold one open by doing nothing."""

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol


class PatientConnection(H11Protocol):
    """Closed where a request's head does not come, a refused body does not end, or an answer is not read, in time."""

    seconds: ClassVar[float] = 30.0
    _quiet: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Let the clock run while no request is being answered."""
        idle = self.cycle is None or self.cycle.response_complete
        if not idle and self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        elif idle and self._quiet is None and not self.transport.is_closing():
            self._quiet = self.loop.call_later(self.seconds, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._quiet, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
