"""`GET /metrics` in Prometheus' text format: what became of events, by tenant.

The figures come from the tables, so every gateway answers alike and a restart resets nothing. They tell how much a
tenant is used, so a scrape needs a key with the scope `view` (Prometheus: `authorization: credentials_file`): one of a
tenant sees that tenant, one with `admin` besides sees all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from infra.access import Principal, Scope
from infra.database import Database
from infra.http import require
from ingest import repository, service
from ingest.feedback_schema import problems
from ingest.gateway import Gateway
from matrix import metrics
from matrix.topics import FEEDBACK_RECEIVED

Sample = tuple[tuple[str, ...], float]


def add_routes(api: FastAPI, gateway: Gateway) -> None:
    """The scrape."""

    @api.get("/metrics", tags=["views"], response_class=Response, responses=problems(401, 403, 429, 503))
    def scrape(principal: Annotated[Principal, Depends(require(Scope.VIEW))]) -> Response:
        """Metrics for Prometheus."""
        tenant = None if Scope.ADMIN in principal.scopes else principal.tenant
        return Response(exposed(gateway.database, tenant, gateway.clock.now()), media_type=CONTENT_TYPE_LATEST)


def exposed(database: Database, tenant: str | None, now: datetime) -> bytes:
    """Every metric of ingest, of a tenant or of all, as Prometheus reads it."""
    with database.unit_of_work() as session:
        figures = repository.counts(session, FEEDBACK_RECEIVED.name, tenant)
        oldest = repository.oldest_waiting(session, tenant)
    registry = CollectorRegistry()
    registry.register(_Collected(families(figures, oldest, now)))
    return generate_latest(registry)


def families(figures: Mapping[str, Mapping[str, int]], oldest: Mapping[str, datetime], now: datetime) -> list[Metric]:
    """The table's metrics with their samples."""
    told = {tenant: service.told_counts(found) for tenant, found in sorted(figures.items())}
    reasons = [((tenant, name), n) for tenant, one in told.items() for name, n in one["by_reason"].items()]
    ages = {tenant: (now - oldest[tenant]).total_seconds() if tenant in oldest else 0.0 for tenant in told}
    return [
        _family(metrics.FEEDBACK_RECEIVED, _of(told, "received")),
        _family(metrics.FEEDBACK_ACCEPTED, _of(told, "accepted")),
        _family(metrics.FEEDBACK_DUPLICATE, _of(told, "duplicate")),
        _family(metrics.FEEDBACK_DEAD, reasons),
        _family(metrics.FEEDBACK_UNMATCHED, _of(told, "pending")),
        _family(metrics.FEEDBACK_UNMATCHED_AGE, [((tenant,), max(age, 0.0)) for tenant, age in ages.items()]),
        _family(
            metrics.COMPLETIONS_STORED, [((tenant,), one["completions"]["stored"]) for tenant, one in told.items()]
        ),
        _family(metrics.COMPLETIONS_DEAD, [((tenant,), one["completions"]["dead"]) for tenant, one in told.items()]),
    ]


def _of(told: Mapping[str, Mapping[str, Any]], name: str) -> list[Sample]:
    return [((tenant,), one[name]) for tenant, one in told.items()]


def _family(metric: metrics.Metric, samples: Iterable[Sample]) -> Metric:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.conclude, labels=list(metric.labels))
    for labels, value in samples:
        family.add_metric(list(labels), value)
    return family


class _Collected(Collector):
    """What was read once, for one answer."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        """As the registry asks."""
        return self._found
