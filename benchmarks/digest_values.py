"""The part of a file that counts, for `digest.py`: its meaning, without times, speeds, versions and places.

Not deterministic, and so left out: fields of JSON that are in `DROPPED`; in texts, numbers before a unit of time or
speed, lines of progress, and folders of absolute paths; names and content of TensorBoard's files; the content of
checkpoints, journals and locks; the hash of a file of weights that a run has made, since the two fields of its header
stand in any order (tensors and fields are digested).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageSequence
from safetensors import safe_open

DROPPED = frozenset({"seconds", "fps", "version", "commit", "covos", "elapsed", "date", "created", "seconds_per_step"})
ONLY_THERE = frozenset({".pt", ".lock", ".partial"})
"""Suffixes of files whose presence alone counts."""
MOST_SECTIONS = 24
GROUPED = frozenset({".png", ".jpg", ".txt"})
LEAST_GROUP = 4

_PROGRESS = re.compile(r"^(.*: \d+(/\d+)? [\w ]+, [\d.]+ [\w ]+/s.*|step \d+/\d+ .*)\n?", re.MULTILINE)
_PLACE = re.compile(r"(?<![\w.<:])/(?:[\w.@+-]+/)+")
_MEASURED = re.compile(r"\d+(?:\.\d+)?(?= ?(?:s|ms|seconds?|min|minutes?|h|frames/s|a second|s a step)\b)")
_SPEED = re.compile(r"\(\d+(?:\.\d+)? a second\)")
_TILE = re.compile(r"[\d.]+(?=</div>\s*<div class=\"under\">frames a second)")
_VERSION = re.compile(r"(?<=covos )\d+\.\d+\.\d+")
_FIELD = re.compile(r"(?<=\bseconds=)[\d.e-]+")

Item = tuple[str, str | bytes]


def plain(text: str) -> str:
    """A text without what differs from run to run."""
    text = _PROGRESS.sub("", text.replace("\r", "\n"))
    for pattern in (_SPEED, _TILE, _FIELD, _MEASURED):
        text = pattern.sub("#", text)
    return _VERSION.sub("#", _PLACE.sub("<place>/", text))


def items_of(folder: Path) -> Iterator[Item]:
    """A name and the content that counts for each thing below a folder: text, or the hash of what is no text."""
    made = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*.safetensors"))]
    hashes = re.compile("|".join(f"{each[:8]}[0-9a-f]*" for each in made) or r"\b\B")
    for name, content in _grouped(folder):
        yield name, hashes.sub("<weights>", content) if isinstance(content, str) else content


def _grouped(folder: Path) -> Iterator[Item]:
    groups: dict[Path, list[Path]] = defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        parent = path.parent.relative_to(folder)
        if path.suffix in GROUPED and not path.name.startswith("said"):
            groups[parent / f"*{path.suffix}"].append(path)
        else:
            groups[parent / path.name].append(path)
    for name, paths in sorted(groups.items()):
        if len(paths) >= LEAST_GROUP:
            parts = [f"{path.name} {part} {digest(content)}" for path in paths for part, content in items_in(path)]
            yield f"{name} ({len(paths)})", "\n".join(parts)
            continue
        for path in paths:
            for part, content in items_in(path):
                yield f"{path.relative_to(folder)}{part}", content


def digest(content: str | bytes) -> str:
    """The first 16 digits of the SHA-256 of a content."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:16]


def items_in(path: Path) -> Iterator[Item]:
    """The parts of one file, each with what is put behind the file's name."""
    if path.suffix in ONLY_THERE or path.name in {".covos-lock", "journal.jsonl"}:
        yield "", "there"
    elif path.name.startswith("events.out"):
        return
    elif path.name == ".covos-files":
        yield "", "\n".join(sorted(path.read_text().splitlines()))
    elif (read := _READERS.get(path.suffix)) is not None:
        try:
            yield from list(read(path))
        except av.FFmpegError:  # an input that is damaged on purpose
            yield "", path.read_bytes()
    else:
        yield "", path.read_bytes()


def _json(path: Path) -> Iterator[Item]:
    content = cleaned(json.loads(path.read_text()))
    if isinstance(content, dict) and 1 < len(content) <= MOST_SECTIONS:
        for key, value in sorted(content.items()):
            yield f":{key}", json.dumps(value, sort_keys=True, indent=1)
    else:
        yield "", json.dumps(content, sort_keys=True, indent=1)


def cleaned(value: Any) -> Any:
    """A JSON value without what differs from run to run."""
    if isinstance(value, dict):
        kept = {key: cleaned(each) for key, each in value.items() if key not in DROPPED or isinstance(each, dict)}
        if kept.get("name") in {"python", "platform", "covos", "threads"} and "ok" in kept:
            kept.pop("found", None)
        return kept
    if isinstance(value, list):
        return [cleaned(each) for each in value]
    return plain(value) if isinstance(value, str) else value


