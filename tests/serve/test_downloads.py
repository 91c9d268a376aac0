"""Downloads with the options of `covos convert`, of a server that runs, and the files that may lie behind a subject."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pytest

from clips import write_clip
from covos.masks import encode
from hdr_clips import PQ
from hdr_clips import write as write_hdr
from serve.test_api import PATIENCE, upload, wait


@pytest.fixture(scope="module")
def client(started: tuple[str, Path]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=started[0], timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
def job(client: httpx.Client, started: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A clip of eight grey frames on which a square is shown as an object, beside whatever was found."""
    clip = tmp_path_factory.mktemp("downloads") / "grey.mp4"
    pictures = np.full((8, 48, 64, 3), 90, np.uint8)
    for index, image in enumerate(pictures):
        image[12:36, 8 + 2 * index : 32 + 2 * index] = (230, 200, 40)
    identity = upload(client, write_clip(clip, pictures, crf="5"))["id"]
    assert wait(client, identity)["state"] == "done"
    drawn = np.zeros((48, 64), np.bool_)
    drawn[12:36, 8:32] = True
    asked = {"frame": 0, "object": 1, "mask": encode(drawn).to_coco()}
    assert client.post(f"/api/jobs/{identity}/prompts", json=asked).status_code == 200
    yield identity
    client.delete(f"/api/jobs/{identity}")


def made(client: httpx.Client, job: str, name: str, asked: dict[str, Any]) -> bytes:
    answer = client.post(f"/api/jobs/{job}/results/{name}", json=asked)
    assert answer.status_code == 202, answer.text
    found = wait(client, job)["results"][name]
    assert found["state"] == "ready", found
    return client.get(f"/api/jobs/{job}/results/{name}").content


def first_picture(content: bytes, *, format: str = "rgb24") -> np.ndarray:
    with av.open(io.BytesIO(content)) as video:
        return next(video.decode(video=0)).to_ndarray(format=format)


def corner(content: bytes) -> list[int]:
    """The colour of the background, in the corner of the first frame."""
    return [int(each) for each in first_picture(content)[2, -3]]


def test_a_background_is_a_colour_a_file_of_the_server_or_an_upload(
    client: httpx.Client, job: str, started: tuple[str, Path]
) -> None:
    assert corner(made(client, job, "background", {"composition": {"background": "#2040c0"}})) == pytest.approx(
        [0x20, 0x40, 0xC0], abs=12
    )
    red = np.full((48, 64, 3), (0, 0, 220), np.uint8)
    assert cv2.imwrite(str(started[1] / "media" / "red.png"), red)
    named = {"composition": {"background": "red.png", "light_wrap": "1%", "shadow": True}}
    content = made(client, job, "background", named)
    assert corner(content)[0] > 150
    told = client.get(f"/api/jobs/{job}").json()["results"]["background"]["composition"]
    assert (told["background"], told["light_wrap"], told["shadow"]) == ("red.png", "1%", True)

    png = (started[1] / "media" / "red.png").read_bytes()
    kinds = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(png)), "Upload-Metadata": "filename cmVkLnBuZw=="}
    at = client.post("/api/uploads", headers=kinds).headers["location"]
    asked = {"composition": {"background": f"upload:{at.rsplit('/', 1)[1]}"}}
    early = client.post(f"/api/jobs/{job}/results/background", json=asked)
    assert early.status_code == 409
    sent = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert client.patch(at, content=png, headers=sent).status_code == 204
    for _ in range(2):  # it is the clip's own now
        assert corner(made(client, job, "background", asked))[0] > 150


