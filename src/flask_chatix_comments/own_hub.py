"""The hub that a site runs itself: beside the development server, or in one ASGI application with the site.

Or there is none, because the site's server is neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .dev_hub import DevHub
from .missing_hub import MissingHub

if TYPE_CHECKING:
    from .hub.mounted import MountedHub


class OwnHub:
    """Knows which of the three it is, in this process.

    Args:
        is_testing: Whether nothing is to be made of a server that starts none: it may be a test's client.

    Attributes:
        mounted: The one of ``mount(app)``, which runs only where the server has run its lifespan: never in a
            command's process, nor beside the development server.
    """

    def __init__(self, dev_hub: DevHub, missing_hub: MissingHub, *, is_testing: bool) -> None:
        self.dev_hub = dev_hub
        self.mounted: MountedHub | None = None
        self._missing_hub = missing_hub
        self._is_testing = is_testing

    @property
    def is_mounted(self) -> bool:
        """Whether it runs in this process, as part of the site's ASGI application."""
        return self.mounted is not None and self.mounted.is_running

    @property
    def is_missing(self) -> bool:
        """Whether there is none, and none will come."""
        return self._missing_hub.remedy is not None

    def on_request(self, environ: Mapping[str, Any]) -> None:
        """See to it that the development server has its hub, or note that no hub will come."""
        if not (self.is_mounted or self.dev_hub.on_request(environ) or self._is_testing):
            self._missing_hub.notice(environ, is_mounted=self.mounted is not None)

    def require(self) -> None:
        """Do nothing, as long as there may be one.

        Raises:
            HubMissingError: There is none, and none will come.
        """
        self._missing_hub.check()

    def wait(self, timeout_s: float) -> None:
        """Wait until it listens.

        Raises:
            HubStartError: It does not, and no other process has it either.
        """
        self.require()
        if not self.is_mounted:
            self.dev_hub.wait(timeout_s)

    def stop(self) -> None:
        """Stop the one beside the development server; the server stops one that is mounted."""
        self.dev_hub.stop()
        self._missing_hub.close()
