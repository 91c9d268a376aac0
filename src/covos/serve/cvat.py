"""CVAT's serverless functions, as nuclio calls them: one makes masks of clicks, one follows objects.

A function's ``main.py`` is one line: ``from covos.serve.cvat import handler, init_context``. CVAT sends one picture a
call and gives back what it got of each object before. So the pictures and masks that a track goes on from are kept
here, and CVAT is given a ticket for them.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from covos.core.errors import CovosError, InputError, UsageError
from covos.core.types import ImageArray, MaskArray
from covos.formats.cvat import rows_of
from covos.masks import RLE, decode, encode
from covos.media.inputs import open_input
from covos.model import Model, load_model

KEPT = 512
"""Steps of tracks that are remembered: each is a picture as CVAT sent it, and a mask."""
_TICKET = "covos"
Kind: TypeAlias = Literal["bare", "rectangle", "mask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """An object on a picture; the picture as it was sent, which is small."""

    picture: bytes
    mask: RLE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Track:
    """An object as it was shown first and as it was seen last; ``kind`` is how CVAT draws it."""

    kind: Kind
    first: _Step
    last: _Step


class Functions:
    """The functions of one model. Calls come one after another; those from several threads wait for each other.

    Args:
        model: Makes and follows masks.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._tracks: OrderedDict[str, _Track] = OrderedDict()

    def interact(
        self,
        picture: bytes,
        *,
        positive: Sequence[Sequence[float]] = (),
        negative: Sequence[Sequence[float]] = (),
        box: Sequence[Sequence[float]] = (),
    ) -> MaskArray:
        """Return the mask of the thing at some points or in a box, H x W bool.

        Args:
            picture: A JPEG or PNG.
            positive: Places (x, y) on the thing.
            negative: Places beside it.
            box: Its corners, left top and right bottom; empty if there is none.

        Raises:
            CovosError: The picture cannot be read, or nothing is shown on it.
        """
        with self._lock, self._model.session(image_of(picture)) as session:
            made = None
            if box:
                made = session.add_box(0, 1, box=[float(each) for corner in box for each in corner])
            if positive or negative:
                points = [(float(x), float(y)) for x, y in (*positive, *negative)]
                made = session.add_points(0, 1, points=points, labels=[1] * len(positive) + [0] * len(negative))
            if made is None:
                raise UsageError("nothing is shown", why="there are no points and no box", fix="click on the object")
            return np.asarray(made.mask)

    def track(
        self, picture: bytes, shapes: Sequence[Any], states: Sequence[Any]
    ) -> tuple[list[Any], list[dict[str, str]]]:
        """Follow objects to a picture, or begin with those that are shown on it.

        Args:
            picture: A JPEG or PNG.
            shapes: For each object its shape on the picture to begin with it; None, or anything with a state, to go on.
            states: What was returned for each object on the picture before; empty to begin.

        Returns:
            The shape of each object, None where it is lost, and its new state.

        Raises:
            CovosError: The picture or a shape cannot be read, or a state is of another function, or too old.
        """
        with self._lock:
            if not states:
                fresh = [self._begin(picture, shape) for shape in shapes]
                return list(shapes), [self._keep(track) for track in fresh]
            known = [self._known(state) for state in states]
            found = self._follow(picture, known)
            moved = [
                track
                if rle is None
                else _Track(kind=track.kind, first=track.first, last=_Step(picture=picture, mask=rle))
                for track, rle in zip(known, found, strict=True)
            ]
            drawn = [
                None if rle is None else shape_of(rle, kind=track.kind) for track, rle in zip(known, found, strict=True)
            ]
            return drawn, [self._keep(track) for track in moved]

    def _begin(self, picture: bytes, shape: Any) -> _Track:
        kind, numbers = _read_shape(shape)
        image = image_of(picture)
        if kind == "mask":
            rle = mask_from(numbers, size=(image.shape[0], image.shape[1]))
        else:
            with self._model.session(image) as session:
                rle = encode(np.asarray(session.add_box(0, 1, box=numbers).mask))
        step = _Step(picture=picture, mask=rle)
        return _Track(kind=kind, first=step, last=step)

    def _follow(self, picture: bytes, tracks: Sequence[_Track]) -> list[RLE | None]:
        """Return the masks on the next picture; None for an object that is lost."""
        image = image_of(picture)
        found: dict[int, RLE] = {}
        for members in _groups(tracks):
            first, last = (each.picture for each in (tracks[members[0]].first, tracks[members[0]].last))
            before = [first] if first == last else [first, last]
            images = [image_of(each) for each in before]
            if any(each.shape != image.shape for each in images):
                raise UsageError(
                    "the picture has another size than the one before",
                    why=f"{image.shape[1]} x {image.shape[0]} after {images[0].shape[1]} x {images[0].shape[0]}",
                    fix="begin a track anew there",
                )
            with self._model.session([*images, image]) as session:
                for identity, number in enumerate(members, 1):
                    for place, step in enumerate((tracks[number].first, tracks[number].last)[: len(before)]):
                        session.add_mask(place, identity, mask=decode(step.mask))
                *_, result = session.stream("forward", start=len(images) - 1, limit=2)
            for identity, number in enumerate(members, 1):
                mask = result.labels == identity
                if mask.any():
                    found[number] = encode(mask)
        return [found.get(number) for number in range(len(tracks))]

    def _keep(self, track: _Track) -> dict[str, str]:
        ticket = secrets.token_hex(16)
        self._tracks[ticket] = track
        while len(self._tracks) > KEPT:
            self._tracks.popitem(last=False)
        return {_TICKET: ticket}

    def _known(self, state: Any) -> _Track:
        track = self._tracks.get(str(state.get(_TICKET))) if isinstance(state, Mapping) else None
        if track is None:
            raise InputError(
                "the track is not known", why="the function was started again, or it is long ago", fix="begin it anew"
            )
        return track


