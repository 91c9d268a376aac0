"""The same content has the same fingerprint; any usual change gives another."""

from pathlib import Path

import numpy as np
import pytest

from covos.media.opening import open_source
from covos.media.source import fingerprint

BLOCK = 1 << 16


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A file of 200 blocks, of which 64 are looked at."""
    return written(tmp_path / "a.bin", np.random.default_rng(0).bytes(200 * BLOCK + 7))


def test_a_copy_and_a_new_name_are_the_same(tmp_path: Path, long: Path) -> None:
    assert fingerprint([long]) == fingerprint([written(tmp_path / "b.bin", long.read_bytes())])


@pytest.mark.parametrize("size", [0, 1, BLOCK, 64 * BLOCK, 64 * BLOCK + 1, 200 * BLOCK])
def test_ends_and_sizes_count(tmp_path: Path, size: int) -> None:
    content = np.random.default_rng(1).bytes(size)
    seen = {fingerprint([written(tmp_path / "a", content)]), fingerprint([written(tmp_path / "a", content + b"x")])}
    if size:
        seen.add(fingerprint([written(tmp_path / "a", content[:-1] + bytes([content[-1] ^ 1]))]))
        seen.add(fingerprint([written(tmp_path / "a", bytes([content[0] ^ 1]) + content[1:])]))
    assert len(seen) == (4 if size > 1 else 3 if size else 2)


def test_what_is_not_seen_is_an_edit_between_the_blocks_that_keeps_the_size(long: Path) -> None:
    before, content = fingerprint([long]), bytearray(long.read_bytes())
    content[BLOCK + 5] ^= 1  # the second block looked at begins at three
    long.write_bytes(content)
    assert fingerprint([long]) == before
    content[200 * BLOCK // 63 + 5] ^= 1
    long.write_bytes(content)
    assert fingerprint([long]) != before


def test_of_several_files_names_order_and_content_count(tmp_path: Path) -> None:
    files = [written(tmp_path / f"{index}.png", bytes([index]) * 1000) for index in range(3)]
    seen = {fingerprint(files), fingerprint(files[:2]), fingerprint([files[1], files[0], files[2]])}
    seen.add(fingerprint([*files[:2], files[2].rename(tmp_path / "9.png")]))
    seen.add(fingerprint([written(files[0], b"x" * 1000), files[1], tmp_path / "9.png"]))
    assert len(seen) == 5


def test_sources_name_their_files(make_clip, tmp_path: Path) -> None:
    clip = make_clip()
    with open_source(clip) as source:
        assert source.files == (clip,)
    from PIL import Image

    for name in ("f10.png", "f2.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    with open_source(f"{tmp_path}/*.png") as source:
        assert source.files == (tmp_path / "f2.png", tmp_path / "f10.png")
