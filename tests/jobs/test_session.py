"""Sessions: prompts are checked before anything is loaded, and corrections leave the rest alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.api import segment, stream
from covos.core.errors import AnnotationError, CheckpointError, EnvironmentProblem, UsageError
from covos.engines.choices import MAX_GIVEN
from covos.engines.shots import Shots
from covos.masks import decode, write_label_map
from covos.media.opening import open_source
from covos.model import Model
from covos.models import registry
from covos.models.cards import read_card
from covos.models.checkpoints import save_weights
from covos.models.follow import CovosFollow
from covos.prompts.seed_mask import MAX_ID
from covos.prompts.seeds import Seeds
from covos.results.segmentation import Segmentation
from covos.sessions.session import Session

SIZE = (48, 64)


def box(top: int, left: int, side: int = 14) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def unloaded() -> Model:
    raise AssertionError("the model was loaded")


@pytest.fixture
def prompts(clip: Path) -> Seeds:
    return Seeds(open_source(clip).info)


def test_a_session_follows_a_mask_and_keeps_it_as_it_is(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        assert session.add_mask(0, mask=box(12, 0)) == 1
        assert session.add_mask(0, 7, mask=box(30, 40)) == 7
        result = session.propagate()
    assert isinstance(result, Segmentation)
    assert len(result) == 8
    np.testing.assert_array_equal(result[0].labels == 1, box(12, 0))
    np.testing.assert_array_equal(result[0].labels == 7, box(30, 40))
    # As soft at its edge as its neighbours are.
    np.testing.assert_array_equal(result[0].probability > 0.5, result[0].mask)
    assert 0 < result[0].probability[result[0].mask].min() < 1
    assert {identity for frame in result for identity in frame.objects} <= {1, 7}
    assert result.origin.settings["direction"] == "forward"
    assert [(each["frame"], each["object"]) for each in result.origin.settings["prompts"]] == [(0, 1), (0, 7)]


def test_a_correction_leaves_what_came_before_it_and_undo_takes_it_back(
    model: Model, random_follower: Path, clip: Path
) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=box(12, 0))
        before = session.propagate("forward")
        session.add_mask(5, 1, mask=box(30, 40))
        after = session.propagate("forward")
        session.undo()
        again = session.propagate("forward")
    for index in range(5):
        np.testing.assert_array_equal(after[index].labels, before[index].labels)
    np.testing.assert_array_equal(after[5].mask, box(30, 40))
    for one, other in zip(before, again, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)


def test_what_was_confirmed_stays(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=box(12, 0))
        found = session.propagate()
        visible = next(frame.index for frame in found[2:] if frame.objects)
        assert session.confirm(visible) == (1,)
        session.add_mask(7, 1, mask=box(30, 40))
        after = session.propagate("both")
    np.testing.assert_array_equal(after[visible].labels, found[visible].labels)
    assert [(each.frame, each.given_as) for each in session.shown] == [(0, "mask"), (visible, "confirmed"), (7, "mask")]


def test_what_was_found_of_an_object_comes_back_with_it(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower, prompter="grabcut") as session:
        session.add_mask(0, mask=box(12, 0))
        found = session.propagate()
        frame = next(each.index for each in found[2:] if each.objects)
        before = session.preview(frame)
        session.remove(1)
        assert not session.preview(frame).any()
        session.undo()
        np.testing.assert_array_equal(session.preview(frame), before)
        column, row = np.argwhere(before == 1)[0][::-1]
        assert session.add_points(frame, 1, points=[(column, row)], labels=[0]).object == 1, "it has a mask"
        session.undo()
        assert session.confirm(frame) == (1,)


@pytest.mark.parametrize("leave", ["undo", "remove", "both"])
def test_an_id_that_is_anothers_now_shows_nothing_of_the_one_before(
    model: Model, random_follower: Path, clip: Path, leave: str
) -> None:
    with model.session(clip, follower=random_follower, prompter="grabcut") as session:
        session.add_mask(0, mask=box(12, 0))
        found = session.propagate()
        frame, other = (each.index for each in found[2:4])
        assert found[frame].objects
        if leave == "remove":
            session.remove(1)
        else:
            session.undo()
        assert session.add_mask(other, mask=box(30, 40)) == 1
        if leave == "both":
            session.remove(1)
            session.undo()
        assert session.objects == (1,)
        assert not session.preview(frame).any()
        with pytest.raises(UsageError, match="negative points only"):
            session.add_points(frame, 1, points=[(2, 14)], labels=[0])
        with pytest.raises(UsageError, match="shows no object"):
            session.confirm(frame)


@pytest.mark.parametrize(("direction", "empty"), [("forward", {0, 1, 2}), ("backward", {4, 5, 6, 7}), ("both", set())])
def test_directions(model: Model, random_follower: Path, clip: Path, direction: str, empty: set[int]) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(3, mask=box(12, 6))
        results = list(session.stream(direction))  # type: ignore[arg-type]
    assert [result.frame.index for result in results] == list(range(8))
    assert {result.frame.index for result in results if not result.objects} == empty
    np.testing.assert_array_equal(results[3].labels == 1, box(12, 6))
    assert all(result.frame.image.shape == (*SIZE, 3) for result in results)


def test_the_backward_pass_sees_the_same_in_blocks(
    model: Model, random_follower: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> list[np.ndarray]:
        with model.session(clip, follower=random_follower) as session:
            session.add_mask(6, mask=box(12, 6))
            return [result.probability for result in session.stream("backward")]

    whole = run()
    monkeypatch.setattr("covos.engines.follow_passes.BACKWARD_BLOCK", model.engine.encoder.batch)
    for one, other in zip(whole, run(), strict=True):
        np.testing.assert_allclose(one, other, atol=0.05)


def test_by_itself_it_goes_both_ways_where_that_is_of_use(clip: Path) -> None:
    with Session(open_source(clip), load=unloaded) as session:
        session.add_mask(0, mask=box(0, 0))
        assert session.direction("auto") == "forward"
        session.add_mask(4, 1, mask=box(0, 0))
        assert session.direction("auto") == "both"
        assert session.direction("forward") == "forward"


def test_files_of_every_kind(prompts: Seeds, tmp_path: Path) -> None:
    several = np.zeros(SIZE, np.uint8)
    several[:20, :20], several[30:, 30:], several[20:22] = 3, 9, 255
    write_label_map(tmp_path / "several.png", several)
    Image.fromarray(box(0, 40).astype(np.uint8) * 255).save(tmp_path / "one.png")
    assert prompts.add_file(tmp_path / "several.png", frame=0) == (3, 9)
    assert prompts.add_file(tmp_path / "one.png", frame=0) == (10,), "it has no id of its own"
    assert prompts.add_file(tmp_path / "one.png", frame=2, identity=3) == (3,)
    given = prompts.given()
    assert sorted(given[0]) == [3, 9, 10]
    np.testing.assert_array_equal(given[0][3], several == 3)
    np.testing.assert_array_equal(given[2][3], box(0, 40))
    Image.open(tmp_path / "several.png").convert("RGB").save(tmp_path / "colours.png")
    assert prompts.add_file(tmp_path / "colours.png", frame=1) == (3, 9)
    np.testing.assert_array_equal(prompts.given()[1][9], several == 9)


def test_the_same_id_twice(prompts: Seeds, tmp_path: Path) -> None:
    write_label_map(tmp_path / "a.png", box(0, 0).astype(np.uint8))
    write_label_map(tmp_path / "b.png", box(30, 30).astype(np.uint8))
    prompts.add_file(tmp_path / "a.png", frame=0)
    with pytest.raises(UsageError, match=r"object 1 is given twice on frame 0[\s\S]*a\.png and by b\.png"):
        prompts.add_file(tmp_path / "b.png", frame=0)
    prompts.add_file(tmp_path / "b.png", frame=0, identity=2)
    assert prompts.objects == (1, 2)


def test_a_file_replaces_what_there_was_to_begin_with(prompts: Seeds, tmp_path: Path) -> None:
    write_label_map(tmp_path / "a.png", box(0, 0).astype(np.uint8))
    write_label_map(tmp_path / "b.png", box(30, 30).astype(np.uint8))
    prompts.add_file(tmp_path / "a.png", frame=0)
    prompts.begin(prompts.current)
    for _ in range(2):
        prompts.add_file(tmp_path / "b.png", frame=0)
        np.testing.assert_array_equal(prompts.given()[0][1], box(30, 30))
        with pytest.raises(UsageError, match="given twice"):
            prompts.add_file(tmp_path / "b.png", frame=0)
        prompts.undo()
    np.testing.assert_array_equal(prompts.given()[0][1], box(0, 0))


def test_bad_files(prompts: Seeds, tmp_path: Path) -> None:
    write_label_map(tmp_path / "small.png", np.ones((24, 32), np.uint8))
    with pytest.raises(AnnotationError, match="32x24, the frame 64x48"):
        prompts.add_file(tmp_path / "small.png", frame=0)
    assert prompts.add_file(tmp_path / "small.png", frame=0, resize=True) == (1,)
    write_label_map(tmp_path / "empty.png", np.zeros(SIZE, np.uint8))
    with pytest.raises(AnnotationError, match="shows no object"):
        prompts.add_file(tmp_path / "empty.png", frame=1)
    soft = Image.fromarray(box(5, 5, 30).astype(np.uint8) * 9).resize((200, 150), Image.Resampling.BILINEAR)
    soft.resize(SIZE[::-1], Image.Resampling.BILINEAR).save(tmp_path / "soft.png")
    with pytest.raises(AnnotationError, match="looks resized with interpolation"):
        prompts.add_file(tmp_path / "soft.png", frame=1)
    several = np.eye(*SIZE, dtype=np.uint8) * 2 + box(0, 40)
    write_label_map(tmp_path / "several.png", several)
    with pytest.raises(UsageError, match="it shows 2 objects"):
        prompts.add_file(tmp_path / "several.png", frame=1, identity=4)
    assert prompts.frames == (0,), "nothing that was refused is left"


def test_bad_places_and_masks(prompts: Seeds) -> None:
    with pytest.raises(UsageError, match=r"frame 8 does not exist[\s\S]*8 frames"):
        prompts.add(8, {1: box(0, 0)}, given_as="mask")
    for identity in (0, MAX_ID + 1):
        with pytest.raises(UsageError, match=f"object {identity}"):
            prompts.add(0, {identity: box(0, 0)}, given_as="mask")
    with pytest.raises(UsageError, match="is empty"):
        prompts.add(0, {1: np.zeros(SIZE, bool)}, given_as="mask")
    with pytest.raises(UsageError, match=r"3 x 3 \(height x width\), the frame 48 x 64"):
        prompts.add(0, {1: np.ones((3, 3), bool)}, given_as="mask")
    prompts.add(0, {MAX_ID: box(0, 0)}, given_as="mask")
    with pytest.raises(UsageError, match=f"object {MAX_ID + 1}"):
        prompts.check_place(0, None)
    with pytest.raises(UsageError, match="nothing to undo"):
        Seeds(prompts.info).undo()
    with pytest.raises(UsageError, match="no object 3"):
        prompts.remove(3)


def test_the_seeds_know_what_was_corrected_since_a_step(prompts: Seeds) -> None:
    start = prompts.line[-1]
    prompts.add(0, {1: box(0, 0), 2: box(30, 40)}, given_as="mask")
    shown = prompts.line[-1]
    assert prompts.corrected_since(start) == {0: {1, 2}}
    assert prompts.corrected_since(shown) == {}
    prompts.add(5, {1: box(4, 4)}, given_as="mask")
    corrected = prompts.line[-1]
    assert prompts.line == (start, shown, corrected)
    assert prompts.corrected_since(shown) == {0: {1}, 5: {1}}, "all frames on which it is shown"
    prompts.undo()
    prompts.add(5, {2: box(4, 4)}, given_as="mask")
    assert prompts.line[:2] == (start, shown)
    assert prompts.line[-1] != corrected, "another step"
    prompts.remove(2)
    assert prompts.corrected_since(prompts.line[2]) == {0: {2}, 5: {2}}, "it was shown there"


def test_more_frames_than_the_memory_holds(make_clip: Callable[..., Path]) -> None:
    prompts = Seeds(open_source(make_clip(frames=MAX_GIVEN + 1)).info)
    for frame in range(MAX_GIVEN):
        prompts.add(frame, {1: box(0, 0)}, given_as="mask")
    with pytest.raises(UsageError, match=f"frame {MAX_GIVEN} would be the {MAX_GIVEN + 1}th"):
        prompts.check_place(MAX_GIVEN, 1)
    assert prompts.check_place(3, 2) == 2


def test_where_masks_overlap_the_later_has_the_pixels(prompts: Seeds) -> None:
    prompts.add(0, {1: box(0, 0, 20)}, given_as="mask")
    prompts.add(0, {2: box(10, 10, 20)}, given_as="mask")
    first = prompts.get(0, 1)
    assert first is not None
    np.testing.assert_array_equal(decode(first.mask), box(0, 0, 20) & ~box(10, 10, 20))
    with pytest.raises(UsageError, match="object 3 covers all of object 1"):
        prompts.add(0, {3: np.ones(SIZE, bool)}, given_as="mask")
    prompts.undo()
    assert prompts.objects == (1,)


def test_the_weights_that_are_wanted(
    model: Model, random_follower: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = read_card(random_follower)
    assert card is not None
    other = tmp_path / "other.safetensors"
    save_weights(other, CovosFollow(), card=card.model_copy(update={"recipe": {"encoder_sha256": "0" * 64}}))
    with pytest.raises(CheckpointError, match="does not belong to covos-lite"):
        model.session(clip, follower=other)
    with pytest.raises(UsageError, match="cannot follow objects"):
        model.session(clip, follower="covos-lite")
    monkeypatch.setattr(registry, "list_models", lambda: (model.entry,))
    with pytest.raises(EnvironmentProblem, match=r"weights of covos-follow are not there[\s\S]*covos train follow"):
        model.session(clip)


def test_refusals_of_a_session(model: Model, random_follower: Path, clip: Path) -> None:
    with pytest.raises(UsageError, match="memory = 99"):
        model.session(clip, follower=random_follower, memory=99)
    with model.session(clip, follower=random_follower) as session:
        with pytest.raises(UsageError, match="nothing to follow"):
            session.propagate()
        with pytest.raises(UsageError, match="cannot be confirmed"):
            session.confirm(0)
        session.add_mask(0, mask=box(0, 0))
        with pytest.raises(UsageError, match="direction 'sideways'"):
            session.propagate("sideways")  # type: ignore[arg-type]
        session.remove(1)
        assert session.objects == ()
        session.undo()
        assert session.objects == (1,)


def test_one_call_with_masks(model: Model, random_follower: Path, clip: Path, tmp_path: Path) -> None:
    labels = np.zeros(SIZE, np.uint8)
    labels[12:26, :14], labels[30:40, 40:60] = 2, 5
    write_label_map(tmp_path / "first.png", labels)
    by_file = segment(clip, model=model, masks=tmp_path / "first.png", follower=random_follower)
    by_array = segment(clip, model=model, masks={0: labels}, follower=random_follower)
    streamed = list(stream(clip, model=model, masks=[tmp_path / "first.png"], follower=random_follower))
    np.testing.assert_array_equal(by_file[0].labels, labels)
    for one, other, result in zip(by_file, by_array, streamed, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.labels, result.labels)
        assert [status.id for status in one.states] == [2, 5]
    saved = by_file.save(tmp_path / "out", formats=["palette"])
    assert json.loads(saved.report.read_text())["frames"][3]["states"].keys() == {"2", "5"}
    with pytest.raises(UsageError, match="where objects are followed"):
        segment(clip, model=model, masks=labels, refine="crf", follower=random_follower)


@pytest.mark.parametrize(
    "labels",
    [np.zeros((3, 3, 3), np.uint8), np.zeros(SIZE, np.float32), np.full(SIZE, 300), np.full(SIZE, -1)],
    ids=["three axes", "fractions", "above 255", "negative"],
)
def test_label_maps_that_are_none(prompts: Seeds, labels: np.ndarray) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        prompts.add_labels(0, labels)


def test_label_maps(prompts: Seeds) -> None:
    assert prompts.add_labels(0, box(0, 0)) == (1,), "bool is one object"
    assert prompts.add_labels(0, box(30, 30).astype(np.uint8) * 255) == (2,)
    with pytest.raises(UsageError, match="shows no object"):
        prompts.add_labels(0, np.zeros(SIZE, np.uint8))
    with pytest.raises(UsageError, match="24 x 32"):
        prompts.add_labels(1, np.ones((24, 32), np.uint8))
    assert prompts.add_labels(1, np.ones((24, 32), np.uint8), resize=True) == (1,)


def test_what_was_streamed_can_be_confirmed_and_corrected(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=box(4, 4))
        with pytest.raises(UsageError, match="frame 3 cannot be confirmed"):
            session.confirm(3)
        streamed = {result.frame.index: result.labels for result in session.stream("forward")}
        assert session.confirm(3) == (1,)
        np.testing.assert_array_equal(decode(session.shown[1].mask), streamed[3] == 1)
        np.testing.assert_array_equal(session.preview(5), streamed[5])
        session.add_points(5, 1, points=[(40, 30)])
        assert session.shown[-1].describe()["corrects"] == "followed"
        kept = session.result()
    assert len(kept) == 8
    for frame in kept:
        np.testing.assert_array_equal(frame.labels, streamed[frame.index])


def test_a_stream_may_be_left_and_taken_up_at_any_frame(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(2, 1, mask=box(4, 4))
        whole = {result.frame.index: result.labels for result in session.stream("forward")}
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(2, 1, mask=box(4, 4))
        for result in session.stream("forward"):
            if result.frame.index == 4:
                break
        assert [frame.index for frame in session.result()] == [0, 1, 2, 3, 4], "what was streamed is kept"
        part = list(session.stream("forward", start=5, limit=2))
        assert [result.frame.index for result in part] == [5, 6]
        for result in part:
            np.testing.assert_array_equal(result.labels, whole[result.frame.index])
        assert [frame.index for frame in session.result()] == [0, 1, 2, 3, 4, 5, 6]
        assert [result.frame.index for result in session.stream("backward", limit=2)] == [2, 1]
        assert [result.frame.index for result in session.stream(limit=3)] == [2, 3, 4, 1, 0]
        with pytest.raises(UsageError, match="nothing is known at frame 1"):
            list(session.stream("forward", start=1))
        with pytest.raises(UsageError, match="nothing is known at frame 4"):
            list(session.stream("backward", start=4))
        with pytest.raises(UsageError, match="limit = 0"):
            session.stream("forward", limit=0)
        with pytest.raises(UsageError, match="frame 8 does not exist"):
            session.stream("forward", start=8)


def test_backward_a_part_is_what_the_whole_pass_gives(model: Model, random_follower: Path, make_clip) -> None:
    clip = make_clip(frames=40)  # more than a block
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(38, 1, mask=box(4, 4))
        whole = {result.frame.index: result.labels for result in session.stream("backward")}
        part = list(session.stream("backward", limit=30))
    assert [result.frame.index for result in part] == list(range(38, 8, -1))
    for result in part:
        np.testing.assert_array_equal(result.labels, whole[result.frame.index])


def test_a_part_goes_on_from_a_checkpoint(
    model: Model, random_follower: Path, make_clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(frames=24)
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=box(4, 4))
        whole = session.propagate("forward")
        encoder, encoded = type(model.engine.encoder), []
        encode = encoder.encode
        monkeypatch.setattr(encoder, "encode", lambda self, batch: encoded.extend(batch) or encode(self, batch))
        part = list(session.stream("forward", start=20, limit=3))
        assert 3 <= len(encoded) < 12, "not from the beginning"
    for result in part:
        np.testing.assert_array_equal(result.labels, whole[result.frame.index].labels)


def test_two_sessions_share_a_model(model: Model, random_follower: Path, make_clip) -> None:
    clips = [make_clip("one.mp4"), make_clip("two.mp4", frames=12)]

    def follow(clip: Path) -> list[np.ndarray]:
        with model.session(clip, follower=random_follower) as session:
            session.add_points(0, points=[(12, 12)])
            session.add_mask(3, 2, mask=box(20, 30))
            return [result.labels for result in session.stream("both")]

    expected = [follow(clip) for clip in clips]
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    with ThreadPoolExecutor(2) as threads:
        for found, own in zip(threads.map(follow, clips), expected, strict=True):
            for one, other in zip(found, own, strict=True):
                np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_stream_stores_the_objects_that_it_began_with(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(0, 1, mask=box(4, 4))
        results = session.stream("forward")
        next(results)
        session.remove(1)
        session.add_mask(0, 1, mask=box(30, 40))
        list(results)
        assert not session.preview(5).any(), "that is the old object's mask"
        with pytest.raises(UsageError, match="frame 5 cannot be confirmed"):
            session.confirm(5)
        assert all(not frame.objects for frame in session.result())
        session.remove(1)
        assert len(session.result()) == 8


def test_from_a_frame_the_ways_that_can_be_are_gone(model: Model, random_follower: Path, clip: Path) -> None:
    with model.session(clip, follower=random_follower) as session:
        session.add_mask(3, 1, mask=box(4, 4))
        assert [result.frame.index for result in session.stream(start=5)] == [5, 6, 7]
        assert [result.frame.index for result in session.stream(start=1)] == [1, 0]
        assert [result.frame.index for result in session.stream(start=3, limit=2)] == [3, 4, 2]


def test_what_was_followed_over_another_cut_is_followed_anew(model: Model, random_follower: Path, clip: Path) -> None:
    def followed(*, before: bool) -> list[tuple[object, ...]]:
        with model.session(clip, follower=random_follower) as session:
            session.add_mask(0, 1, mask=box(12, 0))
            uncut = session.propagate("forward") if before else ()
            session.cut_at(Shots.cut(session.source, (4,)))
            cut = session.propagate("forward")
        assert [each.states for each in uncut] != [each.states for each in cut]
        return [(each.states, each.labels.tobytes()) for each in cut]

    assert followed(before=True) == followed(before=False)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not list open files")
def test_a_session_that_is_closed_leaves_no_file_open(model: Model, random_follower: Path, clip: Path) -> None:
    session = model.session(clip, follower=random_follower)
    session.add_mask(0, 1, mask=box(12, 0))
    session.cut_at(Shots.cut(session.source, (4,)))
    # The references of the second shot are not asked for.
    assert len(list(session.stream("forward", start=0, limit=2))) == 2
    session.close()
    assert str(clip.resolve()) not in {os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()}
