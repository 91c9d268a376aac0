"""The interface of Label Studio's machine learning backends: clicks on pictures become brush masks, boxes are followed.

Label Studio sends a task with what the annotator has just drawn. Points and boxes on a picture give the mask of the
thing; a box on a frame of a video is followed through the next frames. Nothing is fetched from anywhere: the address of
a file has to lead to one below the folder that the server was given.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from covos._version import __version__
from covos.core.errors import CovosError, InputError, UsageError
from covos.core.types import Point, SourceInfo
from covos.formats.brush import pack
from covos.masks import RLE
from covos.masks.frame_mask import FrameMask
from covos.plan import Plan
from covos.prompts.seed_mask import SeedMask
from covos.serve.errors import in_public
from covos.serve.guard import misspelt, problem_of
from covos.serve.pictures import Probe
from covos.serve.places import file_below
from covos.serve.prompt_steps import Said
from covos.serve.routes.waiting import Waiting
from covos.serve.tasks import Click, Track
from covos.serve.workers import Clicked, TaskWorker, Video

MODEL = "Covos"
VERSION = f"covos-{__version__}"
MOST_FRAMES = 100
"""Frames that one request follows a box: Label Studio waits 100 seconds for an answer."""
_LONGEST = 1 << 18
Percent = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]


class _Key(BaseModel):
    frame: int = Field(ge=1, le=1 << 40)
    enabled: bool = True
    x: Percent
    y: Percent
    width: Percent
    height: Percent


class _Value(BaseModel):
    x: Percent = 0
    y: Percent = 0
    width: Percent = 0
    height: Percent = 0
    keypointlabels: list[str] = []
    rectanglelabels: list[str] = []
    frames_count: int | None = Field(default=None, alias="framesCount", ge=1, le=1 << 40)
    sequence: list[_Key] = []


class _Drawn(BaseModel):
    type: str
    value: _Value
    positive: bool = Field(default=True, alias="is_positive")


class _Context(BaseModel):
    result: list[dict[str, Any]] = Field(default=[], max_length=256)


class _Parameters(BaseModel):
    context: _Context | None = None


class _Task(BaseModel):
    data: dict[str, Any]


class _Asked(BaseModel):
    tasks: list[_Task] = Field(max_length=1000)
    label_config: str = Field(default="", max_length=_LONGEST)
    params: _Parameters = _Parameters()


class _Set(BaseModel):
    project: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brush:
    """The part of a project's configuration that takes masks.

    Attributes:
        name: Name of the control, ``BrushLabels``.
        to: Name of the picture that it is for.
        key: Key of the picture's address in a task's data.
        labels: What objects may be called.
    """

    name: str
    to: str
    key: str
    labels: tuple[str, ...]

    @classmethod
    def of(cls, config: str) -> Brush:
        """Read it from a project's configuration.

        Raises:
            InputError: It is not XML, or has no brush.
        """
        root = _parsed(config)
        control = next(root.iter("BrushLabels"), None)
        if control is None:
            raise InputError(
                "the project takes no masks", why="its configuration has no BrushLabels", fix="add BrushLabels to it"
            )
        to = control.get("toName", "")
        shown = next((each for each in root.iter() if each.get("name") == to), None)
        labels = tuple(label.get("value", "") for label in control.iter("Label"))
        key = "" if shown is None else shown.get("value", "").removeprefix("$")
        return cls(name=control.get("name", ""), to=to, key=key, labels=labels)


def _parsed(config: str) -> ElementTree.Element:
    if "<!DOCTYPE" in config.upper():  # in which entities could be defined that grow without end
        raise InputError("the configuration cannot be read", why="it has a document type", fix="leave that out")
    try:
        return ElementTree.fromstring(config)
    except ElementTree.ParseError as error:
        raise InputError(
            "the configuration cannot be read", why=str(error), fix="see the project's settings"
        ) from error


class Annotator:
    """Answers the requests; its methods wait for a process that computes.

    Args:
        media: The folder below which all files lie.
        worker: The process.
    """

    def __init__(self, media: Path, worker: TaskWorker) -> None:
        self._media, self._worker = media, worker

    def predict(self, task: dict[str, Any], *, drawn: list[dict[str, Any]], config: str) -> list[dict[str, Any]]:
        """Return the regions that a task gets for what was drawn on it; none if nothing was.

        Raises:
            CovosError: The file cannot be found or read, or what was drawn makes no sense.
        """
        if not drawn:
            return []
        if any(each.get("type") == "videorectangle" for each in drawn):
            return self._follow(task, drawn)
        return self._mask(task, drawn, brush=Brush.of(config))

    def _mask(self, task: dict[str, Any], drawn: list[dict[str, Any]], *, brush: Brush) -> list[dict[str, Any]]:
        address = str(task.get(brush.key, ""))
        video, info = self._open(address)
        points, box, label = list[Point](), None, ""
        for each in map(_Drawn.model_validate, drawn):
            value = each.value
            if each.type == "keypointlabels":
                column, row = min(value.x, 99.999) * info.width / 100, min(value.y, 99.999) * info.height / 100
                points.append(Point(x=max(0.0, column), y=max(0.0, row), positive=each.positive))
                label = (value.keypointlabels or [label])[0]
            elif each.type == "rectanglelabels":
                box = _in_pixels(value, info=info)
                label = (value.rectanglelabels or [label])[0]
        # The box says which thing, the points what of it.
        said = (*([] if box is None else [Said(box=box)]), *([Said(points=tuple(points))] if points else []))
        if not said:
            raise UsageError("nothing was pointed at", why="there is no point and no box", fix="use a smart tool")
        mask, _ = self._click(address, Click(video=video, seeds=(), known=None, frame=0, object=1, said=said))
        name = label if label in brush.labels else next(iter(brush.labels), label)
        return [
            {
                "id": secrets.token_hex(5),
                "from_name": brush.name,
                "to_name": brush.to,
                "type": "brushlabels",
                "original_width": info.width,
                "original_height": info.height,
                "image_rotation": 0,
                "readonly": False,
                "value": {"format": "rle", "rle": list(pack(mask)), "brushlabels": [name]},
            }
        ]

    def _follow(self, task: dict[str, Any], drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
        address = next((str(each) for name, each in task.items() if name.startswith("video")), "")
        video, info = self._open(address)
        boxes = [each for each in drawn if each.get("type") == "videorectangle"]
        values = [_Drawn.model_validate(each).value for each in boxes]
        shown = [
            max((key for key in value.sequence if key.enabled), key=lambda key: key.frame, default=None)
            for value in values
        ]
        seeds = tuple[SeedMask, ...]()
        first: dict[int, int] = {}
        for number, (value, key) in enumerate(zip(values, shown, strict=True), 1):
            if key is not None:
                start = _Frames(value, info).index(key.frame)
                box = _in_pixels(key, info=info)
                said = (Said(box=box),)
                click = Click(video=video, seeds=seeds, known=None, frame=start, object=number, said=said)
                _, seeds = self._click(address, click)
                first[number] = key.frame
        if not seeds:
            return []
        begin = min(seed.frame for seed in seeds)
        last = max(seed.frame for seed in seeds)
        count = min(last - begin + MOST_FRAMES, info.frame_count - begin)
        parts = (("forward", begin, count),)
        answers = self._worker.run(Track(video=video, seeds=seeds, parts=parts), name=address)
        masks = {each.index: each for each in answers if isinstance(each, FrameMask)}
        return [
            {
                **region,
                "origin": "manual",
                "value": {
                    **region["value"],
                    "sequence": sorted(
                        [
                            *region["value"]["sequence"],
                            *_keys(
                                masks,
                                number,
                                within=_between(value, first[number], info),
                                frames=_Frames(value, info),
                                info=info,
                            ),
                        ],
                        key=lambda key: key["frame"],
                    ),
                },
            }
            for number, (region, value) in enumerate(zip(boxes, values, strict=True), 1)
            if number in first
        ]

    def _open(self, address: str) -> tuple[Video, SourceInfo]:
        video = Video(path=str(file_of(address, media=self._media)))
        info = self._worker.last(Probe(video=video), name=address)
        assert isinstance(info, SourceInfo)
        return video, info

    def _click(self, address: str, click: Click) -> tuple[RLE, tuple[SeedMask, ...]]:
        answer = self._worker.last(click, name=address)
        assert isinstance(answer, Clicked), "a click gives a mask or an error"
        return answer.mask, answer.seeds


class _Frames:
    """The frames of a video as Label Studio counts them: from 1, by a rate that need not be the video's own."""

    def __init__(self, value: _Value, info: SourceInfo) -> None:
        self._count = value.frames_count or info.frame_count
        self._own = info.frame_count

    def index(self, frame: int) -> int:
        """Return the index of the frame that is shown then."""
        return min(self._own - 1, floor((frame - 1) * self._own / self._count + 1e-6))

    def after(self, frame: int) -> range:
        """Return the numbers of the frames that come after one."""
        return range(frame + 1, self._count + 1)


