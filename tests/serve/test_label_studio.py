"""Label Studio's machine learning backend: requests as Label Studio sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from covos.core.errors import CovosError
from covos.serve.guard import Guard
from covos.serve.label_studio import file_of
from serve.serving import QUICK, serving

CONFIG = """<View>
  <Image name="image" value="$picture" zoom="true"/>
  <BrushLabels name="tag" toName="image"><Label value="ball"/><Label value="box"/></BrushLabels>
  <KeyPointLabels name="dot" toName="image" smart="true"><Label value="box"/></KeyPointLabels>
</View>"""
HEIGHT, WIDTH = 48, 64


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def client(media: Path) -> Iterator[httpx.Client]:
    with (
        serving("--label-studio", "--media-root", str(media), program=QUICK) as address,
        httpx.Client(base_url=address, timeout=100) as client,
    ):
        yield client


def ask(client: httpx.Client, data: dict[str, str], drawn: list[dict[str, Any]]) -> Any:
    """What comes of what an annotator has drawn on a task."""
    asked = {
        "tasks": [{"id": 7, "data": data}],
        "project": "3.17",
        "label_config": CONFIG,
        "params": {"login": None, "password": None, "context": {"result": drawn}},
    }
    answer = client.post("/predict", json=asked)
    assert answer.status_code == 200, answer.text
    (prediction,) = answer.json()["results"]
    return prediction["result"]


def dot(x: float, y: float, *, positive: bool = True) -> dict[str, Any]:
    """A smart key point, in percent."""
    value = {"x": 100 * x / WIDTH, "y": 100 * y / HEIGHT, "width": 0.3, "keypointlabels": ["box"]}
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"id": "k", "from_name": "dot", "to_name": "image", "type": "keypointlabels", "value": value, **size} | {
        "is_positive": positive
    }


def test_what_label_studio_asks_first(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "UP", "model_class": "Covos"}
    assert client.get("/").json()["status"] == "UP"
    assert client.get("/metrics").json() == {}
    setting = {"project": "3.17", "schema": CONFIG, "hostname": "http://localhost:8080", "access_token": "t"}
    assert client.post("/setup", json=setting).json()["model_version"].startswith("covos-")
    assert client.post("/webhook", json={"action": "ANNOTATION_CREATED"}).status_code == 201
    nothing = {"tasks": [{"id": 1, "data": {"picture": "x"}}], "label_config": CONFIG, "params": {}}
    assert client.post("/predict", json=nothing).json()["results"][0]["result"] == []


def test_points_become_a_brush_mask(client: httpx.Client, media: Path, make_clip: Callable[..., Path]) -> None:
    from label_studio_converter.brush import decode_rle

    with av.open(str(make_clip())) as video:
        next(video.decode(video=0)).to_image().save(media / "one.png")  # a square at columns 0 to 15, rows 12 to 27
    picture = {"picture": "/data/local-files/?d=one.png"}
    (region,) = ask(client, picture, [dot(6, 18), dot(40, 40, positive=False)])
    assert (region["from_name"], region["to_name"], region["type"]) == ("tag", "image", "brushlabels")
    assert (region["original_width"], region["original_height"]) == (WIDTH, HEIGHT)
    assert region["value"]["brushlabels"] == ["box"]
    mask = decode_rle(region["value"]["rle"]).reshape(HEIGHT, WIDTH, 4)[..., 3] > 0
    square = np.zeros((HEIGHT, WIDTH), bool)
    square[12:28, :16] = True
    assert (mask & square).sum() / (mask | square).sum() > 0.8
    box = {"x": 0, "y": 25, "width": 25, "height": 100 * 16 / HEIGHT, "rectanglelabels": ["ball"]}
    (region,) = ask(client, picture, [{"type": "rectanglelabels", "value": box}, dot(6, 18)])
    assert decode_rle(region["value"]["rle"]).reshape(HEIGHT, WIDTH, 4)[20, 8, 3]


def test_a_box_is_followed(client: httpx.Client, media: Path, make_clip: Callable[..., Path]) -> None:
    """By frames that Label Studio counts from 1, at a rate of its own: twice the clip's."""
    (media / "upload").mkdir()
    make_clip().rename(media / "upload" / "shot.mp4")
    key = {"frame": 5, "enabled": True, "rotation": 0, "time": 0.08}
    key |= {"x": 100 * 4 / WIDTH, "y": 25.0, "width": 25.0, "height": 100 * 16 / HEIGHT}
    value = {"framesCount": 16, "duration": 0.32, "labels": ["box"], "sequence": [key]}
    drawn = {"id": "r1", "type": "videorectangle", "from_name": "box", "to_name": "video", "value": value}
    (region,) = ask(client, {"video": "http://localhost:8080/data/upload/shot.mp4"}, [drawn])
    assert {name: region[name] for name in ("id", "type", "origin")} == {
        "id": "r1",
        "type": "videorectangle",
        "origin": "manual",
    }
    first, *fresh = region["value"]["sequence"]
    assert first == key
    assert [each["frame"] for each in fresh] == list(range(6, 17))
    for each in fresh:
        index = (each["frame"] - 1) // 2
        assert each["x"] * WIDTH / 100 == pytest.approx(2 * index, abs=2)
        assert each["time"] == pytest.approx(index / 25)
    # A key that ends the box stays the user's, and no frame has two.
    ended = {**value, "sequence": [key, {**key, "frame": 9, "enabled": False}]}
    (region,) = ask(client, {"video": "/data/upload/shot.mp4"}, [{**drawn, "value": ended}])
    frames = [(each["frame"], each["enabled"]) for each in region["value"]["sequence"]]
    assert frames == [(5, True), (6, True), (7, True), (8, True), (9, False)]


def test_files_lie_below_the_folder(client: httpx.Client, media: Path) -> None:
    Image.new("RGB", (8, 8)).save(media / "a b.png")
    assert file_of("/data/local-files/?d=a%20b.png", media=media) == media / "a b.png"
    assert file_of("a%20b.png", media=media) == media / "a b.png"
    for address in ("/data/../../etc/passwd", "/data/local-files/?d=/etc/passwd", "http://other/x.png", "s3://b/x", ""):
        with pytest.raises(CovosError):
            file_of(address, media=media)
    asked = {"tasks": [{"data": {"picture": "none.png"}}], "label_config": CONFIG}
    asked |= {"params": {"context": {"result": [dot(1, 1)]}}}
    answer = client.post("/predict", json=asked)
    assert answer.status_code == 404
    assert str(media) not in answer.text
    bomb = "<!DOCTYPE a [<!ENTITY b 'c'>]><View>&b;</View>"
    assert client.post("/predict", json=asked | {"label_config": bomb}).status_code == 422
    assert client.post("/predict", json=asked | {"label_config": "<View/>"}).status_code == 422
    assert client.post("/predict", json={"tasks": 1}).status_code == 422


def test_the_token_may_be_a_password() -> None:
    """Label Studio knows no other way to send it."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def asked(path: str, **more: Any) -> int:
        guard = Guard(app, token="word", guarded="/", largest_upload=0)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://localhost") as client:
            return (await client.post(path, **more)).status_code

    assert asyncio.run(asked("/predict")) == 401
    assert asyncio.run(asked("/predict", auth=("any", "word"))) == 200
    assert asyncio.run(asked("/predict", auth=("word", "any"))) == 401
    assert asyncio.run(asked("/predict", headers={"authorization": "Basic ?"})) == 401
    assert asyncio.run(asked("/health")) == 200
