"""Print how FFmpeg describes the streams of a file, and nothing of PyAV's: a program that another process starts."""

from __future__ import annotations

import sys

import av


def main() -> None:
    """Print the description of the file named by the first argument."""
    av.logging.set_level(av.logging.INFO)
    with av.open(sys.argv[1], options={"protocol_whitelist": "file"}, metadata_errors="replace") as container:
        print(container.dumps_format())  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
