"""Ports for servers in processes of their own, which cannot tell a test what the system gave them."""

from __future__ import annotations

import itertools
import os
import socket

# Below what Linux and the BSDs give to outgoing connections: between the look and the server's start nobody gets it.
FIRST, LAST = 12_000, 32_000
_numbers = itertools.count(os.getpid())
_reservations: list[socket.socket] = []


def free_port() -> int:
    """Return a port on which nobody listens, and which no run of ours on this machine has given to somebody else.

    As long as this process lives, it holds the number by a UDP socket, which is in no TCP server's way.
    """
    for number in itertools.islice(_numbers, LAST - FIRST):
        port = FIRST + number % (LAST - FIRST)
        reservation = socket.socket(type=socket.SOCK_DGRAM)
        with socket.socket() as probe:
            try:
                reservation.bind(("127.0.0.1", port))
                probe.bind(("127.0.0.1", port))
            except OSError:
                reservation.close()
                continue
        _reservations.append(reservation)
        return port
    raise RuntimeError(f"No port from {FIRST} to {LAST} is free.")
