"""The embedded model is worth what its card says, where the data to measure it are at hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from covos.model import load_model
from covos.models.registry import find_model
from covos.reproduce import reproduce_davis2016

DAVIS = Path(__file__).parents[2] / "shared" / "data" / "davis2016"


@pytest.mark.thorough  # a minute; what a change does to a mask is noticed by `golden/test_end_to_end.py`
@pytest.mark.skipif(not DAVIS.is_dir(), reason="the DAVIS sequences are not part of the repository")
def test_the_score_on_the_card_is_reached(tmp_path: Path) -> None:
    claimed = next(
        values for name, values in find_model("covos-lite").card.scores.items() if re.search(r"val_open", name)
    )
    done = reproduce_davis2016(DAVIS, output=tmp_path, model=load_model(), subset="val_open", workers=2)
    # Processors round bfloat16 and float32 differently: a contour pixel here and there.
    assert done.evaluation.scores.j.mean == pytest.approx(claimed["J"], abs=0.01)
    assert done.evaluation.scores.f.mean == pytest.approx(claimed["F"], abs=0.01)
