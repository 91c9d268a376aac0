"""Requests about downloads: the formats, what one takes, and its file."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from covos.core.types import SourceInfo
from covos.formats.table import FORMATS, expected_sizes, load_format
from covos.serve.desk import Desk
from covos.serve.routes.description import file_answer
from covos.serve.routes.waiting import Waiting
from covos.serve.schema import Choice, Formats, FormatView, JobView, NewResult


def results_router(desk: Desk) -> APIRouter:
    """Return the part of the API that writes formats and hands them out."""
    router, waiting = APIRouter(prefix="/api"), Waiting()

    @router.get("/jobs/{job}/formats")
    def formats(job: str) -> Formats:
        """List the formats to download, with the bytes that they will take about."""
        info = desk.clip(job).info
        return Formats(formats=tuple(_format_view(name, info=info) for name in FORMATS))

    @router.post("/jobs/{job}/results/{name}", status_code=202)
    async def export(job: str, name: str, asked: NewResult | None = None) -> JobView:
        """Write the masks in a format, or those of a part, with the options of ``covos convert``."""
        return await waiting.run(desk.downloads.export, desk.clip(job), name, asked or NewResult())

    @router.head("/jobs/{job}/results/{name}", include_in_schema=False)
    @router.get("/jobs/{job}/results/{name}", responses=file_answer("application/octet-stream"))
    def download(job: str, name: str) -> Response:
        """Return the file of a format; of one with many files, a zip."""
        clip = desk.clip(job)
        file = desk.downloads.download(clip, name)
        stem = Path(clip.kept.name).stem
        return FileResponse(file, filename=f"{stem}-{name}{file.suffix}", media_type="application/octet-stream")

    return router


def _format_view(name: str, *, info: SourceInfo) -> FormatView:
    kind = load_format(name)
    title = " ".join((kind.__doc__ or name).split("\n\n", 1)[0].replace("`", "").split())
    values = [f"{name}={value}" for value in kind.choices]
    sizes = expected_sizes([name, *values], info=info)
    return FormatView(
        name=name,
        title=title,
        container=kind.output,
        alpha=kind.has_alpha,
        bytes=sizes[name],
        soft=not kind.labels_only,
        video=kind.shape == "video",
        # An ordinary clip has no tones of HDR to keep: the option would change nothing.
        options=tuple(each for each in kind.composes if each != "keep_hdr" or info.tags.hdr is not None),
        choices=tuple(Choice(value=value, bytes=sizes[f"{name}={value}"]) for value in kind.choices),
    )
