"""``covos serve`` and ``covos open``: the page and the HTTP API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from covos.cli import groups, options
from covos.cli.grouping import grouped
from covos.cli.terminal import say
from covos.models.registry import DEFAULT_MODEL
from covos.serve.address import BACKEND_PORT, HOST, PORT, Address
from covos.serve.rules import QUOTA, UPLOAD, WAITING, Rules

if TYPE_CHECKING:
    from covos.media.range import Range
    from covos.plan import Plan
    from covos.serve.to_open import ToOpen

_GIGA = 1 << 30
_HOUR = 3600.0
_INSIDE = Path(__file__).resolve().parents[1]
EXAMPLES = (_INSIDE / "serve" / "example" / "car.mp4", _INSIDE.parents[1] / "examples" / "car.mp4")
"""The example clip: in an installed package, and in the sources."""

ROOT = Path("covos-clips")
Root: TypeAlias = Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of all clips and their masks.")]
Port: TypeAlias = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")]


@grouped
def serve(
    *,
    root: Root = ROOT,
    host: Annotated[str, typer.Option(help="Address to listen on; any other needs a token.")] = HOST,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; 0 takes a free one.", show_default=f"{PORT}, or {BACKEND_PORT}"),
    ] = None,
    token: Annotated[str, typer.Option(envvar="COVOS_TOKEN", help="Word that clients must give.")] = "",
    name: Annotated[
        list[str] | None, typer.Option("--name", help="Further name of the server, as of a proxy; repeatable.")
    ] = None,
    media_root: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder whose files clients may name by path.")
    ] = None,
    max_upload: Annotated[float, typer.Option(min=0.001, help="Gigabytes of one clip, at most.")] = UPLOAD / _GIGA,
    quota: Annotated[float, typer.Option(min=0.001, help="Gigabytes of all clips together, at most.")] = QUOTA / _GIGA,
    waiting: Annotated[int, typer.Option(min=1, help="Clips that may wait; others are refused.")] = WAITING,
    expire: Annotated[
        float, typer.Option(min=0, help="Hours after which a clip that nobody looks at is deleted; 0 keeps all.")
    ] = 0,
    label_studio: Annotated[
        bool, typer.Option("--label-studio", help="Be a backend of Label Studio instead, for files in --media-root.")
    ] = False,
    log: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-",
            help="Add a line for each request and job to this file, or to standard output, and errors with tracebacks.",
        ),
    ] = None,
    model: options.Model = DEFAULT_MODEL,
    machine: groups.Machine,
    quiet: options.Quiet = False,
) -> None:
    """Serve a page and an HTTP API: drop a clip, see the subject cut out, click to correct, download."""
    if port is None:
        port = BACKEND_PORT if label_studio else PORT
    address = Address(host=host, port=port, token=token, names=tuple(name or ()))
    if label_studio:
        _back(media_root, address=address, plan=_plan(model, machine), log=log, quiet=quiet)
        return
    from covos.models.registry import find_model

    find_model(model)
    rules = Rules(
        root=_folder(root),
        media=media_root,
        upload=round(max_upload * _GIGA),
        quota=round(quota * _GIGA),
        waiting=waiting,
        expiry=expire * _HOUR or None,
    )
    _run(rules, address=address, plan=_plan(model, machine), log=log, quiet=quiet)


@grouped
def open_clip(
    clip: Annotated[Path, typer.Argument(help="Video to open, or the folder of a run, to correct its masks.")],
    *,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of all clips and their masks.",
            show_default="covos-clips; covos-clips-2 if another covos has that",
        ),
    ] = None,
    part: groups.LivePart,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, though the clip was opened before.")] = False,
    port: Port = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    model: options.Model = DEFAULT_MODEL,
    machine: groups.Machine,
    quiet: options.Quiet = False,
) -> None:
    """Open a video on a page of this machine: see its subject cut out, click to correct, download.

    A clip that was opened before goes on with the work of then. If it is the folder of a run, the page goes on from its
    masks and prompts: nothing is searched again. With --start, --end and --every, the page has that part alone.
    """
    range = part.range()
    if not quiet:  # before anything heavy is loaded
        say(f"opening {clip} ...", err=True)
    opened = _looked_at(clip, range=range, model=model)
    if root is None:
        root = _place_for(opened, fresh=fresh, quiet=quiet)
    _run(
        Rules(root=_folder(root)),
        address=Address(port=port),
        plan=_plan(model, machine),
        opening=opened,
        fresh=fresh,
        browser=browser,
        quiet=quiet,
    )


def _back(
    media: Path | None,
    *,
    address: Address,
    plan: Plan,
    log: str | None,
    quiet: bool,
) -> None:
    from covos.core.errors import UsageError
    from covos.models.registry import find_model

    if media is None or not media.is_dir():
        raise UsageError(
            "Label Studio's files cannot be found",
            why="no folder is given" if media is None else f"{media} is no folder",
            fix="give the folder of its local storage with --media-root",
        )
    find_model(plan.model)
    with _explaining_extra():
        from covos.serve.running import run_backend
    run_backend(
        media.absolute(),
        address=address,
        plan=plan,
        ready=lambda url: None if quiet else say(f"Label Studio may ask {url}  (Ctrl-C ends it)"),
        log=log,
    )


@contextmanager
def _explaining_extra() -> Iterator[None]:
    from covos.core.errors import EnvironmentProblem

    try:
        yield
    except ModuleNotFoundError as error:
        raise EnvironmentProblem(
            "the server needs optional packages", why=str(error), fix="pip install 'covos[serve]'"
        ) from error


def _run(
    rules: Rules,
    *,
    address: Address,
    plan: Plan,
    quiet: bool,
    opening: ToOpen | None = None,
    fresh: bool = False,
    browser: bool = False,
    log: str | None = None,
) -> None:
    with _explaining_extra():
        from covos.serve.running import run_server

    def ready(url: str) -> None:
        if not quiet:
            say(f"covos is at {url}  (the clips are kept in {rules.root}; Ctrl-C ends it)")
        if browser:
            import webbrowser

            webbrowser.open(url)

    def resumed(when: datetime) -> None:
        if not quiet:
            day = "" if when.date() == datetime.now(when.tzinfo).date() else f"{when:%Y-%m-%d} "
            say(f"goes on with your work of {day}{when:%H:%M}; --fresh begins anew", err=True)

    run_server(
        rules,
        address=address,
        plan=plan,
        example=next((path for path in EXAMPLES if path.is_file()), None),
        opening=opening,
        fresh=fresh,
        ready=ready,
        resumed=resumed,
        log=log,
    )


def _plan(model: str, machine: groups.Machine) -> Plan:
    """Return the plan of each clip, whose source is not known yet."""
    from covos.plan import Plan

    return Plan.model_validate({"source": "clip", "model": model, **asdict(machine)})


def _folder(root: Path) -> Path:
    """Return the folder of the clips, absolute; refuse a file."""
    if root.exists() and not root.is_dir():
        from covos.core.errors import UsageError

        raise UsageError(f"clips cannot be kept in {root}", why="it is a file", fix="name a folder with --root")
    return root.absolute()


def _place_for(opened: ToOpen, *, fresh: bool, quiet: bool) -> Path:
    """Return the folder to work in where none is named; say so if it is not the usual one."""
    with _explaining_extra():
        from covos.serve.roots import choose_root
    root = choose_root(ROOT, opened, fresh=fresh)
    if root != ROOT and not quiet:
        say(f"this work is kept in {root}: another covos has, or had, {ROOT}", err=True)
    return root


def _looked_at(clip: Path, *, range: Range, model: str) -> ToOpen:
    """Refuse a clip, a part or a model that cannot be used before anything listens."""
    from covos.models.registry import find_model
    from covos.serve.to_open import look_at

    find_model(model)
    return look_at(clip, range=range)