def _groups(tracks: Sequence[_Track]) -> list[list[int]]:
    """Return the objects that can be followed together: seen on the same pictures, where they share no pixel."""
    groups: list[list[int]] = []
    for number, track in enumerate(tracks):
        for group in groups:
            if all(_fit(track, tracks[other]) for other in group):
                group.append(number)
                break
        else:
            groups.append([number])
    return groups


def _fit(one: _Track, two: _Track) -> bool:
    pairs = ((one.first, two.first), (one.last, two.last))
    return all(a.picture == b.picture and not (decode(a.mask) & decode(b.mask)).any() for a, b in pairs)


def image_of(picture: bytes) -> ImageArray:
    """Return the pixels of a picture file, H x W x 3 uint8 RGB; within the limits of `covos.core.limits`.

    Raises:
        SourceError: It cannot be read.
    """
    with open_input(picture) as source:
        return next(iter(source)).image


def mask_from(points: Sequence[float], *, size: tuple[int, int]) -> RLE:
    """Read a mask as CVAT writes it: runs row by row in a box, background first, then left, top, right and bottom.

    Raises:
        UsageError: It is damaged, or reaches out of a picture of (height, width).
    """
    whole = [int(each) for each in points]
    *runs, left, top, right, bottom = whole if len(whole) > 4 else (0, 0, 0, -1, -1)
    wide, high = right - left + 1, bottom - top + 1
    inside = 0 <= left <= right < size[1] and 0 <= top <= bottom < size[0]
    if not inside or min(runs) < 0 or sum(runs) != wide * high:
        raise UsageError(
            "a mask of CVAT cannot be read",
            why="its box lies outside the picture, or it has not as many pixels",
            fix="draw it again",
        )
    mask = np.zeros(size, np.bool_)
    values = np.arange(len(runs)) % 2 == 1
    mask[top : bottom + 1, left : right + 1] = np.repeat(values, runs).reshape(high, wide)
    return encode(mask)


def shape_of(rle: RLE, *, kind: Kind) -> Any:
    """Return a mask that is not empty as CVAT draws it: a mask, a rectangle, or four bare numbers."""
    (left, top, width, height), counts = rows_of(rle)
    if kind == "mask":
        return {"type": "mask", "points": [*counts, left, top, left + width - 1, top + height - 1]}
    corners = [left, top, left + width, top + height]
    return corners if kind == "bare" else {"type": "rectangle", "points": corners}


def _read_shape(shape: Any) -> tuple[Kind, list[float]]:
    kind, numbers = ("bare", shape) if isinstance(shape, list) else ("", None)
    if isinstance(shape, Mapping):
        kind, numbers = str(shape.get("type")), shape.get("points")
    if kind in {"bare", "rectangle", "mask"} and isinstance(numbers, list):
        plain = [float(each) for each in numbers if isinstance(each, int | float) and np.isfinite(each)]
        if len(plain) == len(numbers) and (kind == "mask" or len(plain) == 4):
            return kind, plain  # type: ignore[return-value] # it is one of the three
    raise UsageError("a shape cannot be followed", why=f"it is {kind or 'nothing'}", fix="use a mask or a rectangle")


def init_context(context: Any) -> None:
    """Load the model, once for a process of nuclio."""
    context.user_data.functions = Functions(load_model())


def handler(context: Any, event: Any) -> Any:
    """Answer a call of CVAT, as an interactor or as a tracker: the content of the call decides."""
    try:
        asked = event.body if isinstance(event.body, dict) else json.loads(event.body)
        answer = _answered(context.user_data.functions, asked)
        return _response(context, answer, status=200)
    except CovosError as error:
        return _response(context, {"message": f"{error.what}: {error.why}. {error.remedy.page}"}, status=400)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        return _response(context, {"message": f"the call cannot be read: {error!r}"}, status=400)


def _answered(functions: Functions, asked: Mapping[str, Any]) -> dict[str, Any]:
    picture = base64.b64decode(asked["image"])
    if "pos_points" in asked or "obj_bbox" in asked:
        mask = functions.interact(
            picture,
            positive=asked.get("pos_points") or (),
            negative=asked.get("neg_points") or (),
            box=asked.get("obj_bbox") or (),
        )
        return {"mask": mask.astype(int).tolist()}
    shapes, states = functions.track(picture, asked.get("shapes") or [], asked.get("states") or [])
    return {"shapes": shapes, "states": states}


def _response(context: Any, content: dict[str, Any], *, status: int) -> Any:
    return context.Response(body=json.dumps(content), headers={}, content_type="application/json", status_code=status)
