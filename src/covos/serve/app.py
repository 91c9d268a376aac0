"""The HTTP API: what can be asked, and what is answered. The page is one of its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from covos._version import __version__
from covos.serve.desk import Desk
from covos.serve.guard import PROBLEM
from covos.serve.metrics import Metrics
from covos.serve.routes.edits import edits_router
from covos.serve.routes.jobs import jobs_router
from covos.serve.routes.looking import looking_router
from covos.serve.routes.refusals import REFUSALS, add_refusals
from covos.serve.routes.results import results_router
from covos.serve.routes.service import STATIC, FreshFiles, service_router
from covos.serve.tus import tus_router


def make_app(desk: Desk, *, token: str, example: Path | None, metrics: Metrics) -> FastAPI:
    """Make the server.

    Args:
        desk: Holds the clips; started and closed with the server.
        token: See `covos.serve.guard.Guard`.
        example: The clip that a first visit is offered.
        metrics: Counts.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(desk.start)
        try:
            yield
        finally:
            await run_in_threadpool(desk.close)

    app = FastAPI(
        title="covos",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses={number: {"description": words, "content": PROBLEM} for number, words in REFUSALS.items()},
    )
    app.state.closing = False

    add_refusals(app, desk)
    for router in (
        service_router(desk, token=token, example=example, metrics=metrics),
        jobs_router(desk, example=example),
        looking_router(desk),
        results_router(desk),
        edits_router(desk, metrics=metrics),
        tus_router(desk),
    ):
        app.include_router(router)
    app.mount("/static", FreshFiles(directory=STATIC), name="static")
    return app
