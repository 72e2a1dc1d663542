"""Where metrics are read: at an address of its own, with a key of its own, and nowhere unless there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from ..errors import RequestRefusedError
from .metrics import Metrics
from .rate_config import Action
from .rest_call import NO_STORE, digests_of, is_key

_BEARER = "bearer "


class Exposed(Metrics, Protocol):
    """Metrics that can be read."""

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics as text, and the type of that, by what the one who asks can read."""


def open_metrics(keys: Sequence[str]) -> Exposed | None:
    """Return where a hub counts so that it can be read; ``None`` without keys."""
    if not keys:
        return None
    from .prometheus import PrometheusMetrics

    return PrometheusMetrics()


class MetricsApi:
    """Serves metrics.

    Args:
        metrics: ``None``: there are none, and no address.
        keys: All are accepted.
        count: Counts a request without a key, or refuses it because there were too many.
    """

    def __init__(
        self, metrics: Exposed | None, keys: Sequence[str], *, count: Callable[[Action, Scope], object]
    ) -> None:
        self._metrics = metrics
        self._keys = digests_of(keys)
        self._count = count

    def routes(self) -> list[Route]:
        """Return the routes, relative to the API's base."""
        return [] if self._metrics is None else [Route("/metrics", partial(self._serve, self._metrics))]

    async def _serve(self, metrics: Exposed, request: Request) -> Response:
        """Answer all metrics, in the form of Prometheus or OpenMetrics."""
        given = request.headers.get("authorization", "")
        if not is_key(given[len(_BEARER) :] if given.lower().startswith(_BEARER) else "", self._keys):
            self._count(Action.CONNECTING, request.scope)
            raise RequestRefusedError(401, "The key of the metrics is missing or wrong.")
        text, content_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(text, headers=NO_STORE | {"Content-Type": content_type})
