"""A batch lists its clips: folders, patterns, manifests; two never share a folder."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image

from covos.core.errors import CovosError, InputError, SourceError, UsageError
from covos.core.limits import limits, set_limits
from covos.fleet.batch import Batch
from covos.fleet.clips import read_clips
from covos.fleet.manifests import Clip
from covos.fleet.parts import Part, is_table
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


def test_the_headers_of_a_tar_file_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = packed(tmp_path / "many.tar", *(f"{number}.mp4" for number in range(40)))
    headers = 0
    read = tarfile.TarInfo.fromtarfile.__func__  # type: ignore[attr-defined]

    def counted(kind: type[tarfile.TarInfo], tar: tarfile.TarFile) -> tarfile.TarInfo:
        nonlocal headers
        headers += 1
        return read(kind, tar)  # type: ignore[no-any-return]

    monkeypatch.setattr(tarfile.TarInfo, "fromtarfile", classmethod(counted))
    clips = named([shard]).values()
    for url in clips:
        with at_hand(url) as copy:
            assert Path(copy).read_bytes() == b"video"
    # The list of all, and the first one whenever the file is opened, for each compression that it might have.
    assert headers < 8 * len(clips)
    packed(shard, "0.mp4", content=b"another video")
    with at_hand(f"tar://0.mp4::{shard}") as copy:
        assert Path(copy).read_bytes() == b"another video"
    with pytest.raises(SourceError, match="it is not there"), at_hand(f"tar://1.mp4::{shard}"):
        pass


@pytest.fixture
def far() -> Iterator[Any]:
    """A file system at URLs: ``memory://``."""
    system = fsspec.filesystem("memory")
    yield system
    for each in system.ls("/", detail=False):
        system.rm(each, recursive=True)


@pytest.mark.parametrize("kind", ["csv", "txt", "parquet"])
def test_paths_of_a_manifest_at_a_url_start_from_where_it_lies(tmp_path: Path, far: Any, kind: str) -> None:
    inputs = ["day/a.mp4", "../other/b.mp4", "/far/c.mp4", "s3://bucket/d.mp4"]
    file = tmp_path / f"m.{kind}"
    if kind == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table({"input": inputs}), file)
    else:
        file.write_text("\n".join(["input"] * (kind == "csv") + inputs), encoding="utf-8")
    far.pipe_file(f"/lists/m.{kind}", file.read_bytes())
    found = {"a": "lists/day/a.mp4", "b": "other/b.mp4"}
    elsewhere = {"c": "/far/c.mp4", "d": "s3://bucket/d.mp4"}
    assert named([f"memory://lists/m.{kind}"]) == {name: f"memory://{at}" for name, at in found.items()} | elsewhere
    (tmp_path / "lists").mkdir()
    file.rename(tmp_path / "lists" / file.name)
    url = f"file://{tmp_path}/lists/m.{kind}"
    assert named([url]) == {name: f"file://{tmp_path}/{at}" for name, at in found.items()} | elsewhere


def test_files_that_a_manifest_at_a_url_names_lie_beside_it(far: Any) -> None:
    far.pipe_file("/lists/m.csv", b"input,prompts,mask\na.mp4,shown/a.json,\nb.mp4,,b.png\n")
    first, second = read_clips(["memory://lists/m.csv"])
    assert (first.prompts, first.mask) == ("memory://lists/shown/a.json", None)
    assert (second.prompts, second.mask) == (None, "memory://lists/b.png")
    assert (second.manifest, second.row) == ("memory://lists/m.csv", 2)


