"""A network that fails: what lies between clients and hub, and cuts connections when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

CHUNK_BYTES = 65536


class Line:
    """One connection through the network: two streams, and a task for each direction."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._writers = (near, far)
        self._flows = asyncio.Event()
        self._flows.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes until one of the ends is gone."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        self.cut()

    @property
    def is_held(self) -> bool:
        """Whether it passes nothing on."""
        return not self._flows.is_set()

    def hold(self) -> None:
        """Take what comes and pass nothing on, as a line does that is dead without anybody having said so."""
        self._flows.clear()

    def cut(self) -> None:
        """End both sides at once; what is under way is lost."""
        self._flows.set()
        for writer in self._writers:
            writer.transport.abort()


class Cutter:
    """Listens on a port of its own, and passes connections on to the hub's.

    Attributes:
        url: Where clients reach the hub through it.
        cut_count: How many connections were cut.
    """

    def __init__(self, hub_port: int, chance: random.Random) -> None:
        self._hub_port = hub_port
        self._chance = chance
        self._lines: set[Line] = set()
        self.url = ""
        self.cut_count = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Cutter]:
        """Listen, until the end of the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.close()
            self.cut(share=1)
            while self._lines:
                await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._hub_port)
        except OSError:
            writer.transport.abort()
            return
        line = Line(writer, far_writer)
        self._lines.add(line)
        try:
            await asyncio.gather(line.carry(reader, far_writer), line.carry(far_reader, writer))
        finally:
            self._lines.discard(line)

    def hold(self, *, share: float) -> None:
        """Let some of the lines go dead; ``cut`` ends them."""
        for line in self._some(share):
            line.hold()

    def cut(self, *, share: float) -> None:
        """Cut some of the lines."""
        for line in self._some(share):
            self.cut_count += 1
            line.cut()

    def cut_held(self) -> None:
        """Cut the lines that pass nothing on, and no others."""
        for line in list(self._lines):
            if line.is_held:
                line.cut()

    def _some(self, share: float) -> list[Line]:
        return [line for line in self._lines if self._chance.random() < share]
