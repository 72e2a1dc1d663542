"""One Chromium for all tests that need a browser."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import hypothesis
import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.e2e.support import CHROMIUM_ARGS, find_chromium

# A test tells what is right, not how fast a busy machine is.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_configure() -> None:
    """Let Ctrl-C be heard, which a shell tells whatever it runs behind ``&`` to ignore: some tests press it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the browser tests last: Playwright keeps an event loop running, in which asyncio.run() refuses to work.

    Of several processes each gets its tests in this order too: `pyproject.toml` has them handed out one by one.
    """
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGS)
    yield browser
    browser.close()
