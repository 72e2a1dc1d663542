"""What a server's protocols are driven with: a clock moved by hand, a transport that keeps what is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

UPGRADE = (
    b"GET /v1/chat HTTP/1.1\r\nHost: hub.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Loop:
    """An event loop's clock and timers; its tasks are those of the real one."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, action: Callable[..., object], *args: Any) -> Any:
        timer = (when, lambda: action(*args))
        self.timers.append(timer)
        return _Handle(self, timer)

    def call_later(self, delay: float, action: Callable[..., object], *args: Any) -> Any:
        return self.call_at(self.now + delay, action, *args)

    def create_task(self, work: Coroutine[Any, Any, Any], **_: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((one for one in self.timers if one[0] <= end), key=lambda one: one[0]):
            self.timers.remove(due[0])
            self.now = due[0][0]
            due[0][1]()
        self.now = end


class _Handle:
    def __init__(self, loop: Loop, timer: tuple[float, Callable[[], object]]) -> None:
        self._loop = loop
        self._timer = timer

    def cancel(self) -> None:
        if self._timer in self._loop.timers:
            self._loop.timers.remove(self._timer)


class Transport(asyncio.Transport):
    """A transport that keeps what is written, and says how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.pieces: list[bytes] = []
        self._end: str | None = None

    def how_it_ended(self) -> str | None:
        return self._end

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.pieces.append(data)
        self.written += bytes(data)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self._end is not None

    def close(self) -> None:
        self._end = self._end or "closed"

    def abort(self) -> None:
        self._end = self._end or "aborted"

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass
