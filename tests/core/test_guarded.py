"""Texts and values of files that anybody may have made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from covos.core.errors import InputError
from covos.core.guarded import parse_json
from covos.core.limits import Limits
from covos.core.records import Record, read_record


class Named(Record):
    """A record of one name."""

    name: str


@pytest.mark.parametrize("text", ['{"name": "é"}', 'name = "é"'])
def test_a_byte_order_mark_is_none_of_the_text(text: str, tmp_path: Path) -> None:
    file = tmp_path / ("named.json" if text.startswith("{") else "named.toml")
    file.write_text(text, encoding="utf-8-sig")
    assert read_record(Named, file, what="it cannot be read", fix="write it again").name == "é"


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "named.json"
    file.write_text('{"name": "é"}', encoding="latin-1")
    with pytest.raises(InputError, match="it cannot be read"):
        read_record(Named, file, what="it cannot be read", fix="write it again")


def test_the_limit_that_is_named_is_enough(limited: Callable[..., Limits]) -> None:
    text = str([*range(100)])
    limited(values=10)
    with pytest.raises(ValueError, match=r"the limit values=100 ") as caught:
        parse_json(text)
    assert "more than 10 values" in str(caught.value)
    limited(values=100)
    assert parse_json(text) == [*range(100)]
