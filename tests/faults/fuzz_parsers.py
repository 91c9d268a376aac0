"""Give the parsers of strangers' bytes whatever opens new branches in them, by atheris.

    make fuzz-parsers                    (SECONDS=60 PARSER=rle change it)
    cd tests && python -m faults.fuzz_parsers rle [options of libFuzzer, such as -max_total_time=60]

Only covos's own errors may come out. An input that brings out another one is stored beside, as ``crash-...``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["covos"]):
    from covos.core.errors import InputError, UsageError
    from covos.masks import RLE, read_label_map
    from covos.media.structure import examine
    from covos.prompts.file import read_prompt_file
    from covos.runs.journal import JournalEntry

HEADS = (
    b"\x1a\x45\xdf\xa3", b"RIFF\0\0\0\0AVI ", b"GIF89a", b"FLV", b"OggS", b"DKIF", b"YUV4MPEG2 W8 H8\n",
    b"\0\0\0\x08ftyp", bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), b"\x06\x0e\x2b\x34", b"\0\0\x01\xba",
    b"\x89PNG\r\n\x1a\n", b"\x47", b"nut/multimedia container\0NMz\x56\x1f\x5f\x04\xad",
)  # fmt: skip
"""Beginnings of the containers that are walked through."""


def _rle(data: bytes) -> None:
    RLE.from_coco({"size": [data[0], data[1]] if len(data) > 1 else [4, 4], "counts": data[2:].decode("latin-1")})


def _mask(data: bytes) -> None:
    read_label_map(_file("x.png", data))


def _journal(data: bytes) -> None:
    JournalEntry.from_json(data)


def _prompts(data: bytes) -> None:
    read_prompt_file(_file("x.json", data))


def _structure(data: bytes) -> None:
    if data:
        examine(_file("x", HEADS[data[0] % len(HEADS)] + data[1:]))


PARSERS: dict[str, Callable[[bytes], None]] = {
    "rle": _rle,
    "mask": _mask,
    "journal": _journal,
    "prompts": _prompts,
    "structure": _structure,
}
_FOLDER = Path(tempfile.mkdtemp())


def _file(name: str, data: bytes) -> Path:
    path = _FOLDER / name
    path.write_bytes(data)
    return path


def main() -> None:
    """Run one parser until the options say that it is enough."""
    parse = PARSERS[sys.argv.pop(1)]

    def once(data: bytes) -> None:
        with suppress(InputError, UsageError):
            parse(data)

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
