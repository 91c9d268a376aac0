"""The app of a server in the test's own event loop, for a desk that begins no process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx

from covos.serve.app import make_app
from covos.serve.desk import Desk
from covos.serve.metrics import Metrics
from serve.serving import END


def asking(desk: Desk, does: Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]) -> None:
    """Ask a server of this desk, in the test's own event loop."""

    async def run() -> None:
        app = make_app(desk, token="", example=None, metrics=Metrics())
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=END) as client:
            await does(client)

    asyncio.run(run())
