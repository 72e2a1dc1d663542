"""A uvicorn of the site's own, as its command line makes it, in a thread of the tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import uvicorn

DEADLINE_S = 20.0


class Server(uvicorn.Server):
    """Says when it listens, or that it never will."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.settled.set()


@contextmanager
def served(app: Any, **settings: Any) -> Iterator[str]:
    """Serve *app* on a free port of 127.0.0.1; the settings are those of ``uvicorn.Config``."""
    server = Server(uvicorn.Config(app, log_config=None, **({"lifespan": "auto"} | settings)))
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=_run, args=(server, listener))
        thread.start()
        try:
            assert server.settled.wait(DEADLINE_S)
            assert server.started, "the server did not start"
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(DEADLINE_S)


def _run(server: Server, listener: socket.socket) -> None:
    try:
        server.run(sockets=[listener])
    except SystemExit:
        # What uvicorn does when the application does not start.
        server.settled.set()
