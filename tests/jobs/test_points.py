"""Points and boxes in sessions: answered at once, corrected, taken back, and followed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covos.api import segment, stream
from covos.core.errors import UsageError
from covos.engines.follow import FollowEngine
from covos.engines.incremental import IncrementalPass
from covos.media.opening import open_source
from covos.model import Model
from covos.prompts.rows import as_points
from covos.prompts.seed_mask import MAX_ID
from covos.prompts.values import PointPrompt
from covos.sessions.session import Session
from frame_encodings import note_encodings

SIZE = (48, 64)
ON = [(8, 20)]
"""A pixel of the square in the first frame of the clip."""


def square(frame: int = 0) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[12:28, 2 * frame : 2 * frame + 16] = True
    return mask


def far(top: int = 34, left: int = 44) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + 10, left : left + 10] = True
    return mask


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def unloaded() -> Model:
    raise AssertionError("the model was loaded")


def test_a_click_is_answered_without_following(
    model: Model, random_follower: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was followed")

    monkeypatch.setattr(FollowEngine, "forward", never)
    with model.session(clip, follower=random_follower) as session:
        answer = session.add_points(3, points=[(14, 20)])
        assert (answer.frame, answer.object, answer.prompter) == (3, 1, "grabcut+covos-prompt")
        assert jaccard(answer.mask, square(3)) > 0.8
        np.testing.assert_array_equal(session.preview(3) == 1, answer.mask)
        assert not session.preview(2).any()
        boxed = session.add_box(0, box=(0, 12, 16, 28))
        assert boxed.object == 2
        assert jaccard(boxed.mask, square()) > 0.8
    assert [(each.frame, each.object, each.given_as) for each in session.shown] == [(0, 2, "box"), (3, 1, "points")]


def test_points_are_in_the_report_and_no_hash_of_what_came_of_them(
    model: Model, random_follower: Path, clip: Path, tmp_path: Path
) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_points(0, 4, points=[*ON, (50, 40)], labels=[1, 0])
        saved = session.propagate().save(tmp_path / "out", formats=["palette"])
    (prompt,) = json.loads(saved.report.read_text())["settings"]["prompts"]
    assert prompt == {
        "frame": 0,
        "object": 4,
        "given_as": "points",
        "points": [[8, 20, 1], [50, 40, 0]],
        "prompter": "grabcut+covos-prompt",
    }


def test_points_correct_a_given_mask_and_undo_takes_them_back(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=square() | far())
        given = session.shown[0].sha256
        less = session.add_points(0, 1, points=[(49, 39)], labels=[0])
        assert not less.mask[39, 49]
        assert (less.mask & square()).sum() > 0.9 * square().sum()
        described = session.seeds.describe()[0]
        assert described["corrects"] == given
        more = session.add_points(0, 1, points=[(12, 15)])
        assert session.seeds.describe()[0]["points"] == [[49, 39, 0], [12, 15, 1]]
        assert session.seeds.describe()[0]["corrects"] == given
        assert not more.mask[39, 49]
        session.undo()
        np.testing.assert_array_equal(session.preview(0) == 1, less.mask)
        session.undo()
        np.testing.assert_array_equal(session.preview(0) == 1, square() | far())


def test_a_correction_of_what_was_followed_keeps_what_came_before_it(
    model: Model, random_follower: Path, clip: Path
) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=square())
        before = session.propagate("forward")
        shown = next(frame for frame in before[3:] if 1 in frame.objects)
        seen = before[shown.index].labels == 1
        row, column = (int(axis[0]) for axis in np.nonzero(seen))
        answer = session.add_points(shown.index, 1, points=[(column, row)], labels=[0])
        assert session.shown[-1].pointed is not None
        assert session.shown[-1].pointed.corrects == "followed"
        after = session.propagate("forward")
        np.testing.assert_array_equal(after[shown.index].labels == 1, answer.mask)
        for index in range(shown.index):
            np.testing.assert_array_equal(after[index].labels, before[index].labels)
        session.undo()
        np.testing.assert_array_equal(session.propagate("forward")[shown.index].labels, before[shown.index].labels)


def test_following_is_taken_up_again_where_prompts_changed(
    model: Model, random_follower: Path, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(frames=26)
    encoded = note_encodings(monkeypatch)

    first, fix, second = (0, 1, square()), (18, 1, square(18)), (14, 2, far())

    expected = []
    with model.session(clip, follower=random_follower) as fresh, monkeypatch.context() as anew:
        anew.setattr(IncrementalPass, "_is_known", lambda self, engine: False)  # from the first frame after each mask
        for frame, identity, mask in (first, fix, second):
            fresh.add_mask(frame, identity, mask=mask)
            expected.append([each.labels for each in fresh.propagate("forward")])
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=first[2])
        found = [[frame.labels for frame in session.propagate("forward")]]
        for frame, identity, mask in (fix, second):
            session.add_mask(frame, identity, mask=mask)
            encoded.clear()
            found.append([each.labels for each in session.propagate("forward")])
            assert 0 < min(index for _, index in encoded) <= frame
        encoded.clear()
        session.propagate("forward")
        assert min(index for _, index in encoded) > 18, "nothing has changed"
        session.undo()
        found.append([each.labels for each in session.propagate("forward")])
    for ours, theirs in zip(found, [*expected, expected[1]], strict=True):
        assert len(ours) == 26
        np.testing.assert_array_equal(ours, theirs)


def test_what_is_asked_for_later_frames_is_followed_there_first(
    model: Model, random_follower: Path, clip: Path
) -> None:
    with Session(open_source(clip), load=lambda: model, follower=random_follower) as session:
        session.add_mask(0, 1, mask=square())
        found = session.propagate("forward")[4].labels == 1
        session.undo()
    row, column = (int(axis[-1]) for axis in np.nonzero(found))
    with Session(open_source(clip), load=lambda: model, follower=random_follower) as session:
        session.add_mask(0, 1, mask=square())
        session.seeds.wait(PointPrompt(frame=4, object=1, points=as_points([(column, row, 0)])))
        assert session.direction("auto") == "both"
        result = session.propagate("forward")
        assert session.seeds.describe()[1]["corrects"] == "followed"
    assert not result[4].labels[row, column]
    assert result[4].labels.any()


def test_no_object_is_where_another_was_pointed_at(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_points(0, points=[(4, 20)])
        second = session.add_points(0, points=[(12, 20)])
        assert second.object == 2
        assert not second.mask[20, 4]
        assert session.preview(0)[20, 4] == 1
        assert session.preview(0)[20, 12] == 2


def test_refusals_come_before_the_model(clip: Path) -> None:
    with Session(open_source(clip), load=unloaded) as session:
        session.add_mask(0, 1, mask=square())
        for act, said in [
            (lambda: session.add_points(0, 1, points=[(64, 3)]), "point 64,3 lies outside frame 0"),
            (lambda: session.add_points(8, points=ON), "frame 8 does not exist"),
            (lambda: session.add_points(-1, points=ON), "frame -1 does not exist"),
            (lambda: session.add_box(-1, box=(5, 5, 9, 9)), "frame -1 does not exist"),
            (lambda: session.add_points(0, MAX_ID + 1, points=ON), f"object {MAX_ID + 1}"),
            (lambda: session.add_points(2, 1, points=[(8, 20, 0)]), "object 1 has negative points only on frame 2"),
            (lambda: session.add_points(0, points=[(8, 20, 0)]), "object 2 has negative points only on frame 0"),
            (lambda: session.add_box(0, box=(5, 5, 5, 9)), "has no area"),
            (lambda: session.add_box(0, box=[(0, 0, 9, 9), (9, 9, 20, 20)]), "2 boxes for one object"),  # type: ignore[list-item]
            (lambda: session.preview(8), "frame 8 does not exist"),
        ]:
            with pytest.raises(UsageError) as caught:
                act()
            assert said in caught.value.what
        session.add_mask(1, MAX_ID, mask=square())
        with pytest.raises(UsageError, match=f"object {MAX_ID + 1}"):
            session.add_points(0, points=ON)
        assert len(session.shown) == 2


@pytest.mark.parametrize(
    ("frame", "identity", "said"),
    [
        (1.5, 1, "frame 1.5"),
        (1.0, 1, "frame 1.0"),
        (-1, 1, "frame -1"),
        ("a", 1, "frame a"),
        (0, "a", "object a"),
        (0, 1.0, "object 1.0"),
    ],
)
def test_what_is_no_frame_or_no_object_is_refused_in_three_lines(
    model: Model, clip: Path, frame: int, identity: int, said: str
) -> None:
    with model.session(clip) as session:
        for act in (
            lambda: session.add_points(frame, identity, points=ON),
            lambda: session.add_box(frame, identity, box=(0, 0, 9, 9)),
            lambda: session.add_mask(frame, identity, mask=square()),
        ):
            with pytest.raises(UsageError) as caught:
                act()
            assert said in caught.value.what
        assert not session.shown


def test_numbers_of_numpy_are_numbers(model: Model, clip: Path) -> None:
    with model.session(clip) as session:
        assert session.add_points(np.int64(1), np.int64(3), points=ON).object == 3
        assert session.add_mask(np.int64(2), np.int64(4), mask=square()) == 4
        session.add_absent(np.int64(3), np.int64(4))
        told = json.loads(json.dumps(session.seeds.describe()))
    assert [(each["frame"], each["object"]) for each in told] == [(1, 3), (2, 4), (3, 4)]


def test_an_id_that_was_freed_brings_nothing_of_the_old_object(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=far())
        assert session.propagate("forward")[1].objects
        assert session.preview(1).any()
        session.remove(1)
        assert not session.preview(1).any()
        assert session.add_points(0, points=ON).object == 1
        assert not session.preview(1).any()
        session.add_points(1, 1, points=[(10, 20)])
        assert session.shown[1].pointed is not None
        assert session.shown[1].pointed.corrects == ""


def test_the_same_point_again(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_points(0, points=ON)
        with pytest.raises(
            UsageError, match=r"point 8,20 on frame 0 is one of object 1 already[\s\S]*was made with it"
        ):
            session.add_points(0, 1, points=ON)
        with pytest.raises(UsageError, match=r"cannot be given for object 2[\s\S]*for object 1 before"):
            session.add_points(0, points=ON)
        session.add_points(1, 1, points=ON)


def test_the_last_word_on_a_pixel_counts(model: Model, random_follower: Path, clip: Path) -> None:
    """A click on the very pixel that was clicked before, with the other sign."""

    def points() -> list[tuple[float, float, bool]]:
        pointed = session.shown[-1].pointed
        assert pointed is not None
        return [(point.x, point.y, point.positive) for point in pointed.at.points]

    with model.session(clip, follower=random_follower) as session:
        session.add_points(0, points=[(4, 16)])
        session.add_points(0, 1, points=ON)
        mask = session.add_points(0, 1, points=[(8.4, 20.9)], labels=[0]).mask
        assert points() == [(4, 16, True), (8.4, 20.9, False)]
        assert not mask[20, 8]
        assert session.add_points(0, 1, points=ON).mask[20, 8]
        assert points() == [(4, 16, True), (8, 20, True)]
        session.undo()
        assert points() == [(4, 16, True), (8.4, 20.9, False)]


def test_nothing_is_left(model: Model, random_follower: Path, clip: Path) -> None:
    dot = np.zeros(SIZE, bool)
    dot[40, 50] = True
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=dot)
        with pytest.raises(UsageError, match="nothing is left of object 1 on frame 0"):
            session.add_points(0, 1, points=[(50, 40)], labels=[0])
        np.testing.assert_array_equal(session.preview(0) == 1, dot)


def test_one_call_with_points_and_boxes(model: Model, random_follower: Path, clip: Path, tmp_path: Path) -> None:
    by_point = segment(clip, model=model, points=[(8, 20)], follower=random_follower)
    assert jaccard(by_point[0].labels == 1, square()) > 0.8
    (tmp_path / "p.json").write_text(json.dumps({"points": [{"positive": [[8, 20]]}]}))
    by_file = stream(clip, model=model, prompts=tmp_path / "p.json", follower=random_follower)
    for one, other in zip(by_point, by_file, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
    boxes = segment(clip, model=model, boxes={0: (0, 12, 16, 28)}, points={0: (8, 20)}, follower=random_follower)
    (prompt,) = boxes.origin.settings["prompts"]
    assert prompt["given_as"] == "box and points"
    with pytest.raises(UsageError, match=r"point 8,20 on frame 0 has no object[\s\S]*any of 1, 2"):
        segment(clip, model=model, boxes=[(0, 12, 16, 28), (40, 30, 60, 46)], points=(8, 20), follower=random_follower)
