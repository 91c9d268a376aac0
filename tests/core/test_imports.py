from __future__ import annotations

import subprocess
import sys

_IMPORT_ALL = """
import sys
from covos.core import device, errors, files, progress, signals
print(*sorted({"av", "cv2", "filelock", "numpy", "pydantic", "rich", "torch"} & set(sys.modules)))
"""


def test_the_room_is_light() -> None:
    done = subprocess.run([sys.executable, "-c", _IMPORT_ALL], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
