"""Clips that nobody looks at leave the memory, but for those that work begins on."""

from __future__ import annotations

from pathlib import Path

import pytest

from covos.serve.clip import Clip
from covos.serve.desk import Desk
from covos.serve.queue import Work
from covos.serve.rules import Rules
from serve.test_desk import PLAN, a_clip


def test_a_clip_is_not_forgotten_while_a_track_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(Rules(root=tmp_path / "clips"), plan=PLAN)
    begins, rests = (a_clip(tmp_path / "clips", name) for name in ("begins", "rests"))
    desk._clips |= {clip.id: clip for clip in (begins, rests)}
    for clip in (begins, rests):
        clip.seen -= 7200
    was_in_use = desk.queue.in_use

    def in_use(clip: Clip) -> bool:
        known = was_in_use(clip)
        if clip is begins:  # somebody asks for it just then
            desk.queue.put(Work(clip=clip, stage="tracking", run=lambda: None))
        return known

    monkeypatch.setattr(desk.queue, "in_use", in_use)
    desk.expire()
    assert (begins.is_read, rests.is_read) == (True, False)
