"""CVAT's serverless functions: calls as nuclio hands them on, masks read by CVAT's own decoder."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from cvat_sdk.masks import decode_mask, encode_mask

from covos.serve.cvat import handler, init_context

pytestmark = pytest.mark.usefixtures("small_networks")
HEIGHT, WIDTH = 48, 64


@pytest.fixture(scope="module")
def context(small_networks: None) -> SimpleNamespace:
    context = SimpleNamespace(user_data=SimpleNamespace(), Response=SimpleNamespace)
    init_context(context)
    return context


@pytest.fixture
def pictures(make_clip: Callable[..., Path]) -> list[str]:
    """Frames as CVAT sends them: a square goes two pixels to the right in each, from columns 0 to 15, rows 12 to 27."""
    sent = []
    with av.open(str(make_clip())) as video:
        for frame in video.decode(video=0):
            file = io.BytesIO()
            frame.to_image().save(file, "PNG")
            sent.append(base64.b64encode(file.getvalue()).decode())
    return sent


def call(context: SimpleNamespace, *, status: int = 200, **body: Any) -> Any:
    answer = handler(context, SimpleNamespace(body=body))
    assert answer.status_code == status, answer.body
    return json.loads(answer.body)


def square(index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[12:28, 2 * index : 2 * index + 16] = True
    return mask


def overlap(one: np.ndarray, two: np.ndarray) -> float:
    return float((one & two).sum() / (one | two).sum())


def test_a_mask_and_a_rectangle_are_followed(context: SimpleNamespace, pictures: list[str]) -> None:
    """Two shapes of one thing, which do not stand in each other's way."""
    mask = {"type": "mask", "points": encode_mask(square(2))}
    box = {"type": "rectangle", "points": [4, 12, 20, 28]}
    told = call(context, image=pictures[2], shapes=[mask, box], states=[])
    assert told["shapes"] == [mask, box]
    first = told["states"]
    for index in (3, 4, 5):
        told = call(context, image=pictures[index], shapes=[None, None], states=told["states"])
        drawn, framed = told["shapes"]
        there = decode_mask(drawn["points"], image_width=WIDTH, image_height=HEIGHT)
        assert overlap(there, square(index)) > 0.7
        assert framed["points"] == pytest.approx([2 * index, 12, 2 * index + 16, 28], abs=3)
    again = call(context, image=pictures[3], shapes=[None], states=first[:1])
    there = decode_mask(again["shapes"][0]["points"], image_width=WIDTH, image_height=HEIGHT)
    assert overlap(there, square(3)) > 0.7, "a track goes on from any of its states"


def test_bare_boxes_of_older_functions(context: SimpleNamespace, pictures: list[str]) -> None:
    told = call(context, image=pictures[0], shapes=[[0, 12, 16, 28]], states=[])
    told = call(context, image=pictures[1], shapes=[], states=told["states"])
    assert told["shapes"][0] == pytest.approx([2, 12, 18, 28], abs=2)


def test_clicks(context: SimpleNamespace, pictures: list[str]) -> None:
    told = call(context, image=pictures[0], pos_points=[[6, 18]], neg_points=[[40, 40]], obj_bbox=[])
    assert overlap(np.array(told["mask"], bool), square(0)) > 0.8
    told = call(context, image=pictures[0], pos_points=[], neg_points=[], obj_bbox=[[0, 12], [16, 28]])
    assert overlap(np.array(told["mask"], bool), square(0)) > 0.8


def test_calls_that_make_no_sense(context: SimpleNamespace, pictures: list[str]) -> None:
    call(context, status=400, image="AAAA", pos_points=[[1, 1]])
    gone = call(context, status=400, image=pictures[0], shapes=[None], states=[{"s": "ab"}])
    assert "begin it anew" in gone["message"]
    call(context, status=400, shapes=[])
    call(context, status=400, image=pictures[0], pos_points=[])
    for shape in (None, {"type": "polygon", "points": [1, 2]}, {"type": "mask", "points": [1, 2, 3]}, [1, 2, "x", 4]):
        call(context, status=400, image=pictures[0], shapes=[shape], states=[])
    outside = {"type": "mask", "points": [0, 4, 63, 47, 64, 48]}
    assert "CVAT" in call(context, status=400, image=pictures[0], shapes=[outside], states=[])["message"]
