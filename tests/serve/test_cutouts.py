"""Single frames as downloads will have them, and the mattes that downloads leave behind."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pytest

from covos.core.types import Box
from covos.masks import RLE, decode, encode
from covos.masks.frame_mask import FrameMask, objects_of
from covos.masks.soft import SoftMask
from covos.prompts.values import RegionPrompt
from covos.serve.mattes import Mattes
from serve.test_api import PATIENCE, upload, wait

FRAME = 3


@pytest.fixture(scope="module")
def client(started: tuple[str, Path]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=started[0], timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def job(client: httpx.Client, tmp_path: Path) -> Iterator[str]:
    """A clip of six grey frames, on one of which two squares are shown as objects."""
    clip = tmp_path / "squares.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": "5"})
        stream.height, stream.width, stream.pix_fmt = 48, 96, "yuv420p"
        for index in range(6):
            image = np.full((48, 96, 3), 90, np.uint8)
            image[12:36, 8 + index : 32 + index] = (230, 200, 40)
            image[12:36, 60:84] = (40, 60, 220)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    identity = upload(client, clip)["id"]
    assert wait(client, identity)["state"] == "done"
    for number, left in ((1, 8 + FRAME), (2, 60)):
        drawn = np.zeros((48, 96), np.bool_)
        drawn[12:36, left : left + 24] = True
        asked = {"frame": FRAME, "object": number, "mask": encode(drawn).to_coco()}
        if number == 2:
            del asked["object"]
        assert client.post(f"/api/jobs/{identity}/prompts", json=asked).status_code == 200
    yield identity
    client.delete(f"/api/jobs/{identity}")


def picture(content: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return cv2.cvtColor(found, cv2.COLOR_BGRA2RGBA)


def cutout(client: httpx.Client, job: str, **asked: Any) -> np.ndarray:
    answer = client.get(f"/api/jobs/{job}/frames/{FRAME}/cutout", params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return picture(answer.content)


def downloaded(client: httpx.Client, job: str, **asked: Any) -> np.ndarray:
    answer = client.post(f"/api/jobs/{job}/results/rgba", json=asked)
    assert answer.status_code == 202, answer.text
    found = wait(client, job)["results"]["rgba"]
    assert found["state"] == "ready", found
    with zipfile.ZipFile(io.BytesIO(client.get(f"/api/jobs/{job}/results/rgba").content)) as archive:
        return picture(archive.read(sorted(name for name in archive.namelist() if name.endswith(".png"))[FRAME]))


def same(one: np.ndarray, other: np.ndarray) -> None:
    """The same opacity; and the same colours where there is enough of them to be told."""
    assert np.array_equal(one[..., 3], other[..., 3])
    seen = one[..., 3] > 100
    assert np.abs(one[seen].astype(int) - other[seen]).max() <= 2


def test_a_frame_is_shown_as_it_is_downloaded(client: httpx.Client, job: str) -> None:
    edges = {"grow": 2, "feather": 4}
    assert client.patch(f"/api/jobs/{job}/edges", json=edges).status_code == 200
    shown = cutout(client, job)
    assert set(np.unique(shown[..., 3])) - {0, 255}, "its edge is soft"
    same(shown, downloaded(client, job))
    small = cutout(client, job, w=48)
    assert small.shape == (24, 48, 4)
    assert np.abs(small[12, 9].astype(int) - shown[24, 18]).max() <= 8
    for index in (-1, 99):
        for address in (f"frames/{index}", f"frames/{index}/cutout"):
            assert client.get(f"/api/jobs/{job}/{address}").status_code == 404
    assert client.get(f"/api/jobs/{job}/frames/f2/cutout").status_code == 200


def test_an_object_that_is_hidden_is_not_in_it(client: httpx.Client, job: str) -> None:
    whole = cutout(client, job)
    assert whole[24, 20, 3] > 200
    assert whole[24, 72, 3] > 200
    client.patch(f"/api/jobs/{job}/objects/2", json={"hidden": True})
    rest = cutout(client, job)
    assert rest[24, 20, 3] > 200
    assert rest[24, 72, 3] == 0


def test_a_matte_that_a_download_found_is_kept_for_what_comes_after_it(
    client: httpx.Client, job: str, started: tuple[str, Path]
) -> None:
    plain, looked = cutout(client, job), cutout(client, job, matte=True)
    assert not np.array_equal(plain, looked)
    assert np.array_equal(plain, cutout(client, job)), "a look alone does not decide how downloads are made"

    first = downloaded(client, job, matte=True)
    kept = started[1] / "clips" / job / "mattes.jsonl"
    found = kept.read_bytes()
    assert len(found.splitlines()) == 6
    same(cutout(client, job), first)
    assert np.array_equal(cutout(client, job, matte=False), plain)

    # An edit of one frame takes away the matte of that frame alone; an undo brings it back.
    drawn = np.zeros((48, 96), np.bool_)
    drawn[4:20, 40:50] = True
    prompt = {"frame": FRAME, "object": 1, "mask": encode(drawn).to_coco()}
    assert client.post(f"/api/jobs/{job}/prompts", json=prompt).status_code == 200
    shown = cutout(client, job)
    assert shown[12, 45, 3] > 100
    assert np.array_equal(shown, cutout(client, job, matte=True)), "the other frames have one: a download would find it"
    assert client.post(f"/api/jobs/{job}/undo").status_code == 200
    assert np.array_equal(downloaded(client, job), first)
    assert kept.read_bytes() == found, "nothing was looked for again"


@pytest.mark.parametrize("matte", [False, True])
def test_all_but_the_subject_is_shown_as_it_is_downloaded(client: httpx.Client, job: str, matte: bool) -> None:
    whole = downloaded(client, job, matte=matte, composition={"invert": True})
    subject, rest = (cutout(client, job, matte=matte, invert=invert) for invert in (False, True))
    same(rest, whole)
    assert np.abs(subject[..., 3].astype(int) + rest[..., 3] - 255).max() <= 1
    client.patch(f"/api/jobs/{job}/objects/2", json={"hidden": True})
    shown = cutout(client, job, matte=matte, invert=True)
    assert shown[24, 20, 3] < 50, "this one is kept out"
    assert shown[24, 72, 3] > 200, "and what is hidden is in the rest"


def test_a_frame_without_objects_is_empty(client: httpx.Client, job: str) -> None:
    for number in (2, 1):
        client.delete(f"/api/jobs/{job}/objects/{number}")
    assert cutout(client, job)[..., 3].max() == 0, "nothing is cut out"
    assert cutout(client, job, invert=True)[..., 3].min() == 255, "and all is left"


def mask(labels: np.ndarray) -> FrameMask:
    return FrameMask(
        index=4,
        stem="00004",
        pts=4,
        time_base=Fraction(1, 25),
        status="ok",
        confidence=1.0,
        size=labels.shape,
        objects=objects_of(labels),
    )


def test_a_matte_belongs_to_its_masks_and_regions(tmp_path: Path) -> None:
    labels = np.zeros((6, 8), np.uint8)
    labels[1:4, 2:6] = 1
    one = mask(labels)
    matte = SoftMask.of(np.full((6, 8), 0.25, np.float32), labels > 0)
    file = tmp_path / "mattes.jsonl"
    region = (RegionPrompt(role="exclude", box=Box(x0=0, y0=0, x1=3, y1=3)),)
    Mattes(file).keep({4: matte}, masks={4: one}, regions={4: region})
    known = Mattes(file)
    assert known.of(one, region) == matte
    assert known.of(one, ()) is None
    assert known.of(replace(one, soft=SoftMask.of(np.full((6, 8), 0.5, np.float32), labels > 0)), region) is None
    other = labels.copy()
    other[0, 0] = 1
    assert known.of(mask(other), region) is None
    assert known.of(replace(one, index=5), region) is None
    known.keep({4: matte}, masks={4: one}, regions={4: ()})
    with file.open("a") as stream:
        stream.write('{"index": 5, "of"')  # a killed server was writing
    again = Mattes(file)
    assert again.of(one, ()) == matte
    for index in (6, 7):  # the first of these ends the broken line
        again.keep({index: matte}, masks={index: replace(one, index=index)}, regions={index: ()})
    again.forget()
    assert again.of(replace(one, index=7), ()) == matte
    assert Mattes(tmp_path / "none.jsonl").of(one, ()) is None


def test_a_hole_that_pops_up_is_filled_as_in_the_download(client: httpx.Client, job: str) -> None:
    for frame in range(FRAME - 2, FRAME + 3):
        drawn = np.zeros((48, 96), np.bool_)
        drawn[12:36, 8:32] = True
        drawn[20:28, 16:24] = frame != FRAME
        asked = {"frame": frame, "object": 1, "mask": encode(drawn).to_coco()}
        assert client.post(f"/api/jobs/{job}/prompts", json=asked).status_code == 200
    assert cutout(client, job, matte=False)[24, 20, 3] == 0
    assert client.patch(f"/api/jobs/{job}/edges", json={"fill_holes": 20}).status_code == 200
    shown = cutout(client, job, matte=False)
    assert shown[24, 20, 3] == 255, "it has 64 pixels, and none before and after"
    same(shown, downloaded(client, job, matte=False))
    masks = client.get(f"/api/jobs/{job}/masks", params={"start": FRAME, "stop": FRAME + 1}).json()["frames"]
    assert [each["index"] for each in masks] == [FRAME]
    assert decode(RLE.from_coco({"size": [48, 96], "counts": masks[0]["objects"][0]["counts"]}))[24, 20]