@pytest.mark.parametrize(
    ("name", "asked", "status", "why"),
    [
        ("background", {"composition": {"background": "/etc/hostname"}}, 404, "is not there"),
        ("background", {"composition": {"background": "../clips"}}, 404, "is not there"),
        ("background", {"composition": {"background": "upload:../../etc"}}, 404, "no such upload"),
        ("background", {"composition": {"background": "letter.txt"}}, 422, "text file"),
        ("background", {"value": "/etc/hostname"}, 400, "composition.background"),
        ("background", {"composition": {"background": "#12345"}}, 404, "is not there"),
        ("background", {"composition": {"background": "banana"}}, 404, "'banana' is no colour, and as a file it is"),
        ("webm", {"composition": {"shadow": True}}, 400, "shadow"),
        ("webm", {"composition": {"background": "white"}}, 400, "background"),
        ("coco", {"matte": True}, 400, "hard edges"),
        ("matte", {"value": "12"}, 400, "8 or 16"),
        ("webm", {"compositions": {}}, 422, "compositions"),
        ("prores", {"composition": {"alpha": "thick"}}, 422, "alpha"),
    ],
)
def test_options_that_cannot_be_are_refused_in_words(
    client: httpx.Client, job: str, started: tuple[str, Path], name: str, asked: dict[str, Any], status: int, why: str
) -> None:
    (started[1] / "media" / "letter.txt").write_text("Dear editor")
    answer = client.post(f"/api/jobs/{job}/results/{name}", json=asked)
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert why in " ".join((said["title"], said["detail"], said["fix"]))
    assert str(started[1]) not in answer.text


def test_a_body_that_is_no_json_is_refused_in_a_whole_sentence(client: httpx.Client, job: str) -> None:
    kind = {"content-type": "application/json"}
    for address in ("/api/jobs", f"/api/jobs/{job}/prompts", f"/api/jobs/{job}/results/webm"):
        answer = client.post(address, content="{", headers=kind)
        assert answer.status_code == 422
        told = answer.json()["detail"]
        assert "it is not JSON" in told
        assert not told.startswith(":")


def test_a_matte_is_found_for_the_masks_of_now(client: httpx.Client, job: str) -> None:
    hard = first_picture(made(client, job, "ffv1", {"matte": False}), format="rgba")[..., 3]
    soft = first_picture(made(client, job, "ffv1", {"matte": True}), format="rgba")[..., 3]
    assert not np.array_equal(hard, soft)
    assert (soft[18:30, 14:26] > 200).all(), "the square is opaque inside"


