"""For those who run the service: whether it works, and what it counted."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from perfkit.service.models import Health

__all__ = ["router"]

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def get_health(request: Request) -> Health:
    """Whether the service works: it lives; what it depends on may be failing."""
    health: Health = await request.app.state.parts.health.report()
    return health


class PrometheusText(Response):
    """Prometheus' exposition format."""

    media_type = "text/plain; version=0.0.4"


@router.get("/metrics", response_class=PrometheusText)
async def get_metrics(request: Request) -> PrometheusText:
    """Counters of all workers, for Prometheus."""
    parts = request.app.state.parts
    queues = await parts.notifier.statistics()
    return PrometheusText(parts.metrics.render(queues))
