"""Ports for servers in processes of their own, which cannot tell a test what the system gave them."""

from __future__ import annotations

import itertools
import os
import socket

# Below what Linux and the BSDs give to outgoing connections: between the look and the server's start nobody gets it.
FIRST, LAST = 12_000, 32_000
_ports = itertools.count(os.getpid())


def free_port() -> int:
    """Return a port on which nobody listens, and which this run has given to nobody else."""
    for number in itertools.islice(_ports, LAST - FIRST):
        port = FIRST + number % (LAST - FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"No port from {FIRST} to {LAST} is free.")