def test_values_and_a_file_for_each_object(client: httpx.Client, job: str) -> None:
    formats = {each["name"]: each for each in client.get(f"/api/jobs/{job}/formats").json()["formats"]}
    assert [each["value"] for each in formats["matte"]["choices"]] == ["8", "16"]
    assert formats["matte"]["choices"][1]["bytes"] > formats["matte"]["choices"][0]["bytes"]
    assert [each["value"] for each in formats["matte-video"]["choices"]] == ["h264", "prores", "ffv1"]
    assert formats["prores"]["options"] == ["alpha", "each_object", "invert", "constant_rate", "sound"]
    assert formats["webm"]["soft"]
    assert formats["webm"]["video"]
    assert not formats["coco"]["soft"]
    assert not any("`" in each["title"] for each in formats.values())

    with zipfile.ZipFile(io.BytesIO(made(client, job, "matte", {"value": "16"}))) as archive:
        picture = cv2.imdecode(np.frombuffer(archive.read(archive.namelist()[0]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.dtype == np.uint16
    drawn = np.zeros((48, 64), np.bool_)
    drawn[2:8, 50:60] = True
    shown = {"frame": 0, "mask": encode(drawn).to_coco()}
    client.post(f"/api/jobs/{job}/prompts", json=shown)
    asked = {"composition": {"each_object": True, "alpha": "premultiplied"}}
    with zipfile.ZipFile(io.BytesIO(made(client, job, "ffv1", asked))) as archive:
        assert len([name for name in archive.namelist() if name.endswith(".mkv")]) == 2
    client.post(f"/api/jobs/{job}/undo")


def test_a_part_keeps_the_times_of_the_source_if_asked(client: httpx.Client, job: str) -> None:
    def begin(times: str) -> float:
        part = {"range": {"start": "f4", "times": times}}
        with av.open(io.BytesIO(made(client, job, "prores", part))) as video:
            frames = list(video.decode(video=0))
            assert len(frames) == 4
            return float(frames[0].time)

    assert begin("zero") == pytest.approx(0, abs=0.01)
    assert begin("source") == pytest.approx(0.16, abs=0.01)


def test_videos_have_another_rate_if_asked(client: httpx.Client, job: str) -> None:
    with av.open(io.BytesIO(made(client, job, "overlay", {"composition": {"constant_rate": 50}}))) as video:
        assert video.streams.video[0].average_rate == 50
        assert len([*video.decode(video=0)]) == 16


def test_hdr_is_kept_if_asked_and_is_an_option_of_clips_that_have_it(client: httpx.Client, tmp_path: Path) -> None:
    job = upload(client, write_hdr(tmp_path / "hdr.mov", transfer=PQ))["id"]
    assert wait(client, job)["state"] == "done"
    formats = {each["name"]: each for each in client.get(f"/api/jobs/{job}/formats").json()["formats"]}
    with_it = {name for name, each in formats.items() if "keep_hdr" in each["options"]}
    assert with_it == {"prores", "ffv1", "rgba", "exr"}
    for keep, transfer in ((True, PQ), (False, 1)):
        with av.open(io.BytesIO(made(client, job, "prores", {"composition": {"keep_hdr": keep}}))) as video:
            assert video.streams.video[0].codec_context.color_trc == transfer
    client.delete(f"/api/jobs/{job}")


def test_mask_pictures_come_with_a_note_that_explains_them(client: httpx.Client, job: str) -> None:
    assert client.patch(f"/api/jobs/{job}/objects/1", json={"name": "bright square"}).status_code == 200
    with zipfile.ZipFile(io.BytesIO(made(client, job, "palette", {}))) as archive:
        note = archive.read("read-me.txt").decode()
        assert len(archive.namelist()) == 9
        picture = archive.read("masks/00000.png")
    assert "1  dark red, #800000  bright square (object 1)\n" in note
    shown = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown[24, 16].tolist() == [0, 0, 0x80], "in blue, green and red: as the note says"
    with zipfile.ZipFile(io.BytesIO(made(client, job, "binary", {}))) as archive:
        assert "binary/1/  bright square (object 1)\n" in archive.read("read-me.txt").decode()
        white = cv2.imdecode(np.frombuffer(archive.read("binary/1/00000.png"), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert white is not None
    assert white[24, 16] == 255


def test_a_change_that_is_no_loss_is_told_with_the_download(client: httpx.Client, tmp_path: Path) -> None:
    silent = write_clip(tmp_path / "silent.mp4", np.full((8, 48, 64, 3), 90, np.uint8))
    with av.open(str(silent)) as source, av.open(str(tmp_path / "sound.mp4"), "w") as container:
        pictures = container.add_stream_from_template(source.streams.video[0])
        voice = container.add_stream("aac", rate=48000, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                container.mux(packet)
        for index in range(15):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 48000, 1024 * index
            container.mux(voice.encode(sound))
        container.mux(voice.encode(None))
    identity = upload(client, tmp_path / "sound.mp4")["id"]
    assert wait(client, identity)["state"] == "done"
    assert client.post(f"/api/jobs/{identity}/results/webm", json={}).status_code == 202
    made = wait(client, identity)["results"]["webm"]
    assert made["state"] == "ready"
    assert any(note.startswith("the sound is aac") and "Opus" in note for note in made["notes"])
    client.delete(f"/api/jobs/{identity}")


def test_annotations_and_pictures_are_called_after_the_file_that_was_sent(client: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "harbour 50%.png"
    assert cv2.imwrite(str(file), np.full((48, 64, 3), 90, np.uint8))
    whole = upload(client, file)["id"]
    assert wait(client, whole)["state"] == "done"
    part = client.post("/api/jobs", json={"job": whole, "range": {}}).json()["id"]
    assert wait(client, part)["state"] == "done"
    for job in (whole, part):
        drawn = np.zeros((48, 64), np.bool_)
        drawn[12:36, 8:32] = True
        asked = {"frame": 0, "object": 1, "mask": encode(drawn).to_coco()}
        assert client.post(f"/api/jobs/{job}/prompts", json=asked).status_code == 200
        coco = json.loads(made(client, job, "coco", {}))
        assert coco["images"][0]["file_name"] == "harbour 50_.png"
        assert coco["info"]["description"] == "masks of harbour 50_.png"
        assert b"<name>harbour 50_.png</name>" in made(client, job, "cvat", {})
        assert "harbour 50_.png" in made(client, job, "labelstudio", {}).decode()
        with zipfile.ZipFile(io.BytesIO(made(client, job, "yolo", {}))) as archive:
            assert "yolo/labels/harbour 50_.txt" in archive.namelist()
        client.delete(f"/api/jobs/{job}")
