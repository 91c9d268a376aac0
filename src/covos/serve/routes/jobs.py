"""Requests about jobs: take a clip, report its progress, stop it, delete it."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

from anyio import CancelScope
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from covos.core.errors import UsageError
from covos.media.range import Range
from covos.serve.clip import Clip
from covos.serve.desk import Desk
from covos.serve.errors import NotThereError
from covos.serve.places import file_below
from covos.serve.routes.description import without_references
from covos.serve.routes.waiting import Waiting
from covos.serve.schema import Jobs, JobView, NewJob
from covos.serve.uploads import kept_as, shown_name
from covos.serve.workers import Video

PATIENCE = 15.0
"""Seconds after which a stream of events says that it is alive."""
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
            "application/json": {"schema": without_references(NewJob)},
        },
    }
}


def jobs_router(desk: Desk, *, example: Path | None) -> APIRouter:
    """Return the part of the API that takes clips, reports their progress, and deletes them."""
    router, waiting = APIRouter(prefix="/api"), Waiting()

    @router.post("/jobs", status_code=201, openapi_extra=_JOB_BODY)
    async def add(request: Request, response: Response) -> JobView:
        """Take a clip, as a file (multipart, field ``file``), or named by JSON; and find its subject."""
        kind = request.headers.get("content-type", "")
        if kind.startswith("multipart/form-data"):
            clip = await _take_upload(request, desk, waiting)
        elif kind.startswith("application/json"):
            asked = NewJob.model_validate_json(await request.body())
            clip = await waiting.run(_taken, desk, asked, example=example)
        else:
            raise UsageError(
                "no clip came",
                why=f"the body is {kind or 'of no kind'}",
                fix="send multipart/form-data with a file, or JSON with a path",
            )
        response.headers["location"] = f"/api/jobs/{clip.id}"
        return await run_in_threadpool(desk.queue.view, clip)

    @router.get("/jobs")
    def every() -> Jobs:
        """List all jobs, the newest first."""
        return Jobs(jobs=desk.views())

    @router.get("/jobs/{job}")
    def one(job: str) -> JobView:
        """Tell how a job is getting on."""
        return desk.queue.view(desk.clip(job))

    @router.delete("/jobs/{job}", status_code=204)
    def delete(job: str) -> Response:
        """Stop a job and delete everything of it."""
        desk.delete(desk.clip(job))
        return Response(status_code=204)

    @router.post("/jobs/{job}/cancel")
    def cancel(job: str) -> JobView:
        """Stop what a job does; what is done stays."""
        return desk.cancel(desk.clip(job))

    @router.post("/jobs/{job}/retry", status_code=202)
    def retry(job: str) -> JobView:
        """Go on with a job that failed or was cancelled."""
        return desk.retry(desk.clip(job))

    @router.get("/jobs/{job}/events")
    async def events(job: str, request: Request, until: Literal["done"] | None = None) -> StreamingResponse:
        """Tell what happens, as server-sent events: job, progress, masks, end.

        With ``until=done`` the stream ends, after an event ``done``, as soon as nothing is done for the job, nor waits:
        it was found or followed, its formats are made, or that failed or was stopped.
        """
        clip = desk.clip(job)
        desk.queue.refuse_crowd()
        told = _events(desk, clip, request, endless=until is None)
        return StreamingResponse(told, media_type="text/event-stream", headers=_NO_STORE)

    return router


def _taken(desk: Desk, asked: NewJob, *, example: Path | None) -> Clip:
    desk.quota.refuse_new(0)
    if asked.upload is not None:
        return desk.arrivals.add_sent(desk.uploads.complete(asked.upload), range=asked.range)
    if asked.job is not None:
        return desk.arrivals.add_part(desk.clip(asked.job), asked.range)
    path = example if asked.path is None else file_below(desk.rules.media, asked.path)
    if path is None:
        raise NotThereError("there is no example", why="this server has none", fix="upload a clip")
    return desk.arrivals.add_path(Video(path=str(path), range=asked.range), name=path.name)


async def _take_upload(request: Request, desk: Desk, waiting: Waiting) -> Clip:
    stated = request.headers.get("content-length", "")
    folder = await waiting.run(desk.arrivals.begin_upload, int(stated) if stated.isdecimal() else 0)
    try:
        async with request.form(max_files=1, max_fields=8) as form:
            upload = form.get("file")
            if not isinstance(upload, UploadFile):
                raise UsageError("no file came", why="the form has no file in its field file", fix="send one")
            name = shown_name(upload.filename or "")  # which is no path
            file = kept_as(folder, name)
            given = {key: form[key] for key in ("start", "end", "every") if isinstance(form.get(key), str)}
            part = Range.model_validate(given)
            desk.quota.refuse_large(upload.size or 0)  # a body in chunks does not say its size before
            await waiting.run(_copy, upload, file)
        video = Video(path=str(file), range=part)
        return await waiting.run(desk.arrivals.add_upload, folder, video=video, name=name)
    except BaseException:
        with CancelScope(shield=True):  # to delete gigabytes takes a while, also for a client that has gone
            await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)
        raise


def _copy(upload: UploadFile, file: Path) -> None:
    with file.open("xb") as target:
        shutil.copyfileobj(upload.file, target, 1 << 20)


async def _events(desk: Desk, clip: Clip, request: Request, *, endless: bool) -> AsyncIterator[str]:
    with desk.queue.listening(clip) as listener:
        view = await run_in_threadpool(desk.queue.view, clip)  # its masks may have to be read
        yield _event("job", view.model_dump(mode="json"))
        while not request.app.state.closing and not await request.is_disconnected():
            if not endless and await run_in_threadpool(desk.queue.busy, clip) is None:
                view = await run_in_threadpool(desk.queue.view, clip)
                yield _event("job", view.model_dump(mode="json"))
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
