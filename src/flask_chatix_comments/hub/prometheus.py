"""Metrics for Prometheus, by its own library. Imported only where metrics are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client import Metric as Family
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .metrics import METRICS, PREFIX, Metric, Values


class PrometheusMetrics:
    """``Metrics`` that can be read. Each hub has its own: there may be several in a process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._counters: dict[Metric, Counter] = {}
        self._histograms: dict[Metric, Histogram] = {}
        self._gauges = _Gauges()
        self._registry.register(self._gauges)
        for metric in METRICS:
            self._add(metric)

    def _add(self, metric: Metric) -> None:
        name = PREFIX + metric.name
        if metric.kind == "counter":
            self._counters[metric] = Counter(name, metric.help, metric.labels, registry=self._registry)
        elif metric.kind == "histogram":
            self._histograms[metric] = Histogram(
                name, metric.help, metric.labels, registry=self._registry, buckets=metric.buckets
            )

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """See ``Metrics``."""
        counter = self._counters[metric]
        (counter.labels(*labels) if labels else counter).inc(by)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """See ``Metrics``."""
        histogram = self._histograms[metric]
        (histogram.labels(*labels) if labels else histogram).observe(value)

    def read(self, metric: Metric, source: Callable[[], Values]) -> None:
        """See ``Metrics``."""
        self._gauges.sources[metric] = source

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics as text, and the type of that.

        Args:
            accept: What the one who asks can read: the header.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Gauges(Collector):
    """Asks for values when they are wanted: nobody keeps them."""

    def __init__(self) -> None:
        self.sources: dict[Metric, Callable[[], Values]] = {}

    def describe(self) -> Iterator[Family]:
        """Name them without asking."""
        for metric in METRICS:
            if metric.kind == "gauge":
                yield GaugeMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)

    def collect(self) -> Iterator[Family]:
        """Ask for all values."""
        for metric, source in self.sources.items():
            family = GaugeMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
            for labels, value in source().items():
                family.add_metric(labels, value)
            yield family