def test_a_manifest_in_a_tar_file_lists_what_lies_beside_it_there(tmp_path: Path) -> None:
    shard = packed(tmp_path / "x.tar", "day/m.txt", content=b"a.mp4")
    assert named([f"tar://day/m.txt::{shard}"]) == {"a": f"tar://day/a.mp4::{shard}"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://lists/gone.csv", "it is not there"),
        ("memory://lists/up.txt", "leads up and out of memory://"),
        ("memory://lists/large.txt", "more than 4096 bytes"),
        ("nosuch://lists/m.csv", "cannot be reached"),
    ],
)
def test_a_manifest_at_a_url_that_cannot_be_used_is_refused_in_words(far: Any, url: str, said: str) -> None:
    far.pipe_file("/lists/up.txt", b"../../../a.mp4")
    far.pipe_file("/lists/large.txt", b"#" * 5000)
    before = asdict(limits())
    set_limits(bytes=4096)
    try:
        with pytest.raises(CovosError) as refused:
            read_clips([url])
    finally:
        set_limits(**before)
    assert said in f"{refused.value.what} {refused.value.why}"
    assert url in refused.value.what
    assert refused.value.exit_code == (2 if url.startswith("nosuch") else 3)


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_a_folder_at_a_url_is_listed_as_one_of_this_machine(tmp_path: Path, far: Any, protocol: str) -> None:
    root = tmp_path / "clips"
    touch(root / "b10.MP4", root / "b2.mov", root / "poster.jpg", root / "notes.txt", root / ".hidden.mp4")
    touch(root / "day" / "frames" / "0.png", root / "day" / "frames" / "1.png", root / "day" / "c.mkv")
    touch(root / "cut" / "masks" / "0.png", root / "cut" / ".covos-files", root / ".trash" / "old.mp4")
    touch(tmp_path / "clips2" / "other.mp4")  # another folder, though its name begins alike
    packed(root / "day" / "more.tar", "x/d.mp4")
    if protocol == "memory":
        far.put(f"{tmp_path}/", "/", recursive=True)
    url = "memory://clips" if protocol == "memory" else f"file://{root}"
    expected = {
        "b2": f"{url}/b2.mov",
        "b10": f"{url}/b10.MP4",
        "day/c": f"{url}/day/c.mkv",
        "day/more/x/d": f"tar://x/d.mp4::{url}/day/more.tar",
        "day/frames": f"{url}/day/frames",
    }
    assert named([url]) == named([f"{url}/"]) == expected
    assert list(named([url])) == [clip.name for clip in read_clips([root])]
    with at_hand(expected["day/frames"]) as copy:
        assert sorted(each.name for each in Path(copy).iterdir()) == ["0.png", "1.png"]
        assert Path(copy).name == "frames"
    assert named([f"{url}/day/frames"]) == {"frames": f"{url}/day/frames"}
    (root / "none").mkdir()
    far.makedirs("/clips/none")
    with pytest.raises(SourceError, match="no clip in it"):
        read_clips([f"{url}/none"])


def test_a_pattern_of_pictures_at_a_url_is_one_clip(far: Any) -> None:
    for name in ("shot/0.png", "shot/1.png", "shot/notes.txt", "a/0.png", "b/0.png"):
        far.pipe_file(f"/{name}", b"")
    assert named(["memory://shot/*.png"]) == {"shot": "memory://shot/*.png"}
    with at_hand("memory://shot/*.png") as copy:
        assert (Path(copy).name, len(list(Path(copy).iterdir()))) == ("shot", 2)
    with pytest.raises(SourceError, match="no clip") as refused, at_hand("memory://*/0.png"):
        pass
    assert "the same name" in refused.value.why
    with pytest.raises(SourceError, match="no clip") as refused, at_hand("memory://shot/*.txt"):
        pass
    assert "no pictures" in refused.value.why


@pytest.mark.parametrize("protocol", ["", "file://"])
def test_each_match_of_a_pattern_is_taken_as_if_it_was_named(tmp_path: Path, protocol: str) -> None:
    touch(tmp_path / "one" / "sub" / "a.mp4", tmp_path / "two" / "c[1].mp4")
    packed(tmp_path / "two" / "t.tar", "t.mp4")
    for name in ("one", "two"):
        (tmp_path / "two" / f"{name}.csv").write_text(f"input\nin-{name}.mp4\n", encoding="utf-8")
    assert set(named([f"{protocol}{tmp_path}/two/*.csv"])) == {"in-one", "in-two"}
    assert set(named([f"{protocol}{tmp_path}/two/*"])) == {"in-one", "in-two", "c[1]", "t/t"}
    assert set(named([f"{protocol}{tmp_path}/on*"])) == {"sub/a"}


