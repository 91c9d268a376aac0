"""A wrong value is refused in the words of the house, whatever pydantic says."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from covos.core.records import faults


class Shown(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["point", "box"] = "point"
    frame: int = Field(default=0, ge=0)
    share: float = Field(default=0.5, lt=1)
    name: str = Field(default="it", max_length=3)
    ids: list[int] = Field(default=[1], min_length=1)
    own: int = 1

    @field_validator("own")
    @classmethod
    def _own(cls, value: int) -> int:
        if value == 2:
            raise ValueError("Two are one too many")
        return value


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "line"}, "kind: it should be 'point' or 'box'"),
        ({"frame": -1}, "frame: it should be 0 or more"),
        ({"frame": "x"}, "frame: it should be a whole number"),
        ({"share": 1}, "share: it should be below 1.0"),
        ({"name": "long"}, "name: it should have 3 characters at most"),
        ({"ids": []}, "ids: it should have 1 or more entries"),
        ({"ids": 3}, "ids: it should be a list"),
        ({"more": 3}, "more: there is no such field"),
        ({"own": 2}, "own: two are one too many"),
        ([], "all of it: it should be a table of names and values"),
    ],
)
def test_faults_are_in_the_words_of_the_house(given: object, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Shown.model_validate(given)
    assert faults(refused.value) == said
