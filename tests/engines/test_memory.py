from __future__ import annotations

import pytest
import torch

from covos.engines.choices import MAX_GIVEN
from covos.engines.memory import APART, MemoryBank
from covos.models.follow import ObjectMemory

POSITIONS, KEYS, VALUES = 6, 4, 5


def memory_of(objects: int = 1) -> ObjectMemory:
    value = torch.randn(objects, POSITIONS, VALUES)
    value[..., -1] = 1
    return ObjectMemory(torch.randn(1, POSITIONS, KEYS), value)


def keep(bank: MemoryBank, index: int, *, given: bool = False, trusted: bool = True) -> bool:
    return bank.keep(index, objects=(1,), memory=memory_of(), given=given, trusted=[trusted])


@pytest.mark.parametrize("between", [0, 1, 5])
def test_it_never_holds_more_than_given_frames_some_between_and_the_latest(between: int) -> None:
    bank = MemoryBank(between=between)
    keep(bank, 0, given=True)
    sizes = set()
    for index in range(1, 2000):
        keep(bank, index, given=index == 700)
        bank.note_reading(torch.rand(1, bank.of((1,))[0].key_BMK.shape[1]))
        sizes.add(len({*bank.given, *(each.index for each in bank.middle)} | {index}))
    assert max(sizes) <= 2 + between + 1
    assert bank.of((1,))[0].value_PMC.shape[1] <= (2 + between + 1) * POSITIONS
    assert set(bank.given) == {0, 700}


def test_of_more_given_frames_than_there_may_be_the_least_read_goes() -> None:
    bank = MemoryBank(between=1)
    for index in range(MAX_GIVEN):
        keep(bank, index, given=True)
    # All that is read is in frame 7, and least of it in frame 3.
    read = torch.full((MAX_GIVEN,), 0.01)
    read[3], read[7] = 0.001, 1.0
    bank.note_reading(read.repeat_interleave(POSITIONS).unsqueeze(0))
    for index in range(MAX_GIVEN, MAX_GIVEN + 20):
        keep(bank, index, given=True)
        assert len(bank.given) == MAX_GIVEN
        assert index in bank.given
    assert 3 not in bank.given
    assert 7 in bank.given


def test_frames_between_stand_apart_and_are_trusted() -> None:
    bank = MemoryBank(between=3)
    keep(bank, 0, given=True)
    for index in range(1, 3 * APART):
        longer = keep(bank, index, trusted=index != APART)
        assert longer == any(kept.index == index for kept in bank.middle)
    assert [kept.index for kept in bank.middle] == [APART + 1, 2 * APART + 1]


def test_it_runs_backward_as_well() -> None:
    bank = MemoryBank(between=3)
    keep(bank, 50, given=True)
    for index in range(49, 30, -1):
        keep(bank, index)
    assert [kept.index for kept in bank.middle] == [45, 40, 35]


def test_the_least_read_frame_makes_room() -> None:
    bank = MemoryBank(between=2)
    keep(bank, 0, given=True)
    for index in (5, 10):
        keep(bank, index)
    # Positions: frame 0, frame 5, frame 10; all that is read is in the first two.
    read = torch.tensor([1.0, 1.0, 0.01]).repeat_interleave(POSITIONS).unsqueeze(0)
    bank.note_reading(read / read.sum())
    keep(bank, 15)
    assert [kept.index for kept in bank.middle] == [5, 15]
    assert bank.middle[0].usefulness == pytest.approx(1 / 2.01)


def test_an_object_that_came_later_is_unknown_in_earlier_frames() -> None:
    bank = MemoryBank(between=2)
    keep(bank, 0, given=True)
    bank.keep(1, objects=(1, 7), memory=memory_of(2), given=True, trusted=[True, True])
    memory, latest = bank.of((7, 1))
    assert memory.value_PMC.shape == (2, 2 * POSITIONS, VALUES)
    known = memory.value_PMC[..., -1]
    assert not known[0, :POSITIONS].any()
    assert bool(known[0, POSITIONS:].all())
    assert bool(known[1].all())
    assert latest.value_PMC.shape == (2, POSITIONS, VALUES)


def test_a_corrected_object_is_forgotten_where_it_was_only_found() -> None:
    bank = MemoryBank(between=2)
    bank.keep(0, objects=(1, 2), memory=memory_of(2), given=True, trusted=[True, True])
    bank.keep(9, objects=(1, 2), memory=memory_of(2), given=False, trusted=[True, True])
    bank.forget(2)
    known = bank.of((1, 2))[0].value_PMC[..., -1]
    assert bool(known[0].all())
    assert bool(known[1, :POSITIONS].all())
    assert not known[1, POSITIONS:].any()


