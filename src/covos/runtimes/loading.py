"""Make a loaded network ready to compute: by torch on its device, or by a runtime whose graphs are made once and kept.

The graphs lie in the user's folder of caches, in one folder for the weights, the releases and the code that made them.
A damaged one is made anew, and old ones are removed (`covos.runtimes.kept`). If nothing can be written, they are made
for the time of the process alone.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from covos._version import __version__
from covos.core.errors import EnvironmentProblem, UsageError
from covos.core.files import LOCK, exclusive
from covos.core.words import OVERWRITE
from covos.models.layers import fold_batch_norms
from covos.models.registry import build_any
from covos.runtimes.choice import EXTRAS, Computing, is_installed
from covos.runtimes.graphs import export, graph_files, kind_of, read_graphs
from covos.runtimes.kept import note_use, remove_unused
from covos.runtimes.sessions import load_program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from covos.models.registry import ModelEntry
    from covos.runtimes.choice import Runtime
    from covos.runtimes.graphs import GraphsCard
    from covos.runtimes.stages import Program


def ready(network: nn.Module, *, entry: ModelEntry, computing: Computing) -> Any:
    """Return a network that engines can call: with torch the network itself, changed, else one of the same methods.

    Args:
        network: With its weights, in evaluation mode, on the processor.
        entry: Its model.
        computing: Device, precision and runtime.

    Raises:
        UsageError: A network that was added has no stages, and a runtime was named.
        EnvironmentProblem: The graphs cannot be made.
    """
    if computing.runtime == "torch":
        fold_batch_norms(network)
        network.to(computing.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network
    kind = kind_of(entry)
    load = partial(load_program, runtime=computing.runtime, precision=computing.precision, alone=kind.alone)
    stages = {stage.name: stage for stage in kind.stages(network)}
    folder = graphs_folder(entry)
    note_use(folder)  # before they are read: no other process removes them then
    files = read_graphs(entry, folder)
    if files is None:
        files = _kept(entry, network, folder, runtime=computing.runtime)
    if files is not None:
        programs = {name: load(file, exact=stages[name].exact, stage=stages[name]) for name, file in files.items()}
        return kind.joined(network, programs)
    with tempfile.TemporaryDirectory(prefix="covos-graphs-", ignore_cleanup_errors=True) as name:
        files = _made(entry, network, Path(name), runtime=computing.runtime)
        return kind.joined(
            network, {each: load(files[each], exact=stages[each].exact, stage=stages[each]) for each in files}
        )


def export_to(folder: Path, *, entry: ModelEntry, overwrite: bool = False) -> GraphsCard:
    """Write the graphs of a model and their card to a folder, for other programs, and compare them with torch.

    Args:
        folder: It is made if it is not there.
        entry: The model.
        overwrite: Replace existing files.

    Returns:
        The card; what was not compared, as neither runtime is installed, has no difference there.

    Raises:
        UsageError: The model's network has no stages, or a file exists.
        CheckpointError: The weights file is damaged or does not fit.
        EnvironmentProblem: The package ``onnx`` is not installed, the folder cannot be written to, or another export
            writes there.
        CovosError: A graph does not give what torch does.
    """
    kind = kind_of(entry)
    network = build_any(entry)
    files = graph_files(entry, folder, stages=kind.stages(network))
    if not overwrite:
        _refuse_existing(files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"{folder} cannot be made", why=error.strerror or str(error), fix="choose another folder"
        ) from error
    runtime = next((name for name in EXTRAS if is_installed(name)), None)
    with exclusive(folder / LOCK):  # files of two exports would not belong together
        if not overwrite:
            _refuse_existing(files)  # another may have written them meanwhile
        return export(entry, network, folder=folder, load=None if runtime is None else _exact(runtime))


def _refuse_existing(files: Sequence[Path]) -> None:
    if there := [file for file in files if file.exists()]:
        raise UsageError(
            f"{there[0]} exists",
            why="nothing is overwritten unless asked",
            fix="choose another folder, or add " + OVERWRITE,
        )


def graphs_folder(entry: ModelEntry) -> Path:
    """Return the folder in which the graphs of a model are kept; it need not be there."""
    import platformdirs

    made_by = hashlib.sha256(f"{__version__} {torch.__version__} {_code()}".encode()).hexdigest()
    return (
        Path(platformdirs.user_cache_dir("covos", appauthor=False))
        / "graphs"
        / (f"{entry.card.sha256[:16]}-{made_by[:16]}")
    )


@cache
def _code() -> str:
    """Return a digest of the networks' code: between two releases graphs may change, too."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted([*(package / "models").rglob("*.py"), *(package / "runtimes").glob("*.py")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _kept(entry: ModelEntry, network: nn.Module, folder: Path, *, runtime: Runtime) -> dict[str, Path] | None:
    """Make the graphs, and put them in their folder in one step; None if nothing can be written there."""
    aside: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        _made(entry, network, aside, runtime=runtime)
        if folder.exists() and read_graphs(entry, folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another process was faster
            aside.replace(folder)
        remove_unused(folder.parent)
    except (OSError, EnvironmentProblem):
        return None
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
    return read_graphs(entry, folder)


def _exact(runtime: Runtime) -> Callable[[Path], Program]:
    """Return what loads a graph in float32."""
    return lambda file: load_program(file, runtime=runtime, precision=torch.float32, exact=True)


def _made(entry: ModelEntry, network: nn.Module, folder: Path, *, runtime: Runtime) -> dict[str, Path]:
    export(entry, network, folder=folder, load=_exact(runtime))
    files = read_graphs(entry, folder)
    assert files is not None, "they were written just now"
    return files
