"""What the server may say, and how often."""

from __future__ import annotations

import asyncio
import errno
import logging

import h11
import pytest

from flask_chatix_comments.hub.web_log import QUIET_S, Seldom, handle_loop_errors
from tests.hub.support import Clock

pytestmark = pytest.mark.anyio


async def test_a_loop_says_seldom_that_it_cannot_accept(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    loop, handle = asyncio.get_running_loop(), handle_loop_errors(Seldom(clock))
    context = {"message": "socket.accept() out of system resource", "exception": OSError(errno.EMFILE, "no files")}
    for seconds in (0, 1, QUIET_S, 1):
        clock.advance(seconds)
        for _ in range(100):
            handle(loop, context)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["The hub cannot take another connection now: no files. Raise `ulimit -n`."] * 2


async def test_a_loop_says_what_is_a_fault_of_ours(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    loop, handle = asyncio.get_running_loop(), handle_loop_errors(Seldom(clock))
    handle(loop, {"message": "a client's", "exception": h11.LocalProtocolError("it was answered")})
    assert caplog.records == []
    for exc in (ValueError("a bug"), OSError(errno.EIO, "a disk")):
        handle(loop, {"message": "ours", "exception": exc})
    handle(loop, {"message": "without an exception"})
    assert [(record.name, record.levelno) for record in caplog.records] == [("asyncio", logging.ERROR)] * 3
