"""A batch lists its clips: folders, patterns, manifests; two never share a folder."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from covos.core.errors import CovosError, InputError, SourceError, UsageError
from covos.fleet.clips import read_clips
from covos.fleet.manifests import Clip
from covos.fleet.parts import Part
from covos.fleet.places import at_hand


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def named(inputs: object) -> dict[str, str]:
    return {clip.name: clip.input for clip in read_clips(inputs)}  # type: ignore[arg-type]


def test_a_folder_gives_its_videos_and_its_folders_of_frames(tmp_path: Path) -> None:
    root = tmp_path / "clips"
    touch(root / "b10.MP4", root / "b2.mov", root / "poster.jpg", root / "notes.txt", root / ".hidden.mp4")
    touch(root / "day" / "frames" / "0.png", root / "day" / "frames" / "1.png", root / "day" / "c.mkv")
    touch(root / "cut" / "masks" / "0.png", root / "cut" / ".covos-files")  # an earlier result is no input
    (root / "loop").symlink_to(root, target_is_directory=True)
    assert named([root]) == {
        "b2": str(root / "b2.mov"),
        "b10": str(root / "b10.MP4"),
        "day/c": str(root / "day" / "c.mkv"),
        "day/frames": str(root / "day" / "frames"),
    }
    assert named([root / "day" / "frames"]) == {"frames": str(root / "day" / "frames")}


def test_a_pattern_is_many_videos_or_one_clip_of_pictures(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "shot" / "0.png", tmp_path / "shot" / "1.png")
    assert set(named([str(tmp_path / "*.mp4")])) == {"a", "b"}
    assert named([str(tmp_path / "shot" / "*.png")]) == {"shot": str(tmp_path / "shot" / "*.png")}


def packed(shard: Path, *names: str, content: bytes = b"video") -> Path:
    shard.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(shard, "w") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return shard


def test_the_videos_in_a_tar_file_are_clips_wherever_it_is_named(tmp_path: Path) -> None:
    shard = packed(tmp_path / "shards" / "day-1.tar", "a.mp4", "./in/b.MOV", "a.json", "in/._b.mov")
    expected = {"day-1/a": f"tar://a.mp4::{shard}", "day-1/in/b": f"tar://./in/b.MOV::{shard}"}
    for given in (shard, shard.parent, str(shard.parent / "*.tar")):
        assert named([given]) == expected
    (url,) = {clip.input for clip in read_clips([shard.parent]) if clip.name == "day-1/in/b"}
    with at_hand(url) as copy:
        assert Path(copy).name == "b.MOV"
        assert Path(copy).read_bytes() == b"video"
    with at_hand(expected["day-1/a"]) as copy:
        assert Path(copy).read_bytes() == b"video"


def test_a_tar_file_far_away_is_read_there(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    shard = packed(tmp_path / "far.tar", "a.mp4", "b.mp4")
    fsspec.filesystem("memory").pipe_file("/shards/far.tar", shard.read_bytes())
    assert list(named(["memory://shards/far.tar"])) == ["far/a", "far/b"]
    with at_hand(named(["memory://shards/*.tar"])["far/b"]) as copy:
        assert Path(copy).read_bytes() == b"video"


@pytest.mark.parametrize(
    ("names", "said"), [(("a.txt",), "no clip in it"), (("../a.mp4",), "leads out of it"), (None, "cannot be used")]
)
def test_a_tar_file_that_gives_no_clip_says_why(tmp_path: Path, names: tuple[str, ...] | None, said: str) -> None:
    shard = tmp_path / "x.tar"
    if names is None:
        shard.write_bytes(b"no tar file at all" * 99)
    else:
        packed(shard, *names)
    with pytest.raises(CovosError, match=said):
        read_clips([shard])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_manifest_sets_what_holds_for_one_clip(tmp_path: Path, kind: str) -> None:
    columns = {
        "input": ["a.mp4", "/far/b.mp4", "s3://bucket/c.mp4"],
        "name": ["", "day/b", ""],
        "prompts": ["a.json", "", ""],
        "start": ["1.5", "f10", ""],
        "every": ["", "2", ""],
        "objects": ["", "auto", ""],
        "frame_rate": ["", "", "30000/1001"],
        "camera": ["left", "", "right"],
    }
    file = tmp_path / f"clips.{kind}"
    if kind == "csv":
        rows = [",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]
        file.write_text("\ufeff" + "\n".join(rows) + "\n", encoding="utf-8")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        table = {name: [cell or None for cell in cells] for name, cells in columns.items()}
        table["every"] = [None, 2, None]
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(table), file)
    first, second, third = read_clips([file])
    assert (first.input, first.name, first.prompts) == (str(tmp_path / "a.mp4"), "a", str(tmp_path / "a.json"))
    assert (first.start, first.every, first.objects, first.carried["camera"]) == ("1.5", None, None, "left")
    assert (second.input, second.name, second.every, second.objects) == ("/far/b.mp4", "day/b", 2, "auto")
    assert (third.input, third.name, third.frame_rate) == ("s3://bucket/c.mp4", "c", pytest.approx(29.97, abs=1e-2))


def test_a_text_file_lists_inputs(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# mine\na.mp4\n\n  sub/b c.mp4\n", encoding="utf-8")
    assert named([tmp_path / "list.txt"]) == {"a": str(tmp_path / "a.mp4"), "b c": str(tmp_path / "sub/b c.mp4")}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("imput\na.mp4\n", "call the column input, not imput"),
        ("input;end\na.mp4;f3\n", "commas"),
        ("input,start\na.mp4,f1\n,f2\n", "its cell is empty"),
        ("input\na.mp4,b.mp4\n", "more cells than columns"),
        ("input\n", "no rows"),
    ],
)
def test_a_wrong_manifest_is_refused_in_words(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "m.csv").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_clips([tmp_path / "m.csv"])
    error = refused.value
    assert said in f"{error.what} {error.why} {error.fix}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("input,strat\na.mp4,f3\n", "has a column 'strat', which sets nothing"),
        ("input,propmts\na.mp4,a.json\n", "rename the column to prompts"),
        ("input,point\na.mp4,3\n", "write it into a prompt file"),
        ("input,every\na.mp4,often\n", "every"),
        ("input,name\na.mp4,../up\n", "'../up'"),
        ("input,name\na.mp4,/up\n", "'/up'"),
        ("input,frame_rate\na.mp4,1/0\n", "frame_rate"),
    ],
)
def test_a_wrong_setting_of_a_manifest_is_a_wrong_call(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "m.csv").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError) as refused:  # exit code 2, as of the option of the same name
        read_clips([tmp_path / "m.csv"])
    error = refused.value
    assert said in f"{error.what} {error.why} {error.fix}"


def test_a_manifest_that_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"input\n\xff\xfe\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_clips([tmp_path / "m.csv"])
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="pipe"):
        read_clips([tmp_path / "pipe.csv"])


def test_two_clips_never_share_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "a.mov")
    with pytest.raises(UsageError, match="would share"):
        read_clips([tmp_path])
    (tmp_path / "a.mov").unlink()
    touch(tmp_path / "a" / "b.mp4")  # its folder would lie in that of the other
    with pytest.raises(UsageError, match="would share"):
        read_clips([tmp_path])


@pytest.mark.parametrize("given", ["empty", "*.mp4"])
def test_an_input_that_stands_for_nothing_is_refused(tmp_path: Path, given: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError):
        read_clips([str(tmp_path / given)])


def test_a_file_that_is_not_there_fails_by_itself(tmp_path: Path) -> None:
    assert read_clips([tmp_path / "gone.mp4"]) == (Clip(input=str(tmp_path / "gone.mp4"), name="gone"),)


def test_patterns_of_urls_are_listed(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert set(named([f"file://{tmp_path}/*.mp4"])) == {"a", "b"}
    with pytest.raises(CovosError):
        read_clips([f"file://{tmp_path}/*.mov"])
    with pytest.raises(CovosError, match="cannot be reached"):
        read_clips(["nosuch://bucket/*.mp4"])


def test_pictures_beside_videos_are_no_clip(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "thumb.png")
    touch(tmp_path / "a.mp4")
    assert set(named([tmp_path])) == {"a"}


def test_a_link_to_itself_is_a_clip_that_fails_by_itself(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "loop.tar").symlink_to("loop.tar")
    assert [Path(clip.input).name for clip in read_clips([tmp_path])] == ["a.mp4", "loop.mp4"]


def test_a_name_is_of_one_part_however_its_letters_are_composed() -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    parts = [Part(number=number, of=16) for number in range(1, 17)]
    assert [part.has(composed) for part in parts] == [part.has(apart) for part in parts]
    assert sum(part.has(composed) for part in parts) == 1
