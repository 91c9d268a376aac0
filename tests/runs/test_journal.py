"""Records come back as they were; a journal that was torn anywhere goes on from its last whole batch."""

import errno
import json
import math
import os
import sys
import zlib
from collections import deque
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from covos.core.errors import EnvironmentProblem, InputError, SourceError
from covos.core.types import Frame, FrameResult, ObjectStatus
from covos.masks.frame_mask import FrameMask
from covos.masks.soft import SURE, Depth, SoftMask
from covos.runs import journal as module
from covos.runs.journal import Journal, JournalEntry, count_entries, read_entries, read_kept

COUNT = 7


def soft(result: FrameResult) -> FrameResult:
    """The result with a probability of many values."""
    values = np.random.default_rng(result.frame.index).random(result.labels.shape, np.float32)
    return FrameResult(frame=result.frame, probability=values, labels=result.labels, confidence=result.confidence)


def record(result, index: int, *, bits: Depth = 8, **changes: object) -> JournalEntry:
    return JournalEntry.of(soft(result(index, **changes)), seconds=0.25, bits=bits)


def fill(path: Path, result, *, batch: int = 1, until: int = COUNT) -> list[FrameResult]:
    """Write the rest of a journal; give what all its frames become."""
    with Journal(path, batch=batch) as journal:
        replayed = [each.restore(result(each.masks.index).frame) for each in journal.replay()]
        made = [record(result, index) for index in range(journal.resumed, until)]
        for each in made:
            journal.append(each)
        assert journal.count == until
    return [*replayed, *(each.restore(result(each.masks.index).frame) for each in made)]


def assert_equal(one: FrameResult, other: FrameResult) -> None:
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.probability, other.probability)
    assert (one.confidence, one.frame.index) == (other.confidence, other.frame.index)
    assert one.probability.dtype == np.float32
    assert one.labels.dtype == np.uint8


@pytest.mark.parametrize("ids", [(), (1,), (1, 200), (3, 7, 254)])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_record_read_back_restores_the_same(result, ids: tuple[int, ...], bits: Depth) -> None:
    kept = record(result, 3, ids=ids, bits=bits)
    line = kept.to_json()
    assert "\n" not in line
    read = JournalEntry.from_json(line)
    frame = result(3).frame
    assert_equal(kept.restore(frame), read.restore(frame))
    assert read.seconds == 0.25
    original = soft(result(3, ids=ids))
    np.testing.assert_array_equal(read.masks.labels, original.labels)
    exact = 0.5 / 65535 if bits == 16 else (SURE + 0.5) / 255
    assert np.abs(read.restore(frame).probability - original.probability).max() <= exact + 1e-6


def test_probabilities_of_nought_and_one_are_exact(result) -> None:
    hard = result(0)
    np.testing.assert_array_equal(
        JournalEntry.of(hard, seconds=0, bits=8).restore(hard.frame).probability, hard.probability
    )


@pytest.mark.parametrize("stem", ["日本 😀", 'quo"te\nline', os.fsdecode(b"caf\xe9")])
def test_any_name(tmp_path: Path, result, stem: str) -> None:
    with Journal(tmp_path / "j", batch=1) as journal:
        journal.append(record(result, 0, stem=stem, confidence=math.nan))
    with Journal(tmp_path / "j", batch=1) as journal:
        (read,) = journal.replay()
    assert read.masks.stem == stem
    assert math.isnan(read.masks.confidence)


def test_another_frame_is_refused(result) -> None:
    kept = record(result, 3)
    frame = result(3).frame
    others = [result(4).frame, result(3, stem="x").frame, result(3, pts=9).frame, result(3, size=(49, 64)).frame]
    assert kept.restore(frame).frame is frame
    for other in others:
        assert isinstance(other, Frame)
        with pytest.raises(SourceError, match="no longer what it was"):
            kept.restore(other)


def test_the_fields_of_a_line_stand_in_their_order(result) -> None:
    """Runs of earlier versions go on with these files, and other programs read them."""
    short = ["index", "stem", "pts", "status", "confidence", "seconds", "size", "objects", "bits", "soft"]
    assert list(json.loads(record(result, 3).to_json())) == short
    states = (ObjectStatus(id=1, state="visible", confidence=0.5),)
    every = replace(result(3), objects=states, between=True, feather=1.5, matte=result(3).probability)
    line = json.loads(JournalEntry.of(every, seconds=0).to_json())
    assert list(line) == [*short[:8], "states", "between", "feather", "bits", "soft", "matte"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"size": [1, 1], "objects": {"1": "x"}, "index": 0}'])
def test_what_is_no_record(text: str) -> None:
    with pytest.raises(InputError, match="an entry"):
        JournalEntry.from_json(text)


