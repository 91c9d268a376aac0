"""The command line: one file a verb. Importing it must stay light, see ``tests/cli/test_start.py``."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Annotated, Any, NoReturn

import typer

from covos._version import __version__
from covos.cli import data, models
from covos.cli.batch import batch
from covos.cli.bench import bench
from covos.cli.convert import convert
from covos.cli.correct import correct
from covos.cli.doctor import doctor
from covos.cli.empty import refuse_empty
from covos.cli.evaluate import evaluate
from covos.cli.export import export
from covos.cli.failures import report
from covos.cli.predict import predict
from covos.cli.reproduce import reproduce
from covos.cli.segment import segment
from covos.cli.serve import open_clip, serve
from covos.cli.stream import stream
from covos.cli.terminal import say
from covos.cli.train import train
from covos.cli.validate import validate
from covos.cli.wording import word
from covos.core.errors import UsageError
from covos.core.limits import Limits, limits, parse_limit, set_limits
from covos.core.signals import SIGINT_EXIT, unwinding_signals

app = typer.Typer(
    name="covos",
    help="Cut the moving subject out of a video; train, run and score co-attention segmentation models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a bug, 2 usage, 3 unreadable input, 4 partly done, 5 environment, 130 interrupted.",
)
for verb in (
    segment,
    correct,
    batch,
    stream,
    predict,
    convert,
    evaluate,
    reproduce,
    train,
    validate,
    export,
    serve,
    bench,
    doctor,
):
    app.command()(verb)
app.command("open")(open_clip)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"covos {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; works anywhere.")] = False,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            metavar="NAME=NUMBER",
            help=f"Change a limit of what covos reads: {', '.join(each.name for each in fields(Limits))}; works "
            "anywhere, repeatable.",
        ),
    ] = None,
) -> None:
    """Options before the verb. ``main`` takes --debug and --limit out of the line; they are declared for the help."""


def run() -> NoReturn:
    """The program ``covos``."""
    _open_missing_streams()
    if not sys.warnoptions:
        # Pillow warns of damage in a picture; the program reports the outcome in its own words.
        warnings.filterwarnings("ignore", module=r"PIL\.")
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Args:
        arguments: Without the program's name.
    """
    arguments, debug = _take_debug(arguments)
    before = limits()
    try:
        with unwinding_signals():
            arguments = _take_limits(arguments)
            # Not standalone: typer would print errors its own way and end with its own codes.
            result = command(app).main(arguments, prog_name="covos", standalone_mode=False)
            if result == SIGINT_EXIT:  # typer turns a KeyboardInterrupt into this
                raise KeyboardInterrupt
            sys.stdout.flush()
    except BaseException as error:
        return report(error, debug=debug)
    finally:
        set_limits(**asdict(before))
    return result if isinstance(result, int) else 0


@lru_cache(maxsize=1)
def command(verbs: typer.Typer) -> Any:
    """Return the command of click that typer makes of all verbs; it takes longer than to run some."""
    made = typer.main.get_command(verbs)
    word(made)
    refuse_empty(made)
    return made


def _take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Accept --debug before and after the verb, but not behind ``--``."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [argument for argument in arguments[:end] if argument != "--debug"]
    return [*options, *arguments[end:]], len(options) < end


def _take_limits(arguments: Sequence[str]) -> list[str]:
    """Set what --limit says, before and after the verb; return the other arguments."""
    rest = list(arguments)
    end = rest.index("--") if "--" in rest else len(rest)
    place = 0
    while place < end:
        name, equals, value = rest[place].partition("=")
        if name != "--limit":
            place += 1
            continue
        if not equals and place + 1 >= end:
            raise UsageError("--limit without a value", why="nothing stands after it", fix="write --limit NAME=NUMBER")
        taken = 1 if equals else 2
        limit, number = parse_limit(value if equals else rest[place + 1])
        set_limits(**{limit: number})
        del rest[place : place + taken]
        end -= taken
    return rest


def _open_missing_streams() -> None:
    """A closed stdout or stderr must not become a file: the next one opened would take its number."""
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(open(os.devnull, "wb"))  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(open(os.devnull, "wb"))  # noqa: PTH123, SIM115
    for each in (sys.stdout, sys.stderr):
        if isinstance(each, io.TextIOWrapper):
            each.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 still shows names
