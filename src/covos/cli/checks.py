"""The checks of ``covos doctor``. Each gives what it found, or raises."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path

from covos._version import __version__

ENCODERS = ("libx264", "libvpx-vp9", "prores_ks", "qtrle", "ffv1", "aac", "libopus", "flac")
"""Encoders of FFmpeg that covos writes with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the diagnosis.

    Attributes:
        name: What was looked at.
        ok: True if it is as it should be.
        found: What is there, or what went wrong.
    """

    name: str
    ok: bool
    found: str


def run_checks() -> list[Check]:
    """Run every check; one that raises has failed and does not keep the others from running."""
    checks: dict[str, Callable[[], str]] = {
        "covos": lambda: __version__,
        "python": lambda: f"{platform.python_version()}, {sys.executable}",
        "platform": platform.platform,
        **{name: _version_of(name) for name in ("torch", "numpy", "scipy", "av", "cv2", "PIL", "safetensors")},
        "FFmpeg encoders": _encoders,
        "device": _device,
        "runtimes": _runtimes,
        "threads": _threads,
        "weights": _weights,
        "write and read a video": _video_round_trip,
        "write and read a mask": _mask_round_trip,
    }
    return [_run(name, check) for name, check in checks.items()]


def _run(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name=name, ok=True, found=check())
    except Exception as error:  # whatever is broken is what is to be shown
        return Check(name=name, ok=False, found=f"{type(error).__name__}: {error}")


def _version_of(module: str) -> Callable[[], str]:
    return lambda: str(import_module(module).__version__)


def _encoders() -> str:
    import av

    missing = []
    for name in ENCODERS:
        try:
            av.Codec(name, "w")
        except av.codec.codec.UnknownCodecError:
            missing.append(name)
    if missing:
        raise LookupError(f"{', '.join(missing)} missing: install PyAV from its wheel")
    return ", ".join(ENCODERS)


def _device() -> str:
    from covos.core.device import available_devices, choose_precision, resolve_device

    device = resolve_device("auto")
    precision = str(choose_precision(device)).removeprefix("torch.")
    return f"{device}, {precision} (available: {', '.join(available_devices())})"


def _runtimes() -> str:
    from typing import get_args

    from covos.runtimes.choice import Runtime, choose_computing, is_installed

    there = ", ".join(name for name in get_args(Runtime) if is_installed(name))
    return f"{choose_computing().runtime} (available: {there})"


def _threads() -> str:
    from covos.core.device import configure_threads, usable_cpus

    return f"{configure_threads()} on {usable_cpus()} usable processors"


def _weights() -> str:
    from covos.models.registry import DEFAULT_MODEL, list_models, verify

    entries = list_models()
    if DEFAULT_MODEL not in {entry.name for entry in entries}:
        raise LookupError(f"{DEFAULT_MODEL} is missing: install covos again")
    for entry in entries:
        verify(entry)
    return ", ".join(f"{entry.name} (sha256 {entry.card.sha256[:12]})" for entry in entries)


def _video_round_trip() -> str:
    import numpy as np

    from covos.media.opening import open_source
    from covos.media.writer import VideoWriter

    count, height, width = 10, 48, 64
    with tempfile.TemporaryDirectory(prefix="covos-doctor-") as folder:
        path = Path(folder) / "clip.mp4"
        with VideoWriter(
            path, height=height, width=width, time_base=Fraction(1, 25), frame_rate=Fraction(25)
        ) as writer:
            for index in range(count):
                writer.write(np.full((height, width, 3), 20 * index, np.uint8), pts=index)
        with open_source(path) as source:
            means = [float(frame.image.mean()) for frame in source]
    if len(means) != count or max(abs(mean - 20 * index) for index, mean in enumerate(means)) > 10:
        raise ValueError(f"wrote {count} frames and read grey levels {means}")
    return f"{count} frames of {width} x {height} in H.264"


def _mask_round_trip() -> str:
    import numpy as np

    from covos.masks.label_files import read_label_map, write_label_map

    labels = np.zeros((16, 16), np.uint8)
    labels[4:12, 2:8], labels[4:12, 8:14] = 1, 254
    with tempfile.TemporaryDirectory(prefix="covos-doctor-") as folder:
        path = Path(folder) / "mask.png"
        write_label_map(path, labels)
        left = sorted(entry.name for entry in Path(folder).iterdir())
        if left != [path.name] or not np.array_equal(read_label_map(path), labels):
            raise ValueError(f"ids changed, or files were left: {left}")
    return "palette PNG, renamed into place"
