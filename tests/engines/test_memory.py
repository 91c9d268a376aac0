from __future__ import annotations

import pytest
import torch

from covos.engines.memory import APART, MemoryBank
from covos.models.follow import ObjectMemory

POSITIONS, KEYS, VALUES = 6, 4, 5


def memory_of(objects: int = 1) -> ObjectMemory:
    value = torch.randn(objects, POSITIONS, VALUES)
    value[..., -1] = 1
    return ObjectMemory(torch.randn(1, POSITIONS, KEYS), value)


def keep(bank: MemoryBank, index: int, *, given: bool = False, confidence: float = 1.0) -> None:
    bank.keep(index, objects=(1,), memory=memory_of(), given=given, confidence=confidence)


@pytest.mark.parametrize("between", [0, 1, 5])
def test_it_never_holds_more_than_given_frames_some_between_and_the_latest(between: int) -> None:
    bank = MemoryBank(between=between)
    keep(bank, 0, given=True)
    sizes = set()
    for index in range(1, 2000):
        keep(bank, index, given=index == 700)
        bank.note_reading(torch.rand(1, 3, bank.of((1,))[0].key_BMK.shape[1]))
        sizes.add(len({*bank.given, *(each.index for each in bank.middle)} | {index}))
    assert max(sizes) <= 2 + between + 1
    assert bank.of((1,))[0].value_PMC.shape[1] <= (2 + between + 1) * POSITIONS
    assert set(bank.given) == {0, 700}


def test_frames_between_stand_apart_and_are_trusted() -> None:
    bank = MemoryBank(between=3)
    keep(bank, 0, given=True)
    for index in range(1, 3 * APART):
        keep(bank, index, confidence=0.1 if index == APART else 0.9)
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
    affinity = torch.tensor([1.0, 1.0, 0.01]).repeat_interleave(POSITIONS).expand(1, 2, -1)
    bank.note_reading(affinity)
    keep(bank, 15)
    assert [kept.index for kept in bank.middle] == [5, 15]
    assert bank.middle[0].usefulness == pytest.approx(1 / 2.01)


def test_an_object_that_came_later_is_unknown_in_earlier_frames() -> None:
    bank = MemoryBank(between=2)
    keep(bank, 0, given=True)
    bank.keep(1, objects=(1, 7), memory=memory_of(2), given=True, confidence=1.0)
    memory, latest = bank.of((7, 1))
    assert memory.value_PMC.shape == (2, 2 * POSITIONS, VALUES)
    known = memory.value_PMC[..., -1]
    assert not known[0, :POSITIONS].any()
    assert bool(known[0, POSITIONS:].all())
    assert bool(known[1].all())
    assert latest.value_PMC.shape == (2, POSITIONS, VALUES)


def test_a_corrected_object_is_forgotten_where_it_was_only_found() -> None:
    bank = MemoryBank(between=2)
    bank.keep(0, objects=(1, 2), memory=memory_of(2), given=True, confidence=1.0)
    bank.keep(9, objects=(1, 2), memory=memory_of(2), given=False, confidence=1.0)
    bank.forget(2)
    known = bank.of((1, 2))[0].value_PMC[..., -1]
    assert bool(known[0].all())
    assert bool(known[1, :POSITIONS].all())
    assert not known[1, POSITIONS:].any()
