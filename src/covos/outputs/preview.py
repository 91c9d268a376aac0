"""``preview``: a small animation for a chat or a page, ``preview.webp``; ``preview=gif`` for ``preview.gif``."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from covos.errors import UsageError
from covos.outputs.folder import OutputFolder
from covos.outputs.sample import EvenSample
from covos.runtime.atomic import atomic_path
from covos.types import FrameResult, SourceInfo

_WIDTH = 320
_FRAMES = 48


class PreviewWriter:
    """At most 48 evenly spaced frames, 320 pixels wide, with the objects drawn in, at the speed of the clip."""

    name = "preview"
    labels_only = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path, value: str | None = None) -> None:
        self._folder = folder
        self._suffix = value or "webp"
        self._step = 1 / float(info.frame_rate or 1)
        self._last = 0.0
        self._sample = EvenSample(capacity=_FRAMES, width=_WIDTH, pixel_aspect=info.pixel_aspect)
        self._finished: tuple[Path, ...] = ()

    @staticmethod
    def check_value(value: str) -> None:
        """``webp`` or ``gif``."""
        if value not in {"gif", "webp"}:
            raise UsageError(f"preview={value}", why="a preview is gif or webp", fix="write preview or preview=gif")

    def write(self, result: FrameResult) -> None:
        """Keep the frame if it is its turn."""
        self._sample.add(result)
        self._last = result.frame.time

    def close(self) -> tuple[Path, ...]:
        """Write the animation."""
        kept = self._sample.kept
        if kept and not self._finished:
            first, *rest = [Image.fromarray(each.image) for each in kept]
            ends = [*(each.time for each in kept[1:]), self._last + self._step]
            shown = [max(1, round(1000 * (end - each.time))) for each, end in zip(kept, ends, strict=True)]
            target = self._folder.file(f"{self.name}.{self._suffix}")
            with atomic_path(target) as temporary:
                first.save(
                    temporary,
                    format=self._suffix.upper(),
                    save_all=True,
                    append_images=rest,
                    duration=shown,
                    loop=0,
                    quality=70,  # of WebP; GIF has none
                )
            self._finished = (target,)
        return self._finished

    def abort(self) -> None:
        """Forget the frames."""
        self._sample.kept.clear()
