"""Objects that are found: the way from the call to the results, and what is refused before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from covos.api import segment, stream
from covos.cli import main
from covos.core.errors import UsageError
from covos.engines.choices import DEFAULT_MOST, MAX_MOST
from covos.engines.discover import DiscoveredObject, DiscoveryPass
from covos.engines.motion import Observed
from covos.model import Model
from covos.task import Discover, check_objects

SIZE = (48, 64)


@pytest.fixture
def two_things(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two boxes are found whatever the clip shows; the list takes the indices of the frames that are looked at."""
    looks: list[int] = []
    import torch

    def logit(top: int, left: int) -> torch.Tensor:
        values = torch.full((24, 32), -12.0)
        values[top : top + 8, left : left + 8] = 9.0
        return values

    def run(self: DiscoveryPass, frames: Iterable[Observed]) -> Iterator[int]:
        for each in frames:
            looks.append(each.frame.index)
            yield each.frame.index

    def found(self: DiscoveryPass) -> tuple[DiscoveredObject, ...]:
        first = DiscoveredObject(masks={0: logit(2, 2), 5: logit(2, 6)}, first=0, size=0.1)
        return (first, DiscoveredObject(masks={5: logit(12, 20)}, first=2, size=0.1))

    monkeypatch.setattr(DiscoveryPass, "run", run)
    monkeypatch.setattr(DiscoveryPass, "found", found)
    return looks


def run(clip: Path, out: Path, *more: str) -> int:
    return main(["segment", str(clip), "-o", str(out), "--device", "cpu", "--precision", "fp32", "-q", *more])


def test_a_session_is_shown_what_is_found(
    model: Model, random_follower: Path, clip: Path, two_things: list[int]
) -> None:
    with model.session(clip, follower=random_follower) as session:
        assert session.discover(4) == (1, 2)
        assert two_things == list(range(8)), "all frames of a short clip"
        assert [(each.frame, each.object, each.given_as) for each in session.shown] == [
            (0, 1, "found"), (5, 1, "found"), (5, 2, "found"),
        ]  # fmt: skip
        session.remove(2)
        result = session.propagate()
    assert {identity for frame in result for identity in frame.objects} <= {1}
    assert result[0].labels[8, 8] == 1


def test_found_ids_follow_on_those_that_are_shown(
    model: Model, random_follower: Path, clip: Path, two_things: list[int]
) -> None:
    mask = np.zeros(SIZE, bool)
    mask[40:46, 2:10] = True
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(2, 6, mask=mask)
        assert session.discover() == (7, 8)
        assert session.objects == (6, 7, 8)


def test_segment_and_stream_give_every_object_its_id(
    model: Model, random_follower: Path, clip: Path, two_things: list[int]
) -> None:
    result = segment(clip, model=model, objects="auto", follower=random_follower)
    streamed = [each.labels for each in stream(clip, model=model, objects=3, follower=random_follower)]
    assert result[5].labels[30, 44] == 2
    for kept, labels in zip(result, streamed, strict=True):
        np.testing.assert_array_equal(kept.labels, labels)
    assert result.origin.settings["objects"] == DEFAULT_MOST
    assert result.origin.settings["direction"] == "both"


def test_where_nothing_is_found_every_mask_is_empty(
    model: Model, random_follower: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DiscoveryPass, "found", lambda self: ())
    results = list(stream(clip, model=model, objects="auto", follower=random_follower))
    assert len(results) == 8
    assert not any(result.labels.any() for result in results)
    assert all(result.objects == () for result in results)


def test_the_command_writes_ids_and_states_and_knows_when_it_is_done(
    random_follower: Path, clip: Path, tmp_path: Path, two_things: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    out, options = tmp_path / "out", ("--objects", "auto", "--follower", str(random_follower), "-f", "palette")
    assert run(clip, out, *options) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["settings"]["objects"] == DEFAULT_MOST
    assert set(report["frames"][5]["states"]) == {"1", "2"}
    two_things.clear()
    assert run(clip, out, *options) == 0
    assert two_things == [], "it is done: nothing is looked for again"
    assert "found" not in capsys.readouterr().err, "quiet"
    assert main(["segment", str(clip), "-o", str(out), *options, "--device", "cpu", "--precision", "fp32"]) == 0
    assert f"note: {clip.name}: 2 objects found" in capsys.readouterr().err
    assert run(clip, out, "--objects", "3", *options[2:]) == 2
    assert "objects: 10 before, 3 now" in capsys.readouterr().err


def test_a_real_clip_goes_through_discovery(
    model: Model, random_follower: Path, make_clip: Callable[..., Path]
) -> None:
    results = list(stream(make_clip(frames=3), model=model, objects=2, follower=random_follower))
    assert len(results) == 3


@pytest.mark.parametrize("options", [("--objects", "some"), ("--objects", "0"), ("--objects", "21")])
def test_no_number_of_objects(
    options: tuple[str, ...], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(clip, tmp_path / "out", *options) == 2
    assert f"objects = {options[1]}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_objects_are_found_or_shown_not_both(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(clip, tmp_path / "out", "--objects", "auto", "--mask", "a.png") == 2
    assert "--objects auto beside --mask" in capsys.readouterr().err
    with pytest.raises(UsageError, match="beside masks"):
        segment(clip, objects=4, masks=np.ones(SIZE, np.uint8))


def test_found_objects_are_not_refined(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(clip, tmp_path / "out", "--objects", "auto", "--refine", "crf") == 2
    assert "refine" in capsys.readouterr().err
    with pytest.raises(UsageError, match="refine"):
        stream(clip, objects="auto", refine="crf")


def test_how_many() -> None:
    assert check_objects(1) is None
    assert check_objects("auto") == DEFAULT_MOST
    assert check_objects(MAX_MOST) == MAX_MOST
    assert Discover().most == DEFAULT_MOST