@pytest.mark.parametrize("identity", ["0", "-1", "300", "x"])
def test_an_object_of_no_id(result, identity: str) -> None:
    content = json.loads(record(result, 0).to_json())
    content["objects"] = {identity: next(iter(content["objects"].values()))}
    with pytest.raises(InputError, match="an entry"):
        JournalEntry.from_json(json.dumps(content))


def test_each_line_is_json_and_says_which_frame(tmp_path: Path, result) -> None:
    fill(tmp_path / "j", result)
    lines = (tmp_path / "j").read_bytes().splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(COUNT))


@pytest.mark.parametrize("batch", [1, 3])
def test_cut_at_any_byte_it_goes_on_from_the_last_whole_batch(tmp_path: Path, result, batch: int) -> None:
    whole = fill(tmp_path / "whole", result)
    content = (tmp_path / "whole").read_bytes()
    ends = [0]
    while ends[-1] < len(content):
        ends.append(content.index(b"\n", ends[-1]) + 1)
    near = {min(max(0, end + step), len(content)) for end in ends for step in (-40, -2, -1, 0, 1, 40)}
    for cut in sorted(near):
        path = tmp_path / f"cut{cut}"
        path.write_bytes(content[:cut])
        safe = sum(end <= cut for end in ends[1:])
        with Journal(path, batch=batch) as journal:
            assert journal.resumed == journal.count == safe // batch * batch
        assert path.read_bytes() == content[: ends[safe // batch * batch]]
        for one, other in zip(fill(path, result, batch=batch), whole, strict=True):
            assert_equal(one, other)
        assert path.read_bytes() == content


@pytest.mark.parametrize("at", [0, 30, 500, 2000])
def test_a_changed_byte_ends_what_is_safe(tmp_path: Path, result, at: int) -> None:
    fill(tmp_path / "j", result)
    content = bytearray((tmp_path / "j").read_bytes())
    content[at] ^= 4
    (tmp_path / "j").write_bytes(content)
    with Journal(tmp_path / "j", batch=1) as journal:
        assert journal.resumed == content[:at].count(b"\n")


def test_zeros_and_repeated_lines_after_a_power_cut_are_cut_off(tmp_path: Path, result) -> None:
    fill(tmp_path / "j", result, until=2)
    content = (tmp_path / "j").read_bytes()
    for rubbish in (bytes(4096), b"\n", content):
        (tmp_path / "j").write_bytes(content + rubbish)
        with Journal(tmp_path / "j", batch=1) as journal:
            assert journal.resumed == 2
        assert (tmp_path / "j").read_bytes() == content


def test_the_times_of_the_earlier_run_are_kept(tmp_path: Path, result) -> None:
    fill(tmp_path / "j", result, until=2)
    with Journal(tmp_path / "j", batch=1) as journal:
        assert [each.seconds for each in journal.replay()] == [0.25, 0.25]
        assert journal.seconds(1) == 0.25


def test_frames_come_in_order(tmp_path: Path, result) -> None:
    with Journal(tmp_path / "j", batch=1) as journal, pytest.raises(ValueError, match="cannot follow"):
        journal.append(record(result, 1))


def append_under(limit: int, path: Path) -> tuple[int, str]:
    """Append where no file may be longer; return how many records there are by then, and the text of the error."""
    import resource

    journal = Journal(path, batch=1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    labels = np.zeros((48, 64), np.uint8)
    soft = SoftMask.of(labels.astype(np.float32), labels > 0)
    masks = FrameMask(
        index=0, stem="00000", pts=0, time_base=Fraction(1, 25), status="ok", confidence=1.0, size=labels.shape,
        objects={}, soft=soft,
    )  # fmt: skip
    placed = (replace(masks, index=index, stem=f"{index:05d}", pts=index) for index in range(20))
    entries = [JournalEntry(masks=each, seconds=0.0) for each in placed]
    with pytest.raises(EnvironmentProblem) as caught:
        deque(map(journal.append, entries))
    return journal.count, str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
@pytest.mark.parametrize("limit", [0, 100, 1000, 2000])
def test_a_full_disk_leaves_whole_records_only(tmp_path: Path, limit: int) -> None:
    from children import in_child  # it needs POSIX, too

    path = tmp_path / "j"
    child = in_child(lambda: append_under(limit, path))
    assert child.end == "answered", child.answer
    count, said = child.answer
    assert "could not be written" in said
    content = path.read_bytes()
    assert content.endswith(b"\n") or not content
    assert len(content) <= limit
    with Journal(path, batch=1) as journal:
        assert journal.count == content.count(b"\n") == count
    assert path.read_bytes() == content


@pytest.mark.parametrize("bits", [8, 16])
def test_what_a_run_goes_on_with_is_what_a_later_run_reads(result, bits: Depth) -> None:
    entry, now = JournalEntry.and_restored(soft(result(3)), seconds=0.25, bits=bits)
    later = JournalEntry.from_json(entry.to_json()).restore(result(3).frame)
    assert_equal(now, later)
    # It is the rounded probability, not the one that the network gave.
    assert not np.array_equal(now.probability, soft(result(3)).probability)


def test_the_status_that_a_frame_had_and_what_it_was_made_of_come_back(result) -> None:
    whole = result(3)
    uncomputed = replace(whole, frame=replace(whole.frame, status="uncomputed"), between=True)
    read = JournalEntry.from_json(JournalEntry.of(uncomputed, seconds=0).to_json()).restore(whole.frame)
    assert (read.frame.status, read.between) == ("uncomputed", True)
    assert read.frame.image is whole.frame.image
    plain = JournalEntry.from_json(JournalEntry.of(whole, seconds=0).to_json()).restore(whole.frame)
    assert (plain.frame.status, plain.between) == ("ok", False)


def test_errors_say_what_is_wrong_and_what_to_do(result) -> None:
    with pytest.raises(InputError) as unreadable:
        JournalEntry.from_json('{"seconds": 1}')
    assert "an entry of the journal cannot be read" in unreadable.value.what
    assert unreadable.value.why == "KeyError: 'size'"
    assert unreadable.value.fix == "begin anew in another folder"
    with pytest.raises(SourceError) as other:
        record(result, 3).restore(result(4).frame)
    assert other.value.fix == "put the source back as it was, or begin anew in another folder"


def test_entries_are_read_up_to_the_first_torn_one(tmp_path: Path, result) -> None:
    path = tmp_path / "j"
    fill(path, result, until=3)
    path.write_bytes(path.read_bytes()[:-5])
    assert [each.masks.index for each in read_entries(path)] == [0, 1]
    assert [each.masks.index for each in read_entries(path, count=1)] == [0]
    assert [each.index for each in read_kept(path)] == [0, 1]
    assert count_entries(path) == 2


def test_a_journal_that_is_not_there_has_no_entries(tmp_path: Path) -> None:
    assert count_entries(tmp_path / "none") == 0
    assert count_entries(tmp_path) == 0


def test_masks_of_a_line_that_is_whole_and_no_record_are_refused(tmp_path: Path) -> None:
    body = b'{"index": 0, "size": "no"'
    (tmp_path / "j").write_bytes(b'%s, "crc32": "%08x"}\n' % (body, zlib.crc32(body)))
    with pytest.raises(InputError, match="an entry of the journal cannot be read"):
        list(read_kept(tmp_path / "j"))


def test_the_earlier_run_is_replayed_and_not_what_this_one_adds(tmp_path: Path, result) -> None:
    fill(tmp_path / "j", result, until=2)
    with Journal(tmp_path / "j", batch=1) as journal:
        journal.append(record(result, 2))
        assert [each.masks.index for each in journal.replay()] == [0, 1]


@pytest.mark.parametrize("whole", [False, True])
def test_a_torn_end_is_cut_off_unless_the_journal_is_whole(tmp_path: Path, whole: bool, result) -> None:
    path = tmp_path / "j"
    fill(path, result, until=2)
    content = path.read_bytes()
    path.write_bytes(content + b'{"index": 2,')
    given = {"whole": True} if whole else {}
    with Journal(path, batch=1, **given) as journal:
        assert journal.count == 2
    assert path.read_bytes() == (content + b'{"index": 2,' if whole else content)


def test_an_entry_that_cannot_be_added_leaves_the_journal_as_it_was(
    tmp_path: Path, result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SYNC_EVERY", 0.0)
    path = tmp_path / "j"
    with Journal(path, batch=1) as journal:
        journal.append(record(result, 0))
        journal.append(record(result, 1))
        before = path.read_bytes()
        with monkeypatch.context() as full:
            full.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
            with pytest.raises(EnvironmentProblem) as caught:
                journal.append(record(result, 2))
        assert str(path) in str(caught.value)
        assert (path.read_bytes(), journal.count) == (before, 2)
        journal.append(record(result, 2))
    assert count_entries(path) == 3


def test_the_disk_is_waited_for_now_and_then_and_at_the_end(
    tmp_path: Path, result, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    clock = [100.0]
    monkeypatch.setattr(os, "fsync", waited.append)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    with Journal(tmp_path / "j", batch=1) as journal:
        counts = []
        for index, seconds in enumerate((0.0, 0.5, 0.5, 0.75)):
            clock[0] += seconds
            journal.append(record(result, index))
            counts.append(len(waited))
        assert counts == [0, 0, 1, 1]  # after one second in all, and not yet again
    assert len(waited) == 2
    assert all(isinstance(each, int) for each in waited)
