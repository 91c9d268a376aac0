"""Prompt files and masks of a clip that lie at URLs, as a manifest there names them: copies on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from covos.core.errors import AnnotationError, CovosError
from covos.core.remote import is_remote
from covos.fleet.manifests import Clip, beside
from covos.fleet.places import read_file, rename
from covos.prompts.file import masks_named


@contextmanager
def shown_here(clip: Clip) -> Iterator[Clip]:
    """Give a clip whose prompt file and mask lie on this machine; copies of those at URLs are removed after the block.

    The masks that a prompt file names are looked for beside it, and copied, too. Those that lead out of its folder are
    not: a prompt file of somebody else could name any file.

    Raises:
        AnnotationError: A file is not there, cannot be fetched, or is too large.
        EnvironmentProblem: The file system cannot be reached.
    """
    far = {name: url for name in ("prompts", "mask") if (url := getattr(clip, name)) is not None and is_remote(url)}
    if not far:
        yield clip
        return
    with tempfile.TemporaryDirectory(prefix="covos-") as folder:
        copies = {name: Path(folder) / name / PurePosixPath(url).name for name, url in far.items()}
        try:
            for name, copy in copies.items():
                _fetch(far[name], copy)
            if (prompts := copies.get("prompts")) is not None:
                for file in masks_named(prompts):
                    if _is_within(file):
                        _fetch(beside(file, far["prompts"]), prompts.parent / file)
            yield clip.model_copy(update={name: str(copy) for name, copy in copies.items()})
        except CovosError as error:
            for name, copy in copies.items():
                rename(error, {str(copy): far[name], str(copy.parent): far[name].rpartition("/")[0]})
            raise


def _is_within(file: str) -> bool:
    place = PurePosixPath(file)
    return not (place.is_absolute() or Path(file).is_absolute() or ".." in place.parts or is_remote(file))


def _fetch(url: str, copy: Path) -> None:
    try:
        content = read_file(url)
    except CovosError as error:
        if type(error).exit_code != AnnotationError.exit_code:
            raise
        raise AnnotationError(error.what, why=error.why, fix=error.remedy) from error
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(content)