def test_all_faults_of_a_row_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("input,name,every,frame_rate\n,../up,often,1/0\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"^row 1 of .* cannot be used") as refused:
        read_clips([tmp_path / "m.csv"])
    assert all(said in refused.value.why for said in ("it has no input", "every", "frame_rate", "'../up'"))
    (tmp_path / "m.csv").write_text("input,strat,point\na.mp4,f3,3\n", encoding="utf-8")
    with pytest.raises(UsageError, match="2 columns of ") as refused_columns:
        read_clips([tmp_path / "m.csv"])
    assert all(said in refused_columns.value.why for said in ("'strat'", "'point'"))
    assert "rename the column to start" in refused_columns.value.fix


def test_a_tar_file_far_away_is_read_there(tmp_path: Path, far: Any) -> None:
    shard = packed(tmp_path / "far.tar", "a.mp4", "b.mp4")
    far.pipe_file("/shards/far.tar", shard.read_bytes())
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


def test_a_manifest_names_clips_as_the_command_line_does(tmp_path: Path, far: Any) -> None:
    touch(tmp_path / "shot" / "0.png", tmp_path / "shot.0010" / "0.png", tmp_path / "shot.0020" / "0.png")
    touch(tmp_path / "b.1.mp4", tmp_path / "c[1].mp4", tmp_path / "d*" / "e.mp4")
    given = ["shot/*.png", "*/0.png", "shot.0010", "shot.0020", "b.1.mp4", "c[1].mp4", "d*/e.mp4"]
    names = ["shot", tmp_path.name, "shot.0010", "shot.0020", "b.1", "c[1]", "e"]
    (tmp_path / "m.txt").write_text("\n".join(given), encoding="utf-8")
    assert list(named([tmp_path / "m.txt"])) == names
    assert list(named([tmp_path / each for each in given])) == names
    for each in ("shot/0.png", "shot.0010/0.png", "c[1].mp4", "e.264"):
        far.pipe_file(f"/x/{each}", b"")
    given = ["shot/*.png", "shot.0010", "c[1].mp4", "e.264"]
    far.pipe_file("/x/m.txt", "\n".join(given).encode())
    assert list(named(["memory://x/m.txt"])) == ["shot", "shot.0010", "c[1]", "e"]
    given[2] = "c*.mp4"
    assert list(named([f"memory://x/{each}" for each in given])) == ["shot", "shot.0010", "c[1]", "e"]


def test_two_clips_never_share_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "a.mov")
    with pytest.raises(UsageError, match="would share"):
        read_clips([tmp_path])
    (tmp_path / "a.mov").unlink()
    touch(tmp_path / "a" / "b.mp4")  # its folder would lie in that of the other
    with pytest.raises(UsageError, match="would share"):
        read_clips([tmp_path])


