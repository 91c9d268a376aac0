"""Numbers for whoever watches the server, as Prometheus reads them. No label names a clip."""

from __future__ import annotations

from collections import Counter as Tally
from typing import TYPE_CHECKING, Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from covos._version import __version__
from covos.core.types import JobState
from covos.serve.log import Answered

if TYPE_CHECKING:
    from covos.serve.desk import Desk

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that are counted by name. A client may send any word, and each name stays in memory."""


class Metrics:
    """All numbers of one server.

    Attributes:
        registry: What ``/metrics`` prints.
        clicks: Seconds from a prompt to its mask.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.clicks = Histogram("covos_click_duration_seconds", "From a prompt to its mask.", registry=self.registry)
        self._requests = Histogram(
            "covos_http_request_duration_seconds", "Of each request.", ["method", "route", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._jobs = Gauge("covos_jobs", "Jobs by state.", ["state"], registry=self.registry)
        self._waiting = Gauge("covos_queue_jobs", "Work that waits.", registry=self.registry)
        self._disk = Gauge("covos_disk_bytes", "Bytes of all clips.", registry=self.registry)
        self._restarts = Gauge("covos_worker_restarts", "Processes that died.", registry=self.registry)
        Counter("covos_build_info", "Version.", ["version"], registry=self.registry).labels(__version__)

    def request(self, answered: Answered) -> None:
        """Count a request."""
        method = answered.method if answered.method in _METHODS else "other"
        self._requests.labels(method, answered.route, str(answered.status)).observe(answered.seconds)

    def look(self, desk: Desk) -> None:
        """Bring what is not counted up to date."""
        states = Tally(clip.kept.state for clip in desk.clips())
        for state in get_args(JobState):
            self._jobs.labels(state).set(states[state])
        self._waiting.set(desk.queue.waiting)
        self._disk.set(desk.quota.used())
        self._restarts.set(desk.restarts)
