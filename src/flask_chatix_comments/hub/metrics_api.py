"""Where metrics are read: at an address of its own, with a key of its own, and nowhere unless there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import RequestRefusedError
from .metrics import NO_METRICS, Metrics
from .rest_call import NO_STORE, digests_of, is_key

_BEARER = "bearer "


class Exposed(Metrics, Protocol):
    """Metrics that can be read."""

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics as text, and the type of that, by what the one who asks can read."""


def open_metrics(keys: Sequence[str]) -> tuple[Metrics, list[Route]]:
    """Return where a hub counts, and the routes to what it has counted; without keys nobody does.

    Args:
        keys: All are accepted.
    """
    if not keys:
        return NO_METRICS, []
    from .prometheus import PrometheusMetrics

    metrics = PrometheusMetrics()
    return metrics, [Route("/metrics", MetricsApi(metrics, keys).serve)]


class MetricsApi:
    """Serves metrics."""

    def __init__(self, metrics: Exposed, keys: Sequence[str]) -> None:
        self._metrics = metrics
        self._keys = digests_of(keys)

    async def serve(self, request: Request) -> Response:
        """Answer all metrics, in the form of Prometheus or OpenMetrics."""
        given = request.headers.get("authorization", "")
        if not is_key(given[len(_BEARER) :] if given.lower().startswith(_BEARER) else "", self._keys):
            raise RequestRefusedError(401, "The key of the metrics is missing or wrong.")
        text, content_type = self._metrics.exposition(request.headers.get("accept", ""))
        return Response(text, headers=NO_STORE | {"Content-Type": content_type})