def test_of_a_frame_between_the_trusted_objects_alone_are_kept() -> None:
    bank = MemoryBank(between=2)
    bank.keep(0, objects=(1, 2), memory=memory_of(2), given=True, trusted=[True, True])
    found = memory_of(2)
    assert bank.keep(APART, objects=(1, 2), memory=found, given=False, trusted=[True, False])
    known = bank.of((1, 2))[0].value_PMC[:, POSITIONS:, -1]
    assert bool(known[0].all())
    assert not known[1].any()
    latest = bank.of((1, 2))[1]
    assert bool(latest.value_PMC[..., -1].all()), "the short-term reading has all of the latest frame"
    assert bool(found.value_PMC[..., -1].all()), "what is kept is a copy"
    # The next frame replaces the latest one, and what was not trusted is gone.
    bank.keep(APART + 1, objects=(1, 2), memory=memory_of(2), given=False, trusted=[True, True])
    assert not bank.of((1, 2))[0].value_PMC[1, POSITIONS : 2 * POSITIONS, -1].any()


def test_of_a_frame_that_was_given_an_object_that_was_only_found_is_kept_if_it_is_trusted() -> None:
    bank = MemoryBank(between=2)
    for index, trusted in ((0, True), (50, False)):
        assert bank.keep(index, objects=(1, 2), memory=memory_of(2), given=True, trusted=[True, trusted])
    assert set(bank.given) == {0, 50}
    known = bank.of((1, 2))[0].value_PMC[..., -1]
    assert bool(known[0].all())
    assert bool(known[1, :POSITIONS].all())
    assert not known[1, POSITIONS:].any()


def test_without_frames_between_what_is_found_is_not_kept_for_longer() -> None:
    bank = MemoryBank(between=0)
    assert keep(bank, 0, given=True)
    assert not keep(bank, 50)
    assert bank.middle == []
    assert bank.of((1,))[0].value_PMC.shape[1] == 2 * POSITIONS, "the latest frame is there all the same"


def test_what_is_given_on_one_frame_one_after_another_is_all_known() -> None:
    bank = MemoryBank(between=2)
    bank.keep(5, objects=(1, 2), memory=memory_of(2), given=True, trusted=[False, True])
    bank.keep(5, objects=(1, 2, 3), memory=memory_of(3), given=True, trusted=[False, False, True])
    assert [bank.given[5].knows(each) for each in (1, 2, 3, 4)] == [False, True, True, False]
    assert bank.of((1, 2, 3))[0].value_PMC[..., -1].any(dim=1).tolist() == [False, True, True]


def test_the_last_views_of_an_object_that_is_hidden_stay() -> None:
    bank = MemoryBank(between=4)
    bank.keep(0, objects=(1, 2, 3), memory=memory_of(3), given=True, trusted=[True] * 3)
    for index in range(5, 105, 5):
        seen = index in (5, 10, 15)
        bank.keep(index, objects=(1, 2), memory=memory_of(2), given=False, trusted=[True, seen])
        # What is read is in the newest frames: the older ones are the least useful.
        shares = torch.linspace(0.01, 1, 1 + len(bank.middle)).repeat_interleave(POSITIONS)
        bank.note_reading(shares.expand(1, 2, -1))
    knowing = [kept.index for kept in bank.middle if kept.knows(2)]
    assert len(knowing) == 2
    assert set(knowing) < {5, 10, 15}
    assert bank.middle[-1].index == 100, "the others are still learned"
    bank.keep(105, objects=(1,), memory=memory_of(1), given=False, trusted=[True])
    bank.keep(110, objects=(1,), memory=memory_of(1), given=False, trusted=[True])
    assert not any(kept.index in (5, 10, 15) for kept in bank.middle), "what is followed no longer has no claim"


@pytest.mark.parametrize("between", [1, 2])
def test_where_there_is_little_room_the_newest_frame_stays(between: int) -> None:
    bank = MemoryBank(between=between)
    bank.keep(0, objects=(1, 2), memory=memory_of(2), given=True, trusted=[True, True])
    for index in range(5, 40, 5):
        bank.keep(index, objects=(1, 2), memory=memory_of(2), given=False, trusted=[True, index < 15])
        assert bank.middle[-1].index == index
        assert len(bank.middle) <= between
    assert [kept.index for kept in bank.middle if kept.knows(2)] == ([] if between == 1 else [10])
