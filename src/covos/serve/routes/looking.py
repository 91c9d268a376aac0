"""Requests that show a clip: its frames, its masks, the video that browsers play, all frames at a glance."""

from __future__ import annotations

import asyncio
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from covos.core.errors import UsageError
from covos.core.types import SourceInfo
from covos.serve.desk import Desk
from covos.serve.errors import NotThereError
from covos.serve.frame_numbers import bound_of, check_frame
from covos.serve.pictures import PictureKind
from covos.serve.routes.description import file_answer
from covos.serve.schema import MasksView, Shown, Source, Timeline
from covos.serve.views import masks_view

WIDEST = 4096
FOREVER = "private, max-age=31536000, immutable"
Bound: TypeAlias = Annotated[int, Query(ge=0)] | Source


def looking_router(desk: Desk) -> APIRouter:
    """Return the part of the API that shows a clip: its frames, its masks, all of it at a glance."""
    router = APIRouter(prefix="/api")
    turn, cutting = asyncio.Lock(), asyncio.Lock()

    @router.get("/jobs/{job}/timeline")
    def timeline(job: str) -> Timeline:
        """Return all frames at a glance."""
        return desk.clip(job).timeline()

    @router.get("/jobs/{job}/masks")
    def masks(job: str, start: Bound = 0, stop: Bound = 100, edges: bool = True) -> MasksView:
        """Return the masks of some frames, 300 at most; without ``edges``, as they were before these were changed."""
        clip = desk.clip(job)
        return masks_view(clip, bound_of(start, info=clip.info), bound_of(stop, info=clip.info), edges=edges)

    @router.get("/jobs/{job}/frames/{index}", responses=file_answer("image/jpeg", "image/webp"))
    async def picture(
        request: Request,
        job: str,
        index: int | Source,
        w: Annotated[int, Query(ge=16, le=WIDEST)] = 1280,
        kind: PictureKind = "jpeg",
    ) -> Response:
        """Return a frame as a JPEG, or as a WebP, which is smaller and takes longer, at most so many pixels wide."""
        clip = desk.clip(job)
        _refuse_missing(index, info=clip.info)
        await request.body()  # what comes after it is that the client has gone
        async with turn:  # who holds an arrow key asks for a hundred frames, and waits for the last
            if await request.is_disconnected():
                return Response(status_code=204)
            content = await run_in_threadpool(desk.picture, clip, index, width=w, kind=kind)
        return Response(content, media_type=f"image/{kind}", headers={"cache-control": FOREVER})

    @router.get("/jobs/{job}/frames/{index}/cutout", responses=file_answer("image/png"))
    async def cutout(
        request: Request,
        job: str,
        index: int | Source,
        *,
        w: Annotated[int, Query(ge=16, le=WIDEST)] = 1280,
        matte: bool | None = None,
        invert: bool = False,
    ) -> Response:
        """Return a frame's subject as downloads have it, as a PNG with straight alpha, at most so many pixels wide.

        With ``matte``, the opacity of its edges is found if it is not known; if that is false, it is left out. Without
        it, that is found if other frames have one, as in downloads. With ``invert`` it is all but the subject.
        """
        clip = desk.clip(job)
        _refuse_missing(index, info=clip.info)
        await request.body()
        async with cutting:
            if await request.is_disconnected():
                return Response(status_code=204)
            content = await run_in_threadpool(desk.cutouts.picture, clip, index, width=w, matte=matte, invert=invert)
        return Response(content, media_type="image/png", headers={"cache-control": "no-store"})

    @router.head("/jobs/{job}/proxy", include_in_schema=False)
    @router.get("/jobs/{job}/proxy", responses=file_answer("video/mp4"))
    def proxy(job: str) -> Response:
        """Return a small video of the clip that every browser plays."""
        clip = desk.clip(job)
        if not clip.proxy.is_file():
            raise NotThereError("there is no video yet", why="it is made when the subject is found", fix="wait")
        return FileResponse(clip.proxy, media_type="video/mp4")

    return router


def _refuse_missing(asked: Shown, *, info: SourceInfo) -> None:
    """Refuse an address whose frame is not there, as one of any other thing that is not."""
    try:
        check_frame(asked, info=info)
    except UsageError as error:
        raise NotThereError(error.what, why=error.why, fix=error.remedy) from None
