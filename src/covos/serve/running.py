"""Run the server: settings in, an address out, until a signal comes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from signal import Signals
from socket import AF_INET
from types import FrameType

import uvicorn

from covos.core.errors import EnvironmentProblem
from covos.plan import Plan
from covos.serve.address import Address
from covos.serve.app import make_app
from covos.serve.desk import Desk
from covos.serve.guard import Guard
from covos.serve.label_studio import make_annotator, make_backend
from covos.serve.log import LOG, Answered, going_on, log_library, log_request, logging_to
from covos.serve.metrics import Metrics
from covos.serve.patience import PatientProtocol
from covos.serve.places import PAGE
from covos.serve.rules import Rules
from covos.serve.tasks import Warm
from covos.serve.to_open import ToOpen

GRACE = 3
"""Seconds that open requests have to end."""
_LOOK = 1.0


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, end: Callable[[], None]) -> None:
        super().__init__(config)
        self._end = end
        self._told = False
        self.ended_by = "error"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._told:  # an impatient second Ctrl-C: uvicorn would show where everything waits
            logging.getLogger("uvicorn.error").disabled = True
        self._told = True  # first of all: the second may come in the midst of what follows
        self.ended_by = Signals(sig).name
        self._end()  # open streams of events would hold the server up
        super().handle_exit(sig, frame)


def run_server(
    rules: Rules,
    *,
    address: Address,
    plan: Plan,
    example: Path | None = None,
    opening: ToOpen | None = None,
    fresh: bool = False,
    ready: Callable[[str], None] = lambda _url: None,
    resumed: Callable[[datetime], None] = lambda _when: None,
    log: str | None = None,
) -> None:
    """Serve the page and the API until a signal comes.

    Args:
        rules: Bounds of the server.
        address: Where it listens.
        plan: Model, device and precision; its source does not matter.
        example: The clip that a first visit is offered.
        opening: A clip or a finished run to begin with.
        fresh: Begin anew, also if ``opening`` was opened before.
        ready: Called with the address for a browser, once the server answers.
        resumed: Called with the time of the last edit, if ``opening`` was opened before and goes on.
        log: See `covos.serve.log.logging_to`.

    Raises:
        EnvironmentProblem: The address is taken, or cannot be used; or another server has the same clips.
        CovosError: The clip to begin with cannot be opened.
    """
    token, metrics = address.word(), Metrics()
    desk = Desk(rules, plan=plan)
    app = make_app(desk, token=token, example=example, metrics=metrics)

    def done(answered: Answered) -> None:
        metrics.request(answered)
        log_request(answered)

    guard = Guard(app, hosts=address.hosts, token=token, largest_upload=rules.upload + (1 << 20), done=done)

    def end() -> None:
        app.state.closing = guard.closing = True
        desk.hang_up()

    def begin(url: str) -> None:
        with suppress(OSError):  # it is for the error of another that is started meanwhile
            (rules.root / PAGE).write_text(f"{url}\n", "utf-8")
        parts = [f"token={token}"] if token else []
        if opening is not None:
            parts.append("opening")  # the page says that it waits: to read a run takes a while
        ready(url + ("#" + "&".join(parts) if parts else ""))
        if opening is not None:
            before = {clip.id for clip in desk.clips()}
            clip = desk.open(opening, fresh=fresh)
            if clip.id in before:
                resumed(clip.edited)

    with desk.alone(), logging_to(log):
        try:
            _listen(guard, address=address, end=end, begin=begin, look=desk.expire)
        finally:
            with suppress(OSError):
                (rules.root / PAGE).unlink(missing_ok=True)


def run_backend(
    media: Path,
    *,
    address: Address,
    plan: Plan,
    ready: Callable[[str], None] = lambda _url: None,
    log: str | None = None,
) -> None:
    """Serve Label Studio's interface of machine learning backends until a signal comes.

    Args:
        media: The folder below which all files lie.
        address: Where it listens.
        plan: Model, device and precision; its source does not matter.
        ready: Called with the address, and with the token if there is one, once the server answers.
        log: See `covos.serve.log.logging_to`.

    Raises:
        EnvironmentProblem: The address is taken, or cannot be used.
    """
    token = address.word()
    annotator, worker = make_annotator(media, plan=plan)
    app = make_backend(annotator, media=media)
    guard = Guard(app, hosts=address.hosts, token=token, guarded="/", largest_upload=0, done=log_request)

    def begin(url: str) -> None:
        ready(url + (f"  (password {token})" if token else ""))
        worker.offer(Warm(), name="the networks")

    def end() -> None:
        guard.closing = True
        threading.Thread(target=worker.close, daemon=True, name="covos ends").start()

    try:
        with logging_to(log):
            _listen(guard, address=address, end=end, begin=begin, look=lambda: None)
    finally:
        worker.close()


def _listen(
    guard: Guard,
    *,
    address: Address,
    end: Callable[[], None],
    begin: Callable[[str], None],
    look: Callable[[], None],
) -> None:
    config = uvicorn.Config(
        guard,
        host=address.host,
        port=address.port,
        log_level="warning",
        timeout_graceful_shutdown=GRACE,
        server_header=False,
        h11_max_incomplete_event_size=64 << 10,
        http=PatientProtocol,
        ws="none",
    )
    log_library()
    server = _Server(config, end=end)
    failed: list[BaseException] = []

    def tell() -> None:
        while not server.started and not server.should_exit:
            time.sleep(0.05)
        if server.should_exit:
            return
        # A name may stand for numbers of both kinds: each has a socket, and a port of its own if any free one will do.
        sockets = [each for listening in server.servers for each in listening.sockets]
        port = next((each for each in sockets if each.family == AF_INET), sockets[0]).getsockname()[1]
        url = f"http://{address.in_url}:{port}/"
        LOG.info("begins at %s", url)
        try:
            begin(url)
        except BaseException as error:
            failed.append(error)
            end()
            server.should_exit = True
        while not server.should_exit:
            with going_on():
                look()
            time.sleep(_LOOK)

    threading.Thread(target=tell, daemon=True, name="covos ready").start()
    try:
        server.run()
    except (SystemExit, KeyboardInterrupt) as stop:
        if server.started:  # the signal that ended it, which the server raises again
            return
        if guard.failed is not None:
            raise guard.failed from None
        raise EnvironmentProblem(
            f"the server cannot listen on {address.in_url}:{address.port}",
            why="the port is taken, or the address is not this machine's",
            fix="give another with --port or --host",
        ) from stop
    finally:
        if server.started:
            LOG.info("ends by=%s", server.ended_by)
    if failed:
        raise failed[0]
