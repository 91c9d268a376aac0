"""The HTTP API: what can be asked, and what is answered. The page is one of its clients."""

from __future__ import annotations

import hmac
import json
import shutil
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Body as BodyOf
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.routing import Match

from covos._version import __version__
from covos.core.errors import CovosError, EnvironmentProblem, UsageError, explained
from covos.formats.table import FORMATS, expected_sizes, load_format
from covos.masks.edges import Edges
from covos.media.range import WHOLE, Range
from covos.serve.clip import Clip
from covos.serve.desk import Desk
from covos.serve.errors import NotThereError
from covos.serve.guard import COOKIE, PROBLEM, BodyTooLargeError, BodyTooSlowError, ServerEndsError, problem, problem_of
from covos.serve.metrics import Metrics
from covos.serve.schema import (
    Formats,
    FormatView,
    Jobs,
    JobView,
    MasksView,
    Merge,
    NewJob,
    NewName,
    NewPrompt,
    NewRegions,
    NewResult,
    NewTrack,
    OneFrame,
    Prompted,
    Timeline,
)
from covos.serve.tus import tus_router
from covos.serve.uploads import shown_name, suffix_of

STATIC = Path(__file__).parent / "static"
WIDEST = 4096
PATIENCE = 15.0
"""Seconds after which a stream of events says that it is alive."""
FOREVER = "private, max-age=31536000, immutable"


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
        responses={number: {"description": words, "content": PROBLEM} for number, words in _REFUSALS.items()},
    )
    app.state.closing = False

    _add_errors(app, desk)
    _add_service(app, desk, token=token, example=example, metrics=metrics)
    _add_jobs(app, desk, example=example)
    _add_looking(app, desk)
    _add_edits(app, desk, metrics=metrics)
    app.include_router(tus_router(desk))
    app.mount("/static", _FreshFiles(directory=STATIC), name="static")
    return app


class _FreshFiles(StaticFiles):
    """Files that browsers ask for again: else they mix modules of two versions."""

    def file_response(self, *given: Any, **named: Any) -> Response:
        """Answer with the file, or with 304 if it is the same."""
        answer = super().file_response(*given, **named)
        answer.headers["cache-control"] = "no-cache"
        return answer


def _add_errors(app: FastAPI, desk: Desk) -> None:
    @app.exception_handler(CovosError)
    def _refused(_: Request, error: CovosError) -> Response:
        return problem_of(desk.in_public(error))

    @app.exception_handler(BodyTooLargeError)
    def _flooded(_: Request, error: BodyTooLargeError) -> Response:
        return problem(413, what="the body is too large", why=f"{error.most:,} bytes are the most", fix="send less")

    @app.exception_handler(BodyTooSlowError)
    def _slow(_: Request, error: BodyTooSlowError) -> Response:
        answer = problem(408, what=error.detail, why="its bytes did not come in time", fix="send it again")
        answer.headers["connection"] = "close"
        return answer

    @app.exception_handler(ServerEndsError)
    def _ends(_: Request, error: ServerEndsError) -> Response:
        return problem(503, what=error.detail, why="it was stopped", fix="start it again, and send it anew")

    @app.exception_handler(HTTPException)
    def _unknown(request: Request, error: HTTPException) -> Response:
        why = "there is nothing of this name" if error.status_code == 404 else "the server cannot answer this"
        answer = problem(error.status_code, what=str(error.detail), why=why, fix="see /openapi.json")
        answer.headers.update(error.headers or {})
        if error.status_code == 405:  # the error knows the methods of one route alone
            answer.headers["allow"] = ", ".join(_methods(app, request.scope))
        return answer

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(ValidationError)
    def _misspelt(_: Request, error: RequestValidationError | ValidationError) -> Response:
        found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        return problem(422, what="the request cannot be read", why="; ".join(found[:4]), fix="see /openapi.json")

    @app.exception_handler(Exception)
    def _bug(_: Request, error: Exception) -> Response:
        if isinstance(found := explained(error), EnvironmentProblem):  # the disk is full, say
            return problem_of(desk.in_public(found))
        return problem(500, what="this is a bug of covos", why=type(error).__name__, fix="report it, with the log")


