"""The index of all jobs: the latest description of each, so that a list of them reads no masks."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

from pydantic import ValidationError

from covos.serve.schema import JobView

FILE = "index.sqlite"


class Index:
    """A table of jobs in SQLite. Methods may be called from any thread.

    The folders of the jobs are what counts: a job that is not in the index is read from its folder. So an index that is
    lost, damaged, or held by another server costs time alone.

    Args:
        folder: Of all jobs.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._lock = threading.Lock()

    def put(self, view: JobView) -> None:
        """Keep the description of a job; one that cannot be written down is read from the job's folder each time."""
        with suppress(ValueError):
            self._run("INSERT OR REPLACE INTO jobs VALUES (?, ?)", view.id, view.model_dump_json())

    def get(self, identity: str) -> JobView | None:
        """Return the latest description of a job; None if there is none."""
        rows = self._run("SELECT view FROM jobs WHERE id = ?", identity)
        with suppress(ValidationError):  # of another version of covos
            return JobView.model_validate_json(rows[0][0]) if rows else None
        return None

    def drop(self, identity: str) -> None:
        """Forget a job."""
        self._run("DELETE FROM jobs WHERE id = ?", identity)

    def _run(self, command: str, *values: str) -> list[tuple[str]]:
        with self._lock:
            for _ in range(2):
                try:
                    # Opened each time: it is asked for a few times a second at most, and has nothing to close.
                    with closing(sqlite3.connect(self._file, isolation_level=None, timeout=1)) as base:
                        base.execute("PRAGMA synchronous = OFF")  # it can be made again
                        base.execute("CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, view TEXT NOT NULL)")
                        return base.execute(command, values).fetchall()
                except sqlite3.OperationalError:  # held by another server, or the disk is full
                    return []
                except sqlite3.DatabaseError:  # no database: made anew
                    with suppress(OSError):
                        self._file.unlink(missing_ok=True)
        return []
