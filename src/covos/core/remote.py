"""Reach file systems that are not this machine's: whatever fsspec knows by a URL, such as ``s3://bucket/clips``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from covos.core.errors import CovosError, EnvironmentProblem, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


def is_remote(place: str) -> bool:
    """Tell if a place is a URL, and not a path."""
    return "://" in place


def reached(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path on it.

    Raises:
        UsageError: fsspec does not know such a URL.
        EnvironmentProblem: A package is missing, or the system cannot be reached.
    """
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise EnvironmentProblem(
            f"{url} cannot be reached", why=f"a package is missing: {error}", fix="install it, such as s3fs for s3://"
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{url} cannot be reached", why=str(error), fix="use a path, or a URL that fsspec knows"
        ) from error
    except Exception as error:
        raise EnvironmentProblem(f"{url} cannot be reached", why=_said(error), fix="check the address") from error
    return system, path


@contextmanager
def explaining(place: str, kind: type[CovosError]) -> Iterator[None]:
    """Raise any error of a remote file system as one of ours: each system has its own."""
    try:
        yield
    except CovosError:
        raise
    except FileNotFoundError as error:
        raise kind(f"{place}: it is not there", why="no such file", fix="check the address") from error
    except Exception as error:
        raise kind(f"{place} cannot be used", why=_said(error), fix="check the address and your rights") from error


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
