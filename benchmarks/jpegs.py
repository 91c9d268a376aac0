"""Look into intact JPEG files for damage: how many are called damaged, and how long it takes beside decoding them.

    python benchmarks/jpegs.py FOLDER...

Every file below the folders whose name ends in .jpg or .jpeg is read. Times are of the processor.
"""

from __future__ import annotations

import argparse
import time
from io import BytesIO
from pathlib import Path

from PIL import Image

from covos.media.jpeg import is_damaged


def main() -> None:
    """Print the false alarms, and the times a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    files = [
        path
        for folder in parser.parse_args().folders
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in {".jpg", ".jpeg"} and path.is_file()
    ]
    alarms, decoding, looking = [], 0.0, 0.0
    for path in files:
        content = path.read_bytes()
        began = time.process_time()
        with Image.open(BytesIO(content)) as image:
            image.load()
        decoded = time.process_time()
        if is_damaged(content):
            alarms.append(path)
        decoding, looking = decoding + decoded - began, looking + time.process_time() - decoded
    for path in alarms:
        print(f"called damaged: {path}")
    each = 1000 / max(1, len(files))
    print(f"{len(files)} files, {len(alarms)} called damaged")
    print(f"{decoding * each:.2f} ms to decode one, {looking * each:.2f} ms to look for damage")


if __name__ == "__main__":
    main()