def _lines(path: Path) -> Iterator[Item]:
    rows = [cleaned(json.loads(line)) for line in path.read_text().splitlines()]
    yield "", "\n".join(json.dumps(row, sort_keys=True) for row in rows)


def _text(path: Path) -> Iterator[Item]:
    yield "", plain(path.read_text(errors="replace"))


def _csv(path: Path) -> Iterator[Item]:
    yield "", "\n".join(repr(row) for row in csv.reader(io.StringIO(path.read_text())))


def _html(path: Path) -> Iterator[Item]:
    markup = plain(path.read_text())
    words = re.sub(r"<(script|style)\b.*?</\1>", " ", markup, flags=re.DOTALL)
    yield ":text", "\n".join(filter(None, (line.strip() for line in re.sub(r"<[^>]*>", "\n", words).split("\n"))))
    yield ":markup", markup.replace("><", ">\n<")


def _image(path: Path) -> Iterator[Item]:
    seen = []
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            palette = frame.getpalette() if frame.mode == "P" and image.format == "PNG" else None
            pixels = frame if image.format == "PNG" else frame.convert("RGBA")
            seen.append(f"{pixels.mode} {pixels.size} {array(np.asarray(pixels))} {frame.info.get('duration')}")
            seen.append(str(palette and digest(bytes(palette))))
    yield "", "\n".join(seen)


def array(values: np.ndarray[Any, Any]) -> str:
    """Type, shape and hash of an array."""
    return f"{values.dtype} {values.shape} {digest(np.ascontiguousarray(values).tobytes())}"


def _arrays(path: Path) -> Iterator[Item]:
    with np.load(path) as stored:
        for name in sorted(stored):
            yield f":{name}", array(stored[name])


def _tensors(path: Path) -> Iterator[Item]:
    with safe_open(path, framework="pt") as file:
        names = sorted(file.keys())
        found = {name: file.get_tensor(name) for name in names}
        yield ":metadata", json.dumps(cleaned(file.metadata()), sort_keys=True)
    parts = [f"{name} {t.dtype} {array(t.contiguous().view(-1).float().numpy())}" for name, t in found.items()]
    yield ":tensors", "\n".join(parts)


def _video(path: Path) -> Iterator[Item]:
    with av.open(str(path)) as file:
        for stream in file.streams:
            yield f":{stream.index} {stream.type} stream", _stream(stream)
        for index, stream in enumerate(file.streams):
            file.seek(0)
            packets = [packet for packet in file.demux(file.streams[index]) if packet.size]
            if stream.type == "video":
                yield f":{index} frames", "\n".join(_frames(stream, packets))
            else:
                parts = [f"{packet.pts} {packet.time_base} {digest(bytes(packet))}" for packet in packets]
                yield f":{index} packets", "\n".join(parts)


def _stream(stream: Any) -> str:
    context = stream.codec_context
    if stream.type == "video":
        shape = f"{context.width}x{context.height} {context.pix_fmt} {stream.sample_aspect_ratio}"
        return f"{context.name} {shape} {context.color_range} {context.colorspace} {stream.time_base}"
    return f"{context.name} {context.sample_rate} {context.layout.name} {stream.time_base}"


def _frames(stream: Any, packets: list[Any]) -> Iterator[str]:
    # FFmpeg's own decoder of VP9 leaves alpha out.
    decoder = av.CodecContext.create("libvpx-vp9", "r") if stream.codec_context.name == "vp9" else stream.codec_context
    for packet in [*packets, None]:
        for frame in decoder.decode(packet):
            form = frame.format
            planar = len(frame.planes) > 1
            size = (form.components[0].bits + 7) // 8 if planar else max(1, form.padded_bits_per_pixel // 8)
            parts = []
            for plane in frame.planes:
                rows = np.frombuffer(bytes(plane), np.uint8)[: plane.height * plane.line_size].reshape(plane.height, -1)
                parts.append(digest(np.ascontiguousarray(rows[:, : plane.width * size]).tobytes()))
            yield f"{frame.pts} {form.name} {frame.width}x{frame.height} {' '.join(parts)}"


_READERS = {
    ".json": _json, ".jsonl": _lines, ".txt": _text, ".xml": _text, ".csv": _csv, ".html": _html,
    ".png": _image, ".jpg": _image, ".gif": _image, ".webp": _image,
    ".npz": _arrays, ".safetensors": _tensors,
    ".mp4": _video, ".mov": _video, ".mkv": _video, ".webm": _video,
}  # fmt: skip