def _between(value: _Value, first: int, info: SourceInfo) -> range:
    """Return the numbers of the frames between a key and the one after it, which ends the box: it stays the user's."""
    end = min((key.frame for key in value.sequence if key.frame > first), default=None)
    every = _Frames(value, info).after(first)
    return every if end is None else range(every.start, min(end, every.stop))


def _keys(
    masks: dict[int, FrameMask], number: int, *, within: range, frames: _Frames, info: SourceInfo
) -> Iterator[dict[str, Any]]:
    """Yield a key for each frame on which an object was followed; where it is lost, one that ends it."""
    rate = float(info.frame_rate or 25)
    was_there = True
    for frame in within:
        mask = masks.get(index := frames.index(frame))
        if mask is None:
            return
        is_there = number in mask.objects
        if is_there or was_there:
            left, top, width, height = mask.objects[number].bbox if is_there else (0, 0, 0, 0)
            yield {
                "frame": frame,
                "enabled": is_there,
                "rotation": 0,
                "x": 100 * left / info.width,
                "y": 100 * top / info.height,
                "width": 100 * width / info.width,
                "height": 100 * height / info.height,
                "time": index / rate,
            }
        was_there = is_there


def _in_pixels(value: _Value | _Key, *, info: SourceInfo) -> tuple[float, float, float, float]:
    left, top = max(0.0, value.x), max(0.0, value.y)
    right, bottom = min(100.0, value.x + value.width), min(100.0, value.y + value.height)
    return left * info.width / 100, top * info.height / 100, right * info.width / 100, bottom * info.height / 100


