"""Options in groups: a flat command line of typed values, whose choices and defaults are those of the library."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, fields
from inspect import signature
from typing import Annotated, Any, get_args, get_type_hints

import pytest
import typer

from covos import cli
from covos.cli import data, groups, options
from covos.cli.grouping import grouped
from covos.core.types import Deinterlace, Times
from covos.data.base import Encoding, Layout
from covos.evaluation.layout import TableFormat
from covos.evaluation.protocols import ProtocolName
from covos.formats.composition import AlphaKind, Composition
from covos.formats.options import composed_formats
from covos.masks.edges import Edges
from covos.media.presets import SoundChoice
from covos.media.range import Range
from covos.plan import Damaged, Plan
from covos.task import Find, choose_task
from loaded import ROOT

COMMANDS = cli.command(cli.app).commands


@dataclass(frozen=True, kw_only=True)
class Soft:
    length: Annotated[int, typer.Option(help="Length.")] = 3
    hard: Annotated[bool, typer.Option("--hard", help="Hard.")] = False


def test_a_verb_gets_its_groups_as_values_and_the_command_line_has_their_options() -> None:
    got: list[Any] = []

    @grouped
    def verb(name: Annotated[str, typer.Argument()], quiet: options.Quiet = False, *, soft: Soft) -> None:
        got.extend([name, quiet, soft])

    app = typer.Typer()
    app.command()(verb)
    typer.main.get_command(app).main(["it", "--length", "5", "-q"], standalone_mode=False)
    assert got == ["it", True, Soft(length=5)]


def test_two_options_of_one_name_are_refused() -> None:
    def verb(length: options.Every = 1, *, soft: Soft) -> None: ...

    with pytest.raises(TypeError, match="two options of verb have the same name"):
        grouped(verb)


def test_defaults_are_those_of_the_library() -> None:
    assert groups.Rims().edges() == Edges() == groups.LiveRims().edges()
    assert groups.Part().range() == Range() == groups.LivePart().range()
    assert groups.Composing().composition() == Composition()
    assert groups.FindOptions().find() == Find()
    plan = Plan(source="clip.mp4")
    asked = groups.plan_fields(groups.FindOptions(), groups.Planned(), groups.Part(), groups.Rims(), groups.Machine())
    assert plan == Plan(source="clip.mp4", **asked)
    assert {*Plan.model_fields} - {*asked} == {"source", "task", "formats"}
    usual = {name: each.default for name, each in signature(choose_task).parameters.items()}
    asked = groups.task_settings(groups.FindOptions(), groups.FollowOptions())
    assert asked == {name: usual[name] for name in asked}
    assert {*usual} - {*asked} == {"objects", "prompts"}


def test_each_option_reaches_its_field() -> None:
    assert {*signature(groups.Composing).parameters} == {*Composition.model_fields}
    assert {*signature(groups.Part).parameters} == {*Range.model_fields}
    assert {*signature(groups.Rims).parameters} == {*Edges.model_fields}
    rims = groups.Rims(grow="1", shrink="2", feather="3", fill_holes="4", min_area="5", smooth_time=6)
    assert rims.edges() == Edges(grow="1", shrink="2", feather="3", fill_holes="4", min_area="5", smooth_time=6)
    assert groups.Part(start="1", end="9", every=2, times="source").range() == Range(
        start="1", end="9", every=2, times="source"
    )
    given: dict[str, Any] = {
        "background": "sea.mp4", "background_start": "1", "background_end": "9", "light_wrap": "2",
        "alpha": "premultiplied", "keep_hdr": True, "constant_rate": "25",
        "sound": "pcm",
    }  # fmt: skip
    assert groups.Composing(**given).composition() == Composition(**given)
    for flag in ("shadow", "each_object", "invert"):
        assert groups.Composing(**{flag: True}).composition() == Composition(**{flag: True})


def test_the_page_shows_options_beside_the_value_that_says_the_same() -> None:
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(--[^`]+)`[^|]* \| `-f ([^`]+)`", page.partition("| as an option | as a value |")[2], re.MULTILINE
    )
    assert len(rows) > 5
    for words, value in rows:
        name = value.partition("=")[0]
        if "--no-matte" in words or name == "blur":  # the one is of the plan, the other has a name of its own
            continue
        said = COMMANDS["segment"].make_context("segment", ["clip.mp4", "-o", "out", *shlex.split(words)]).params
        composing = groups.Composing(**{each.name: said[each.name] for each in fields(groups.Composing)})
        assert composed_formats([name], composing.composition()) == (value,)


@pytest.mark.parametrize(
    ("offered", "there"),
    [
        (options.Times, Times),
        (options.Damaged, Damaged),
        (options.Deinterlace, Deinterlace),
        (options.Alpha, AlphaKind | None),
        (options.Sound, SoundChoice | None),
        (data.Layouts, Layout),
        (data.Encodings, Encoding),
    ],
)
def test_choices_that_stand_here_are_those_of_rooms_that_load_what_is_large(offered: Any, there: Any) -> None:
    """The help must not load numpy, PyAV or OpenCV, which these rooms do."""
    words = [*get_args(get_args(offered)[0])] if hasattr(offered, "__metadata__") else [*get_args(offered)]
    assert [word for word in words if word != "auto" or "auto" in get_args(there)] == [*get_args(there)]


def test_the_words_of_evaluate_are_those_of_the_evaluation() -> None:
    offered = get_type_hints(COMMANDS["evaluate"].callback.__wrapped__)
    assert get_args(offered["format"]) == get_args(TableFormat)
    told = {each.name: each.help for each in COMMANDS["evaluate"].params}
    assert told["protocol"].rstrip(".").replace(" or ", ", ").split(", ") == [*get_args(ProtocolName)]
