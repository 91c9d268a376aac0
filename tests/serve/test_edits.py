"""Edits: what they put into a clip, and the way back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covos.core.errors import InputError, UsageError
from covos.core.types import ObjectStatus, Point, SourceInfo
from covos.masks import decode, encode
from covos.masks.edges import Edges
from covos.masks.frame_mask import FrameMask, objects_of
from covos.masks.rle import RLE
from covos.masks.soft import SoftMask
from covos.prompts.seed_mask import Pointed, SeedMask
from covos.prompts.values import PointPrompt
from covos.serve.edit_files import mask_line, mask_of, read_edit, write_edit
from covos.serve.edits import Edit, History, thing_of
from covos.serve.errors import NotYetError
from covos.serve.frame_edits import as_shown, followed, in_regions, merged, placed, without
from covos.serve.schema import Region
from covos.serve.timeline import Glance, centre, row_of
from covos.serve.tracks import track_parts
from covos.serve.views import around, edged
from serve import answers

SIZE = (6, 8)


def frame(index: int, labels: np.ndarray, *, soft: bool = False) -> FrameMask:
    found = labels.astype(np.uint8)
    return FrameMask(
        index=index,
        stem=f"{index:05}",
        pts=index * 3,
        time_base=Fraction(1, 30),
        status="ok",
        confidence=0.5 if index else math.nan,
        size=found.shape,
        objects=objects_of(found),
        states=tuple(ObjectStatus(id=int(each), state="present", confidence=0.5) for each in np.unique(found) if each),
        soft=SoftMask.of((found > 0).astype(np.float32) * 0.75, found > 0) if soft else None,
    )


def labels(text: str) -> np.ndarray:
    """A label map, a digit a pixel."""
    return np.array([[int(digit) for digit in row] for row in text.split()], np.uint8)


BOTH = "11100000 11100222 00000222 00000222 00000000 00000000"


def test_an_object_that_was_unsure_is_sure_where_it_is_shown() -> None:
    """The follower had taken object 3 for hidden; the user clicks on it, and then takes it away."""
    whole = frame(1, labels(BOTH))
    hidden = ObjectStatus(id=3, state="occluded", confidence=0.2)
    whole = replace(whole, states=(*whole.states, hidden), confidence=0.4)
    new = labels("00000000 00000000 00000000 00000000 03300000 03300000") > 0
    after = as_shown(whole, 3, encode(new))
    assert {each.id: (each.state, each.confidence) for each in after.states} == {
        **{1: ("present", 0.5), 2: ("present", 0.5)},
        3: ("present", 1.0),
    }
    assert after.confidence == pytest.approx(2 / 3)
    gone = as_shown(after, 3, encode(np.zeros(SIZE, np.bool_)))
    assert gone.states[-1] == ObjectStatus(id=3, state="occluded", confidence=1.0)
    assert 3 not in gone.objects


def test_what_was_not_followed_has_no_state_by_a_click() -> None:
    whole = frame(1, labels(BOTH))
    after = as_shown(whole, 3, encode(labels("00000000 00000000 00000000 00000000 03300000 03300000") > 0))
    assert [each.id for each in after.states] == [1, 2]
    assert after.confidence == whole.confidence


def test_the_new_object_has_the_pixels() -> None:
    new = labels("00000000 00111100 00111100 00000000 00000000 00000000") > 0
    after = placed(frame(0, labels(BOTH), soft=True), {3: encode(new)})
    np.testing.assert_array_equal(after.labels, labels("11100000 11333322 00333322 00000222 00000000 00000000"))
    assert after.soft is None  # the old edge is no longer true


def test_an_object_that_is_covered_is_gone() -> None:
    after = placed(frame(0, labels(BOTH)), {2: encode(np.ones(SIZE, np.bool_))})
    assert list(after.objects) == [2]


def test_what_was_not_followed_stays_behind() -> None:
    before = frame(4, labels(BOTH))
    result = frame(4, labels("00000000 02222000 00000000 00000000 00000000 00000000"))
    after = followed(before, result, tracked=frozenset({2}))
    np.testing.assert_array_equal(after.labels, labels("11100000 12222000 00000000 00000000 00000000 00000000"))
    assert {each.id for each in after.states} == {1, 2}
    gone = followed(before, frame(4, np.zeros(SIZE)), tracked=frozenset({2}))
    assert list(gone.objects) == [1]
    assert followed(None, result, tracked=frozenset({2})) is result


def test_an_object_leaves_or_joins_another() -> None:
    assert list(without(frame(0, labels(BOTH)), 1, left={2}).objects) == [2]
    together = merged(frame(0, labels(BOTH)), 1, 2)
    assert list(together.objects) == [2]
    assert [each.id for each in together.states] == [2]
    assert decode(together.objects[2]).sum() == (labels(BOTH) > 0).sum()


def test_the_subject_leaves_a_region() -> None:
    """With its soft edge; other objects stay, and what lies beyond all regions."""
    out = Region(box=(0, 0, 2, 6)).prompt
    after = in_regions(frame(0, labels(BOTH), soft=True), (out,))
    np.testing.assert_array_equal(after.labels, labels("00100000 00100222 00000222 00000222 00000000 00000000"))
    assert after.probability[0, :4] == pytest.approx([0, 0, 0.75, 0], abs=0.01)
    assert after.probability[1, 6] == pytest.approx(0.75, abs=0.01)
    alone = Region(role="within", box=(5, 0, 8, 6)).prompt
    assert list(in_regions(frame(0, labels(BOTH)), (out, alone)).objects) == [2]
    far = frame(0, labels(BOTH))
    assert in_regions(far, (Region(box=(3, 4, 8, 6)).prompt,)) is far


def edit(*frames: FrameMask, kind: str = "prompt", things: int = 1) -> Edit:
    return Edit(
        kind=kind,
        seeds=(),
        things=tuple(thing_of(number) for number in range(1, things + 1)),
        frames={each.index: each for each in frames},
    )


@given(steps=st.lists(st.tuples(st.sampled_from(["add", "undo", "redo", "find"]), st.integers(0, 3)), max_size=30))
def test_there_and_back(steps: list[tuple[str, int]]) -> None:
    """The masks are always those of the edits in force, one after another, over what was found."""
    history, done, undone, found = History(), [], [], {}
    for number, (step, index) in enumerate(steps):
        if step == "add":
            each = edit(frame(index, np.full(SIZE, number % 200 + 1)), things=number + 1)
            history.add(each)
            done.append(each)
            undone = []
        elif step == "find":
            mask = frame(index, np.zeros(SIZE))
            history.find(mask)
            found[index] = mask
        elif step == "undo" and done:
            assert history.undo() == tuple(done[-1].frames)
            undone.append(done.pop())
        elif step == "redo" and undone:
            assert history.redo() == tuple(undone[-1].frames)
            done.append(undone.pop())
        expected = dict(found)
        for each in done:
            expected.update(each.frames)
        assert history.frames == expected
        assert history.revision == len(done)
        assert history.redoes == (undone[-1].kind if undone else None)
        assert history.undoes == (done[-1].kind if done else None)


def test_there_is_nothing_to_undo() -> None:
    with pytest.raises(UsageError, match="nothing to undo"):
        History().undo()
    with pytest.raises(UsageError, match="nothing to do again"):
        History().redo()


def test_an_edit_comes_back_from_the_disk(tmp_path: Path) -> None:
    mask = replace(frame(3, labels(BOTH), soft=True), source_index=9, feather=2.5)
    prompt = PointPrompt(frame=3, object=2, points=(Point(x=1.5, y=2, positive=False), Point(x=6, y=2)))
    seeds = (
        SeedMask(frame=3, object=1, mask=mask.objects[1], given_as="confirmed"),
        SeedMask(
            frame=3,
            object=2,
            mask=mask.objects[2],
            given_as="points",
            pointed=Pointed(at=prompt, prompter="covos-prompt", corrects="followed"),
        ),
    )
    written = Edit(
        kind="track",
        object=2,
        seeds=seeds,
        things=(thing_of(1), thing_of(2, name="é")),
        regions=(Region(box=(0, 0, 2, 6)).prompt,),
        edges=Edges(grow=1, fill_holes=True),
        frames={3: mask},
    )
    file = tmp_path / "000001.jsonl"
    write_edit(written, file)
    assert read_edit(file, time_base=Fraction(1, 30)) == written
    assert math.isnan(mask_of(mask_line(frame(0, labels(BOTH))).encode(), time_base=Fraction(1, 30)).confidence)


def test_the_fields_of_a_line_stand_in_their_order() -> None:
    """Clips of earlier versions are opened again."""
    mask = frame(0, labels(BOTH))
    always = ["index", "stem", "pts", "status", "confidence", "size", "objects", "states", "file", "source_index"]
    assert list(json.loads(mask_line(replace(mask, soft=None)))) == always
    soft = SoftMask.of(mask.probability, mask.mask)
    line = json.loads(mask_line(replace(mask, soft=soft, kept_matte=soft)))
    assert list(line) == [*always, "soft", "bits", "matte", "matte_bits"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[1]",
        '{"kind": "track", "seeds": [], "things": [], "x": 1}\n{"index": 0}',
        '{"kind": "track", "seeds": [], "things": [], "edges": {"grow": "far"}}',
    ],
)
def test_a_damaged_edit(tmp_path: Path, content: str) -> None:
    file = tmp_path / "000001.jsonl"
    file.write_text(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_edit(file, time_base=Fraction(1, 30))


def seeds(**given: str) -> tuple[SeedMask, ...]:
    """Seeds by frame: ``f3="points"``."""
    mask = encode(np.ones(SIZE, np.bool_))
    return tuple(SeedMask(frame=int(name[1:]), object=1, mask=mask, given_as=how) for name, how in given.items())


@pytest.mark.parametrize(
    ("asked", "shown", "parts"),
    [
        ({"start": 5}, seeds(f5="points"), [("forward", 5, 15), ("backward", 5, 6)]),
        ({"start": 5, "direction": "forward"}, seeds(f5="points"), [("forward", 5, 15)]),
        ({"start": 5, "stop": 9}, seeds(f5="points"), [("forward", 5, 5)]),
        ({"start": 5, "stop": 2}, seeds(f5="points"), [("backward", 5, 4)]),
        # A confirmed frame is never passed, nor changed.
        ({"start": 5}, seeds(f2="confirmed", f5="points", f9="confirmed"), [("forward", 5, 4), ("backward", 5, 3)]),
        ({"start": 5, "stop": 15}, seeds(f5="points", f9="confirmed"), [("forward", 5, 4)]),
        # Where nothing is shown on one side, both ways begin with the nearest frame that shows something.
        ({"start": 8}, seeds(f3="points", f5="points"), [("forward", 5, 15), ("backward", 5, 6)]),
        ({"start": 2}, seeds(f5="points", f7="points"), [("forward", 5, 15), ("backward", 5, 6)]),
        ({"start": 8, "stop": 12}, seeds(f5="points"), [("forward", 5, 8)]),
        ({"start": 8, "direction": "forward"}, seeds(f5="points"), [("forward", 8, 12)]),
        ({"start": 2, "direction": "backward"}, seeds(f5="points"), [("backward", 2, 3)]),
    ],
)
def test_the_stretches_of_a_track(asked: dict, shown: tuple[SeedMask, ...], parts: list) -> None:
    assert list(track_parts(**{"direction": "both", "stop": None, **asked}, seeds=shown, count=20)) == parts


def test_a_track_passes_a_confirmed_frame_that_was_corrected_since() -> None:
    corrected = replace(seeds(f9="points")[0], object=2)
    shown = (*seeds(f5="points", f9="confirmed"), corrected)
    assert list(track_parts(direction="forward", start=5, stop=None, seeds=shown, count=20)) == [("forward", 5, 15)]


def test_a_track_that_knows_nothing_says_from_where_it_could_go() -> None:
    shown = seeds(f3="points", f5="points")
    with pytest.raises(NotYetError, match="back from frame 8") as told:
        track_parts("backward", start=8, stop=None, seeds=shown, count=20)
    assert "frame 5 or before" in told.value.fix
    with pytest.raises(NotYetError, match="on from frame 2") as told:
        track_parts("forward", start=2, stop=None, seeds=shown, count=20, name="frame {0} (f1{0})".format)
    assert "frame 3 (f13) or after" in told.value.fix


@given(st.data())
def test_the_middle_of_a_mask(data: st.DataObject) -> None:
    """The same as from the pixels, but for runs over the end of a column, which count as if they went on below."""
    height, width = 9, 7
    top, left = data.draw(st.integers(0, height - 2)), data.draw(st.integers(0, width - 1))
    mask = np.zeros((height, width), np.bool_)
    mask[top : data.draw(st.integers(top + 1, height - 1)), left : data.draw(st.integers(left + 1, width))] = True
    rows, columns = np.nonzero(mask)
    assert centre(encode(mask)) == pytest.approx((columns.mean(), rows.mean()))


def test_rows_and_edges() -> None:
    row = row_of(frame(2, labels(BOTH)))
    assert row.objects == [1, 2]
    assert row.box[2] == (5, 1, 3, 3)
    assert row.area[1] == pytest.approx(6 / 48)
    assert row_of(frame(0, labels(BOTH))).confidence is None
    assert decode(edged_at(2, [labels(BOTH)] * 3, Edges(grow=1))[2]).sum() > 9
    assert edged_at(2, [labels(BOTH)] * 3, Edges(smooth_time=1))[2] == row_rle()


def edged_at(index: int, shown: list[np.ndarray], edges: Edges, *, cuts: tuple[int, ...] = ()) -> Mapping[int, RLE]:
    asked = range(index, index + 1)
    near = [frame(each, shown[each]) for each in around(asked, edges) if each < len(shown)]
    ((mask, objects),) = edged(near, edges, asked=asked, cuts=cuts)
    assert mask.index == index
    return objects


def test_the_page_fills_the_holes_that_downloads_fill() -> None:
    ring = np.ones((40, 60), np.uint8)
    ring[0] = 0
    ring[10:20, 20:30] = 0
    shown = [np.where(np.arange(40)[:, None] > 0, 1, ring * (index == 3)) for index in range(7)]
    shown[3] = ring
    few, many = Edges(fill_holes=20), Edges(fill_holes="all")
    assert decode(edged_at(3, shown, few)[1])[15, 25], "it pops up for a frame"
    assert not decode(edged_at(3, shown, few, cuts=(3, 4))[1])[15, 25], "its shot has no other frame"
    assert not decode(edged_at(3, [ring] * 7, few)[1])[15, 25]
    assert decode(edged_at(3, [ring] * 7, many)[1])[15, 25]
    assert around(range(1, 4), few) == range(6)
    assert around(range(1, 4), many) == range(1, 4)


def row_rle() -> object:
    return frame(2, labels(BOTH)).objects[2]


def test_frames_are_compared_within_their_shot() -> None:
    """An object that stands elsewhere after a cut is not doubtful."""
    left, right = "11000000 11000000", "00000011 00000011"
    rest = " 00000000" * 4
    known = {
        index: replace(frame(index, labels((left if index < 6 else right) + rest)), confidence=1.0, states=())
        for index in range(12)
    }
    info = SourceInfo(
        path="clip.mp4",
        kind="video",
        height=SIZE[0],
        width=SIZE[1],
        frame_count=12,
        frame_rate=Fraction(10),
        duration=1.2,
        time_base=Fraction(1, 30),
    )
    glance = Glance(info)

    def flags(cuts: tuple[int, ...]) -> tuple[int, ...]:
        told = glance.timeline(known, seeds=(), names=(1,), live=[], cuts=cuts)
        assert told.cuts == cuts
        return told.flags

    assert 6 in flags(())
    assert flags((6,)) == ()
    assert 6 in flags(()), "with other cuts, it is looked at anew"


@pytest.mark.parametrize("there", [(), (0, 1, 2), (4, 5), (1, 8), (0, 3, 4, 8)])
@pytest.mark.parametrize("every", [1, 3])
def test_frames_without_masks_have_times_among_those_of_the_others(there: tuple[int, ...], every: int) -> None:
    """A part of a video from its frame 300, whose search was stopped, or of which frames were followed."""
    count, rate = 9, Fraction(25, every)
    info = SourceInfo(
        path="clip.mp4",
        kind="video",
        height=4,
        width=6,
        frame_count=count,
        frame_rate=rate,
        duration=count / float(rate),
        time_base=Fraction(1, 25),
        start=300,
        every=every,
        times="zero",
    )
    known = {index: replace(answers.mask_of(index, 1), pts=300 + index * every) for index in there}
    times = Glance(info).timeline(known, seeds=(), names=(1,), live=[], cuts=()).times
    assert times == pytest.approx([(300 + index * every) / 25 for index in range(count)])
    # Frames need not follow at one rate.
    late = {index: replace(mask, pts=mask.pts + (9 if index > 4 else 0)) for index, mask in known.items()}
    times = Glance(info).timeline(late, seeds=(), names=(1,), live=[], cuts=()).times
    assert list(times) == sorted(set(times))
    assert all(times[index] == mask.time for index, mask in late.items())


def test_twelve_objects_have_colours_that_are_told_apart() -> None:
    colours = [thing_of(number).color for number in range(1, 13)]
    levels = np.array([[int(each[at : at + 2], 16) for at in (1, 3, 5)] for each in colours], np.float32) / 255
    lab = cv2.cvtColor(levels[None], cv2.COLOR_RGB2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(12, 1)]
    assert apart.min() > 25  # of CIE 1976; 2 are just seen


def test_no_rim_of_the_subject_stays_round_a_new_object_and_it_comes_back_with_its_pixels() -> None:
    subject, shown = np.zeros((480, 640), np.uint8), np.zeros((480, 640), np.bool_)
    subject[97:253, 97:223], subject[100:250, 400:520] = 1, 1
    shown[100:250, 100:220] = True
    found, history = frame(0, subject), History()
    history.find(found)
    after = as_shown(found, 2, encode(shown))
    assert not decode(after.objects[1])[:, :300].any()
    np.testing.assert_array_equal(decode(after.objects[2]), shown)
    history.add(history.edit("prompt", frames={0: after}, shown=2))
    back = without(after, 2, left={1}, taken=history.taken_by(2)[0])
    np.testing.assert_array_equal(back.labels, subject)