def file_of(address: str, *, media: Path) -> Path:
    """Return the file that an address of Label Studio means: a local file, an upload, or a path below the folder.

    Raises:
        CovosError: It is none below the folder.
    """
    parts = urlsplit(address)
    path = unquote(parts.path)
    if path.startswith("/data/local-files"):
        path = parse_qs(parts.query).get("d", [""])[0]
    elif path.startswith("/data/"):
        path = path.removeprefix("/data/")
    elif parts.scheme or parts.netloc:
        raise InputError(
            f"{address[:200]!r} is not fetched",
            why="this server opens no addresses",
            fix="give Label Studio the folder as local storage, and this server the same one with --media-root",
        )
    return file_below(media, path.lstrip("/"))


def make_backend(annotator: Annotator, *, media: Path) -> FastAPI:
    """Make the server that Label Studio asks.

    Args:
        annotator: Answers it.
        media: The folder of all files, which no message names.
    """
    app = FastAPI(title="covos for Label Studio", version=__version__, docs_url=None, redoc_url=None)

    @app.exception_handler(CovosError)
    def _refused(_: Request, error: CovosError) -> Response:
        return problem_of(in_public(error, [str(media)], name="a file of the server"))

    app.exception_handler(RequestValidationError)(misspelt)

    waiting = Waiting()

    @app.get("/")
    @app.get("/health")
    async def health() -> dict[str, str]:
        """Tell that it is alive."""
        return {"status": "UP", "model_class": MODEL}

    @app.get("/metrics")
    def metrics() -> dict[str, str]:
        """Tell nothing: Label Studio asks for it."""
        return {}

    @app.post("/setup")
    def setup(asked: _Set) -> dict[str, str]:
        """Tell the version of the model; no project needs anything of its own."""
        return {"model_version": VERSION}

    @app.post("/webhook", status_code=201)
    def webhook() -> dict[str, str]:
        """Take news of annotations; nothing is trained on them."""
        return {}

    @app.post("/predict")
    async def predict(asked: _Asked) -> dict[str, list[dict[str, Any]]]:
        """Answer what was drawn on a task with masks, or with boxes that follow."""
        drawn = [] if asked.params.context is None else asked.params.context.result
        results = []
        for task in asked.tasks:
            found = await waiting.run(annotator.predict, task.data, drawn=drawn, config=asked.label_config)
            results.append({"model_version": VERSION, "score": 1.0 if found else 0.0, "result": found})
        return {"results": results}

    return app


def make_annotator(media: Path, *, plan: Plan) -> tuple[Annotator, TaskWorker]:
    """Make what answers, and the process that computes for it."""
    worker = TaskWorker(plan, root=media)
    return Annotator(media, worker), worker
