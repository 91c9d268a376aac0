"""Requests that change a clip: prompts, tracks, confirmations, objects, regions, edges."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from covos.core.errors import UsageError
from covos.masks.edges import Edges
from covos.serve.desk import Desk
from covos.serve.metrics import Metrics
from covos.serve.routes.description import json_body
from covos.serve.routes.looking import Bound
from covos.serve.routes.waiting import Waiting
from covos.serve.schema import GivenKind, JobView, Merge, NewName, NewPrompt, NewRegions, NewTrack, OneFrame, Prompted


def edits_router(desk: Desk, *, metrics: Metrics) -> APIRouter:
    """Return the part of the API that changes masks and objects."""
    router, waiting = APIRouter(prefix="/api"), Waiting()

    @router.post("/jobs/{job}/prompts")
    async def prompt(job: str, asked: NewPrompt) -> Prompted:
        """Show an object on a frame, or correct it there; the mask comes at once."""
        with metrics.clicks.time():
            return await waiting.run(desk.editing.prompt, desk.clip(job), asked)

    @router.delete("/jobs/{job}/prompts")
    async def take_back(
        *,
        job: str,
        frame: Bound,
        number: Annotated[int, Query(alias="object", ge=1, le=254)],
        kind: GivenKind,
        x: Annotated[float, Query(ge=0, le=1 << 20)] | None = None,
        y: Annotated[float, Query(ge=0, le=1 << 20)] | None = None,
    ) -> JobView:
        """Take one prompt of an object on a frame back, as the job's list has it; a point has a place."""
        if (kind == "point") != (x is not None and y is not None):
            raise UsageError(
                f"a {kind} is taken back {'without its place' if kind == 'point' else 'with a place'}",
                why="points have places, and nothing else has",
                fix="give x and y with a point alone",
            )
        at = None if x is None or y is None else (int(x), int(y))
        return await waiting.run(desk.editing.take_back, desk.clip(job), frame, number=number, kind=kind, at=at)

    @router.post("/jobs/{job}/look", status_code=204)
    def look(job: str, asked: OneFrame) -> Response:
        """Say on which frame the next click may come: it is then answered the sooner."""
        desk.look(desk.clip(job), asked.frame)
        return Response(status_code=204)

    @router.post("/jobs/{job}/track", status_code=202)
    def track(job: str, asked: NewTrack) -> JobView:
        """Follow the objects that were shown."""
        return desk.editing.track(desk.clip(job), asked)

    @router.post("/jobs/{job}/confirm")
    def confirm(job: str, asked: OneFrame) -> JobView:
        """Take a frame's masks as right."""
        return desk.editing.confirm(desk.clip(job), asked.frame)

    @router.delete("/jobs/{job}/confirm")
    def unconfirm(job: str, frame: Bound) -> JobView:
        """Take the confirmation of a frame back."""
        return desk.editing.unconfirm(desk.clip(job), frame)

    @router.post("/jobs/{job}/undo")
    def undo(job: str) -> JobView:
        """Take the latest edit back."""
        return desk.editing.go(desk.clip(job), back=True)

    @router.post("/jobs/{job}/redo")
    def redo(job: str) -> JobView:
        """Make the edit again that was undone latest."""
        return desk.editing.go(desk.clip(job), back=False)

    @router.patch("/jobs/{job}/objects/{number}")
    def show(job: str, number: int, asked: NewName) -> JobView:
        """Rename an object, or hide it."""
        return desk.editing.show(desk.clip(job), number, name=asked.name, hidden=asked.hidden)

    @router.delete("/jobs/{job}/objects/{number}")
    def drop(job: str, number: int) -> JobView:
        """Delete an object from all frames."""
        return desk.editing.drop(desk.clip(job), number)

    @router.post("/jobs/{job}/objects/{number}/merge")
    def merge(job: str, number: int, asked: Merge) -> JobView:
        """Make an object a part of another."""
        return desk.editing.merge(desk.clip(job), number, into=asked.into)

    @router.put("/jobs/{job}/regions")
    def regions(job: str, asked: NewRegions) -> JobView:
        """Choose the boxes that the subject may not lie in, or has to; an empty list takes them all away."""
        return desk.editing.set_regions(desk.clip(job), tuple(region.prompt for region in asked.regions))

    @router.patch("/jobs/{job}/edges", openapi_extra=json_body(Edges))
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
        return desk.editing.set_edges(clip, asked)

    return router