def test_rows_that_would_share_a_folder_are_told_with_all_other_faults(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "b.mp4")
    rows = "a.mp4,often,x\na.mp4,,day\nb.mp4,,car\na.mp4,,car\nb.mp4,,day/b\nb.mp4,,../up\na.mp4,,x\n"
    (tmp_path / "m.csv").write_text(f"input,every,name\n{rows}", encoding="utf-8")
    with pytest.raises(UsageError, match="5 rows") as refused:
        read_clips([tmp_path / "m.csv"])
    told = refused.value.why
    a, b = tmp_path / "a.mp4", tmp_path / "b.mp4"
    for said in (
        "row 1: a cell cannot be used",
        f"row 4: {b} and {a} would share the folder car with row 3",
        f"row 5: {a} and {b} would share the folder day with row 2",
        "row 6: the name '../up' cannot be used",
        f"row 7: {a} would share the folder x with row 1",
    ):
        assert said in told
    (tmp_path / "m.csv").write_text("input,name\na.mp4,day/deep/a\nb.mp4,day\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"row 2: .* would share the folder day/deep/a with row 1"):
        read_clips([tmp_path / "m.csv"])


def test_the_query_of_a_web_address_is_no_part_of_a_name(tmp_path: Path) -> None:
    links = [f"https://example.org/videos/{name}.mp4?sig=1&at=[2]" for name in "ab"]
    (tmp_path / "m.txt").write_text("\n".join(links))
    assert named([tmp_path / "m.txt"]) == named(links) == dict(zip("ab", links, strict=True))
    packed = "zip://shots/c.mp4::https://example.org/all.zip?sig=1"
    assert named([packed]) == {"c": packed}


def test_numbered_pictures_are_a_clip_called_after_their_folder(tmp_path: Path) -> None:
    assert named([tmp_path / "shots" / "f_%04d.png"]) == {"shots": str(tmp_path / "shots" / "f_%04d.png")}
    (tmp_path / "take%02d.mp4").touch()
    assert named([tmp_path / "take%02d.mp4"]) == {"take%02d": str(tmp_path / "take%02d.mp4")}


def test_rows_that_would_share_a_folder_are_named(tmp_path: Path) -> None:
    touch(tmp_path / "ok.mp4", tmp_path / "b.mp4")
    one, two = tmp_path / "m.csv", tmp_path / "n.csv"
    one.write_text("input\nok.mp4\nb.mp4\nok.mp4\n")
    with pytest.raises(UsageError) as caught:
        read_clips([one])
    assert caught.value.what == f"{one}, row 3: {tmp_path / 'ok.mp4'} would share the folder ok with row 1"
    assert "add a column called name" in caught.value.fix
    one.write_text("input,name\nok.mp4,x\nb.mp4,y\n")
    two.write_text("input,name\nok.mp4,z\nb.mp4,x\n")
    with pytest.raises(UsageError) as caught:
        read_clips([one, two])
    places = f"{tmp_path / 'ok.mp4'} and {tmp_path / 'b.mp4'}"
    assert caught.value.what == f"{one}, row 1, and {two}, row 2: {places} would share the folder x"
    one.write_text("input,name\nok.mp4,x\nb.mp4,y\nok.mp4,z\n")
    assert [clip.name for clip in read_clips([one])] == ["x", "y", "z"]  # as the message advises


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


@pytest.mark.parametrize("protocol", ["", "file://"])
def test_pictures_above_videos_hide_none_of_them(tmp_path: Path, protocol: str) -> None:
    root = tmp_path / "vids"
    touch(root / "cover.jpg", root / "day1" / "a.mp4", root / "day1" / "raw" / "b.mp4", root / "day2" / "poster.png")
    packed(root / "day2" / "more" / "t.tar", "c.mp4")
    touch(root / "day3" / "0.png", root / "day3" / "masks" / "0.png")  # frames, with masks beside them
    touch(root / "day4" / "0.png", root / "day4" / "cut" / "overlay.mp4", root / "day4" / "cut" / ".covos-files")
    expected = ["day1/a", "day1/raw/b", "day2/more/t/c", "day3", "day4"]
    assert list(named([f"{protocol}{root}"])) == expected


@pytest.mark.parametrize("protocol", ["", "file://"])
def test_no_match_of_a_pattern_is_a_result(tmp_path: Path, protocol: str) -> None:
    root = tmp_path / "pt"
    touch(root / "a.mp4", root / "a" / ".covos-files", root / "a" / "overlay.mp4", root / "a" / "masks" / "0.png")
    touch(root / "out" / "a" / ".covos-files", root / "out" / "a" / "overlay.mp4")
    touch(root / "out" / "a" / "masks" / "0.png")
    touch(root / "day" / "b.mp4")
    (root / "none").mkdir()
    here = f"{protocol}{root}"
    assert set(named([f"{here}/*"])) == {"a", "b"}
    assert set(named([f"{here}/*/*"])) == {"b"}
    assert set(named([f"{here}/a/*.mp4"])) == {"overlay"}  # named itself
    for pattern in ("o*", "o*/*/*.mp4", "o*/*/*/", "n*", "?"):
        with pytest.raises(SourceError, match="none of its matches is a clip"):
            read_clips([f"{here}/{pattern}"])


def test_no_match_of_a_pattern_is_what_the_batch_writes(tmp_path: Path) -> None:
    touch(tmp_path / "pt" / "a.mp4", tmp_path / "pt" / "out" / "begun.mp4")
    for name in ("batch.csv", "batch-3-of-8.csv", "out/batch.csv"):
        (tmp_path / "pt" / name).write_text("name,input\nx,gone.mp4\n", encoding="utf-8")
    patterns = [str(tmp_path / "pt" / pattern) for pattern in ("*", "*.csv")]
    assert [
        clip.name for clip in Batch(patterns[0], tmp_path / "pt" / "out", summary=tmp_path / "pt" / "batch.csv").clips
    ] == ["a"]
    assert "begun" in {clip.name for clip in Batch(patterns[0], tmp_path / "pt" / "." / "x" / "..").clips}
    with pytest.raises(SourceError, match="none of its matches is a clip"):
        Batch(patterns[1], tmp_path / "pt")
    assert is_table("s3://b/batch-07-of-12.csv", "s3://b/batch.csv")
    assert not is_table("s3://b/batch-07-of-12.csv", "s3://b/table.csv")


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
