"""A thousand clients in one thread: raw sockets that count what they are told."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterable

#: Stands once in each event, and in nothing else.
MARK = b"ApplyChatroomMessage"
#: Stands once in the answer to a call.
ANSWER = b'"type":3'
DEADLINE_S = 30.0
#: The head of the server's pings, and of our answers: both carry four bytes. No text holds such bytes.
PING, PONG = b"\x89\x04", b"\x8a\x84"
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def text_frame(text: str) -> bytes:
    """Return a client's frame (RFC 6455, 5.2) under the mask that changes nothing."""
    data = text.encode()
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
    return b"\x81" + length + bytes(4) + data


def open_socket(port: int, path: str, *frames: str) -> socket.socket:
    """Open a WebSocket, and say something on it."""
    raw = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
    raw.sendall(UPGRADE.format(path=path).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += raw.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    for frame in frames:
        raw.sendall(text_frame(frame))
    return raw


def wait_for(raw: socket.socket, mark: bytes) -> bytes:
    """Read until *mark* has come; return all that came."""
    data = b""
    while mark not in data:
        part = raw.recv(65_536)
        assert part, "the connection was closed"
        data += part
    return data


class Fleet:
    """Members of one room, and some who post there.

    Args:
        call: Makes what a poster sends.
    """

    def __init__(self, call: Callable[[], str]) -> None:
        self.posters: list[socket.socket] = []
        self._call = call
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._member_files: set[int] = set()
        self._tails: dict[int, bytes] = {}
        #: What was heard last, to look at.
        self.last_heard = b""

    def take_in(self, sockets: Iterable[socket.socket], *, are_members: bool) -> None:
        """Add connections as they come; those that are there are kept alive meanwhile."""
        for raw in sockets:
            raw.setblocking(False)
            self._sockets[raw.fileno()] = raw
            self._epoll.register(raw.fileno(), select.EPOLLIN)
            if are_members:
                self._member_files.add(raw.fileno())
            else:
                self.posters.append(raw)
            if len(self._sockets) % 50 == 0:
                list(self._poll_files(time.perf_counter(), wait_s=0))

    def post_one_by_one(self, count: int) -> list[float]:
        """Post, wait until all members have it and the poster the answer, and again; return each delivery's seconds."""
        delays: list[float] = []
        for _ in range(count):
            delays += self.post_once()
        return delays

    def post_once(self) -> list[float]:
        started = time.perf_counter()
        delays: list[float] = []
        self._post(self.posters[0])
        answers = 0
        while len(delays) < len(self._member_files) or not answers:
            for is_member, marks in self._poll(started):
                if is_member:
                    delays += [time.perf_counter() - started] * marks
                else:
                    answers += marks
        return delays

    def post_at_a_rate(self, per_s: float, count: int) -> list[float]:
        """Post at a steady rate, whatever becomes of it; return each delivery's seconds."""
        delays = []
        for number in range(count):
            started = time.perf_counter()
            delays += self.post_once()
            if number < count - 1:
                time.sleep(max(0.0, 1 / per_s - (time.perf_counter() - started)))
        return delays

    def post_in_flight(self, count: int) -> float:
        """Let each poster post again as soon as it is answered, *count* times in all; return deliveries a second."""
        started = time.perf_counter()
        for poster in self.posters:
            self._post(poster)
        posted, answered, delivered = len(self.posters), 0, 0
        while answered < count or delivered < count * len(self._member_files):
            for file, marks in self._poll_files(started):
                if file in self._member_files:
                    delivered += marks
                    continue
                answered += marks
                for _ in range(min(marks, count - posted)):
                    self._post(self._sockets[file])
                    posted += 1
        return delivered / (time.perf_counter() - started)

    def _post(self, poster: socket.socket) -> None:
        poster.sendall(text_frame(self._call()))

    def _poll(self, since: float) -> list[tuple[bool, int]]:
        return [(file in self._member_files, marks) for file, marks in self._poll_files(since)]

    def _poll_files(self, since: float, wait_s: float = 1.0) -> Iterable[tuple[int, int]]:
        """Yield who heard something, and how often what counts was in it."""
        assert time.perf_counter() - since < DEADLINE_S, "the deliveries do not come"
        for file, _ in self._epoll.poll(wait_s):
            data = self._sockets[file].recv(1_048_576)
            assert data, "a connection was closed"
            if PING in data:
                self._answer_ping(self._sockets[file], data)
            mark = MARK if file in self._member_files else ANSWER
            self.last_heard = data
            whole = self._tails.get(file, b"") + data
            yield file, whole.count(mark)
            # A mark may come in two parts.
            cut = max(len(whole) - len(mark) + 1, whole.rfind(mark) + len(mark), 0)
            self._tails[file] = whole[cut:]

    def _answer_ping(self, raw: socket.socket, data: bytes) -> None:
        at = data.index(PING) + len(PING)
        raw.sendall(PONG + bytes(4) + data[at : at + 4])