def _methods(app: FastAPI, scope: MutableMapping[str, Any]) -> list[str]:
    """Return the methods that an address takes."""

    def takes(method: str) -> bool:
        return any(route.matches({**scope, "method": method})[0] is Match.FULL for route in app.routes)

    return [method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") if takes(method)]


def _add_service(app: FastAPI, desk: Desk, *, token: str, example: Path | None, metrics: Metrics) -> None:
    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/health")
    def health() -> dict[str, str]:
        """Tell that the server is alive."""
        return {"status": "ok", "version": __version__}

    @app.get("/metrics", include_in_schema=False)
    def numbers() -> Response:
        metrics.look(desk)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.post("/api/token", include_in_schema=False)
    def log_in(given: Annotated[str, BodyOf(embed=True, alias="token")]) -> Response:
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise UsageError("this is not the token", why="the server printed another", fix="copy it again")
        answer = Response(status_code=204)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return answer

    @app.get("/api/info")
    def info() -> dict[str, Any]:
        """Tell what this server can do."""
        return {
            "version": __version__,
            "formats": list(FORMATS),
            "example": example is not None,
            "media": desk.rules.media is not None,
            "limits": {"upload": desk.rules.upload, "quota": desk.rules.quota, "waiting": desk.rules.waiting},
        }


def _add_jobs(app: FastAPI, desk: Desk, *, example: Path | None) -> None:
    @app.post("/api/jobs", status_code=201, openapi_extra=_JOB_BODY)
    async def add(request: Request, response: Response) -> JobView:
        """Take a clip, as a file (multipart, field ``file``), or named by JSON; and find its subject."""
        kind = request.headers.get("content-type", "")
        if kind.startswith("multipart/form-data"):
            clip = await _take_upload(request, desk)
        elif kind.startswith("application/json"):
            asked = NewJob.model_validate_json(await request.body())
            clip = await run_in_threadpool(_taken, desk, asked, example=example)
        else:
            raise UsageError(
                "no clip came",
                why=f"the body is {kind or 'of no kind'}",
                fix="send multipart/form-data with a file, or JSON with a path",
            )
        response.headers["location"] = f"/api/jobs/{clip.id}"
        return desk.queue.view(clip)

    @app.get("/api/jobs")
    def every() -> Jobs:
        """List all jobs, the newest first."""
        return Jobs(jobs=tuple(desk.queue.view(clip) for clip in desk.clips()))

    @app.get("/api/jobs/{job}")
    def one(job: str) -> JobView:
        """Tell how a job is getting on."""
        return desk.queue.view(desk.clip(job))

    @app.delete("/api/jobs/{job}", status_code=204)
    def delete(job: str) -> Response:
        """Stop a job and delete everything of it."""
        with suppress(NotThereError):  # it is gone, which is all that was asked for
            desk.delete(desk.clip(job))
        return Response(status_code=204)

    @app.post("/api/jobs/{job}/cancel")
    def cancel(job: str) -> JobView:
        """Stop what a job does; what is done stays."""
        return desk.queue.cancel(desk.clip(job))

    @app.post("/api/jobs/{job}/retry", status_code=202)
    def retry(job: str) -> JobView:
        """Go on with a job that failed or was cancelled."""
        return desk.retry(desk.clip(job))

    @app.get("/api/jobs/{job}/events")
    async def events(job: str, request: Request, until: Literal["done"] | None = None) -> StreamingResponse:
        """Tell what happens, as server-sent events: job, progress, masks, end.

        With ``until=done`` the stream ends, after an event ``done``, as soon as nothing is done for the job, nor waits:
        it was found or followed, its formats are made, or that failed or was stopped.
        """
        clip = desk.clip(job)
        desk.queue.refuse_crowd()
        told = _events(app, desk, clip, request, endless=until is None)
        return StreamingResponse(told, media_type="text/event-stream", headers=_NO_STORE)


def _without_references(record: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a record with all that it refers to in it, for places that the description does not fill."""
    schema = record.model_json_schema()
    parts = schema.pop("$defs", {})

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(each) for each in value]
        if not isinstance(value, dict):
            return value
        if (reference := value.get("$ref")) is not None:
            return {**filled(parts[reference.rsplit("/", 1)[1]]), **{k: v for k, v in value.items() if k != "$ref"}}
        return {name: filled(each) for name, each in value.items()}

    return {name: filled(each) for name, each in schema.items()}


_NO_STORE = {"cache-control": "no-store", "x-accel-buffering": "no"}
_JOB_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "start": {"type": "string", "description": "The place of the first frame, as --start has it."},
                        "end": {"type": "string", "description": "The place of the first frame that is left out."},
                        "every": {"type": "string", "description": "Take one of so many frames."},
                    },
                }
            },
            "application/json": {"schema": _without_references(NewJob)},
        },
    }
}
_EDGES_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _without_references(Edges)}}}
}


_REFUSALS = {
    400: "It makes no sense here.",
    401: "The token is missing.",
    403: "It comes from a page of another site.",
    404: "It is not there.",
    408: "It came too slowly.",
    409: "It cannot be done now.",
    410: "It has expired.",
    413: "It is too large.",
    415: "It is of another kind.",
    422: "It cannot be read.",
    429: "Too much is waiting.",
    500: "It is a bug of covos.",
    503: "The machine refuses.",
}


def _taken(desk: Desk, asked: NewJob, *, example: Path | None) -> Clip:
    desk.refuse_new(0)
    if asked.upload is not None:
        return desk.add_sent(desk.uploads.complete(asked.upload), range=asked.range)
    if asked.job is not None:
        return desk.add_part(desk.clip(asked.job), asked.range)
    path = example if asked.path is None else desk.named(asked.path)
    if path is None:
        raise NotThereError("there is no example", why="this server has none", fix="upload a clip")
    return desk.add_path(path, name=path.name, range=asked.range)


async def _take_upload(request: Request, desk: Desk) -> Clip:
    stated = request.headers.get("content-length", "")
    folder = await run_in_threadpool(desk.begin_upload, int(stated) if stated.isdecimal() else 0)
    try:
        async with request.form(max_files=1, max_fields=8) as form:
            upload = form.get("file")
            if not isinstance(upload, UploadFile):
                raise UsageError("no file came", why="the form has no file in its field file", fix="send one")
            # A client's file name is shown, and its suffix helps to tell the kind; it is never a path here.
            name = shown_name(upload.filename or "")
            file = folder / f"source{suffix_of(name)}"
            given = {key: form[key] for key in ("start", "end", "every") if isinstance(form.get(key), str)}
            part = Range.model_validate(given)
            desk.refuse_large(upload.size or 0)  # a body in chunks does not say its size before
            await run_in_threadpool(_copy, upload, file)
        return await run_in_threadpool(desk.add_upload, folder, file=file, name=name, range=part)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _copy(upload: UploadFile, file: Path) -> None:
    with file.open("xb") as target:
        shutil.copyfileobj(upload.file, target, 1 << 20)


async def _events(app: FastAPI, desk: Desk, clip: Clip, request: Request, *, endless: bool) -> AsyncIterator[str]:
    with desk.queue.listening(clip) as listener:
        yield _event("job", desk.queue.view(clip).model_dump(mode="json"))
        while not app.state.closing and not await request.is_disconnected():
            if not endless and desk.queue.busy(clip) is None:
                yield _event("job", desk.queue.view(clip).model_dump(mode="json"))
                yield _event("done", {})
                return
            news = await listener.hear(patience=PATIENCE)
            if not news:
                yield ": alive\n\n"
            for kind, content in news.items():
                yield _event(kind, content)
            if "end" in news:
                return


def _event(kind: str, content: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(content)}\n\n"


def _add_looking(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/jobs/{job}/timeline")
    def timeline(job: str) -> Timeline:
        """Return all frames at a glance."""
        return desk.clip(job).timeline()

    @app.get("/api/jobs/{job}/masks")
    def masks(
        job: str, start: Annotated[int, Query(ge=0)] = 0, stop: Annotated[int, Query(ge=0)] = 100, edges: bool = True
    ) -> MasksView:
        """Return the masks of some frames, 300 at most; without ``edges``, as they were before these were changed."""
        return desk.clip(job).masks(start, stop, edges=edges)

    @app.get("/api/jobs/{job}/frames/{index}", responses=_file("image/jpeg"))
    def picture(job: str, index: int, w: Annotated[int, Query(ge=16, le=WIDEST)] = 1280) -> Response:
        """Return a frame as a JPEG, at most so many pixels wide."""
        if index < 0:
            raise NotThereError(f"there is no frame {index}", why="frames are numbered from 0", fix="give another")
        return Response(
            desk.picture(desk.clip(job), index, width=w), media_type="image/jpeg", headers={"cache-control": FOREVER}
        )

    @app.get("/api/jobs/{job}/proxy", responses=_file("video/mp4"))
    def proxy(job: str) -> Response:
        """Return a small video of the clip that every browser plays."""
        clip = desk.clip(job)
        if not clip.proxy.is_file():
            raise NotThereError("there is no video yet", why="it is made when the subject is found", fix="wait")
        return FileResponse(clip.proxy, media_type="video/mp4")

    @app.get("/api/jobs/{job}/formats")
    def formats(job: str) -> Formats:
        """List the formats to download, with the bytes that they will take about."""
        sizes = expected_sizes(FORMATS, info=desk.clip(job).info)
        return Formats(formats=tuple(_format_view(name, size=sizes[name]) for name in FORMATS))

    @app.post("/api/jobs/{job}/results/{name}", status_code=202)
    def export(job: str, name: str, asked: NewResult | None = None) -> JobView:
        """Write the masks in a format, or those of a part."""
        return desk.downloads.export(desk.clip(job), name, range=WHOLE if asked is None else asked.range)

    @app.get("/api/jobs/{job}/results/{name}", responses=_file("application/octet-stream"))
    def download(job: str, name: str) -> Response:
        """Return the file of a format; of one with many files, a zip."""
        clip = desk.clip(job)
        file = desk.downloads.download(clip, name)
        stem = Path(clip.kept.name).stem
        return FileResponse(file, filename=f"{stem}-{name}{file.suffix}", media_type="application/octet-stream")


def _file(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}}}}}


def _format_view(name: str, *, size: int) -> FormatView:
    kind = load_format(name)
    title = " ".join((kind.__doc__ or name).split("\n\n", 1)[0].replace("`", "").split())
    return FormatView(name=name, title=title, container=kind.output, alpha=kind.has_alpha, bytes=size)


def _add_edits(app: FastAPI, desk: Desk, *, metrics: Metrics) -> None:
    @app.post("/api/jobs/{job}/prompts")
    def prompt(job: str, asked: NewPrompt) -> Prompted:
        """Show an object on a frame, or correct it there; the mask comes at once."""
        with metrics.clicks.time():
            return desk.editing.prompt(desk.clip(job), asked)

    @app.post("/api/jobs/{job}/look", status_code=204)
    def look(job: str, asked: OneFrame) -> Response:
        """Say on which frame the next click may come: it is then answered the sooner."""
        desk.look(desk.clip(job), asked.frame)
        return Response(status_code=204)

    @app.post("/api/jobs/{job}/track", status_code=202)
    def track(job: str, asked: NewTrack) -> JobView:
        """Follow the objects that were shown."""
        return desk.editing.track(desk.clip(job), asked)

    @app.post("/api/jobs/{job}/confirm")
    def confirm(job: str, asked: OneFrame) -> JobView:
        """Take a frame's masks as right."""
        return desk.editing.confirm(desk.clip(job), asked.frame)

    @app.post("/api/jobs/{job}/undo")
    def undo(job: str) -> JobView:
        """Take the latest edit back."""
        return desk.editing.go(desk.clip(job), back=True)

    @app.post("/api/jobs/{job}/redo")
    def redo(job: str) -> JobView:
        """Make the edit again that was undone latest."""
        return desk.editing.go(desk.clip(job), back=False)

    @app.patch("/api/jobs/{job}/objects/{number}")
    def show(job: str, number: int, asked: NewName) -> JobView:
        """Rename an object, or hide it."""
        return desk.editing.show(desk.clip(job), number, name=asked.name, hidden=asked.hidden)

    @app.delete("/api/jobs/{job}/objects/{number}")
    def drop(job: str, number: int) -> JobView:
        """Delete an object from all frames."""
        return desk.editing.drop(desk.clip(job), number)

    @app.post("/api/jobs/{job}/objects/{number}/merge")
    def merge(job: str, number: int, asked: Merge) -> JobView:
        """Make an object a part of another."""
        return desk.editing.merge(desk.clip(job), number, into=asked.into)

    @app.put("/api/jobs/{job}/regions")
    def regions(job: str, asked: NewRegions) -> JobView:
        """Choose the boxes that the subject may not lie in, or has to; an empty list takes them all away."""
        return desk.editing.set_regions(desk.clip(job), tuple(region.prompt for region in asked.regions))

    @app.patch("/api/jobs/{job}/edges", openapi_extra=_EDGES_BODY)
    def edges(job: str, asked: dict[str, Any]) -> JobView:
        """Choose how the edges of masks are changed; what is not named stays."""
        clip = desk.clip(job)
        unknown = asked.keys() - Edges.model_fields.keys()
        if unknown:
            raise UsageError(
                f"there is no {', '.join(sorted(unknown))}",
                why="edges have no such setting",
                fix=f"it is one of {', '.join(Edges.model_fields)}",
            )
        return desk.editing.set_edges(clip, Edges.model_validate({**clip.kept.edges.model_dump(), **asked}))
