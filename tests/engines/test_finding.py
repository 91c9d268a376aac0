"""The settings by which a subject is found: refused where they are made, and all of those of the task."""

from __future__ import annotations

import pytest

from covos.core.errors import UsageError
from covos.engines.choices import MAX_REFERENCES, Finding
from covos.task import Find


@pytest.mark.parametrize("wrong", [{"references": MAX_REFERENCES + 1}, {"references": -1}, {"refine": "crv"}])
def test_a_wrong_setting_is_refused_when_it_is_made(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"references = |crv"):
        Finding(**wrong)  # type: ignore[arg-type]


def test_a_task_hands_all_of_its_settings_on() -> None:
    task = Find(quality="best", references=3, fusion="group", reference_seed=7, refine="crf")
    assert task.finding == Finding(references=3, fusion="group", reference_seed=7, refine="crf")
