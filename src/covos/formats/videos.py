"""Formats that are a video: their base, and the source with marks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Final, cast, get_args

from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.types import Frame, FrameResult, ImageArray, SourceInfo, Tags
from covos.formats.base import Format
from covos.formats.composition import Composition
from covos.formats.pictures import write_png
from covos.masks import draw_overlay
from covos.masks.draw import draw_on_planes
from covos.media.conform import constant_rate
from covos.media.presets import H264, Preset, SoundChoice
from covos.media.tags import at_rate, is_timecode_rate, later
from covos.media.writer import VideoWriter

OF_VIDEOS: Final[Mapping[str, str]] = {"constant_rate": "rate", "sound": "sound"}
"""Fields of a composition that every video knows, each with the name of its option in the format's value."""


class VideoFormat(Format):
    """A video, ``<name><suffix>``, with the source's size, presentation times and pixel aspect, and its sound.

    A folder of frames becomes a video at its frame rate. A single picture (an image, a folder with one, a frame that
    was taken of a video) becomes a PNG, ``<name>.png``: a video of one frame is of no use to anyone. A whole *video* of
    one frame stays a video.
    """

    shape = "video"
    picture_suffixes = (".png",)
    preset: ClassVar[Preset] = H264
    keyed: ClassVar[Mapping[str, str]] = {"rate": "25", "sound": "none"}

    def __init_subclass__(cls) -> None:
        cls.composes = {**cls.composes, **OF_VIDEOS}  # whatever it knows beside
        if hasattr(cls, "name"):
            cls.output, cls.has_alpha = f"{cls.name}{cls.preset.suffix}", cls.preset.has_alpha

    @classmethod
    def check_value(cls, value: str) -> None:
        """Refuse also what no video can be."""
        super().check_value(value)
        cls.check_video(value)

    @classmethod
    def check_video(cls, value: str) -> None:
        """Refuse options of the video that cannot be read, or that nothing shows since pictures are written."""
        options = cls.parsed(value)[1]
        for field, key in OF_VIDEOS.items():
            if key in options and not cls.takes(field, value):
                raise UsageError(
                    f"{cls.name}={value}", why=f"its pictures are files, and {key} is of videos", fix=f"leave {key} out"
                )
        Composition(constant_rate=options.get("rate"))
        offered = cls.preset_of(value).sound.choices
        if (sound := options.get("sound", "copy")) not in offered:
            known = sound in get_args(SoundChoice)
            raise UsageError(
                f"{cls.name}={value}",
                why=f"{cls.preset_of(value).suffix} files hold no {sound.upper()}" if known else f"there is no {sound}",
                fix=f"write {' or '.join(f'sound={each}' for each in offered)}",
            )

    @classmethod
    def takes(cls, field: str, value: str | None, *, given: object = None) -> bool:
        """Tell if it is seen; of sound, if such a file may have it."""
        offered = field != "sound" or given is None or given in cls.preset_of(value).sound.choices
        return super().takes(field, value, given=given) and offered

    @classmethod
    def preset_of(cls, value: str | None) -> Preset:
        """Return the kind of video that a value asks for."""
        return cls.preset

    @classmethod
    def rate_of(cls, value: str | None) -> Fraction | None:
        """Return the constant rate that a value asks for."""
        rate = cls.parsed(value)[1].get("rate")
        return None if rate is None else constant_rate(rate)

    @classmethod
    def frames_of(cls, value: str | None, info: SourceInfo) -> int:
        """Return those of the constant rate, if one is asked for."""
        rate = cls.rate_of(value)
        return super().frames_of(value, info) if not rate else round(info.frame_count * rate / (info.frame_rate or 25))

    @abstractmethod
    def picture(self, result: FrameResult) -> NDArray[Any]:
        """Return a frame of the video: H x W x 3 RGB, or H x W x 4 RGBA if the preset has alpha."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Things that the videos could not keep of the source."""
        found = dict.fromkeys(self._lost)
        for video in self._videos.values():
            found |= dict.fromkeys(video.warnings)
            bottom, right = video.padding
            if bottom or right:
                added = f"{right} column and {bottom} row were added by repeating the edge"
                found[f"{self._chosen.label} needs even sizes: {added}"] = None
        return tuple(f"{self.name}: {text}" for text in found)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of the videos."""
        found = dict.fromkeys(text for video in self._videos.values() for text in video.notes)
        return tuple(f"{self.name}: {text}" for text in found)

    def _add(self, result: FrameResult) -> None:
        self._put_frame("", result)

    def _put_frame(self, name: str, result: FrameResult) -> None:
        """Write a frame into the video of the object of a name; of the whole if there is none."""
        self._put(f"{self.name}-{name}" if name else self.name, self.picture(result), frame=result.frame)

    def _put(self, name: str, picture: NDArray[Any], *, frame: Frame) -> None:
        """Write a frame into the video of a name; the first video has the sound."""
        if self._info.is_still:
            self._pictures.append(self._folder.file(f"{name}.png"))
            colour = self._told.colour if self._keeps_hdr else None
            write_png(self._pictures[-1], picture, colour=colour, pixel_aspect=self._info.pixel_aspect)
            return
        video = self._video(name, index=frame.index, time_base=frame.time_base)
        video.write(picture, pts=frame.pts, duration=frame.duration)

    def _video(self, name: str, *, index: int, time_base: Fraction) -> VideoWriter:
        """Return the video of a name; it begins with the frame of this index."""
        info = self._info
        if name not in self._videos:
            self._videos[name] = VideoWriter(
                self._folder.file(f"{name}{self._chosen.suffix}"),
                height=info.height,
                width=info.width,
                time_base=time_base,
                frame_rate=info.frame_rate,
                constant_rate=self.rate_of(self._value),
                preset=self._chosen,
                audio_from=self._source_path if info.has_audio and not self._videos else None,
                sound=self._sound,
                pixel_aspect=info.pixel_aspect,
                tags=self._tags(index),
                cut=info.is_part,
                times=info.times,
            )
        return self._videos[name]

    @property
    def _chosen(self) -> Preset:
        return self.preset_of(self._value)

    @property
    def _sound(self) -> SoundChoice | None:
        return cast("SoundChoice | None", self.parsed(self._value)[1].get("sound"))  # `check_video` has refused others

    @property
    def _is_deep(self) -> bool:
        """True if more than eight bits a sample of the source are kept."""
        return bool(self._chosen.deep) and self._told.bits > 8

    @cached_property
    def _videos(self) -> dict[str, VideoWriter]:
        return {}

    @cached_property
    def _lost(self) -> list[str]:
        return []

    @cached_property
    def _pictures(self) -> list[Path]:
        return []

    def _tags(self, index: int) -> Tags:
        """Return those of the source, with the timecode of the first frame that is written."""
        tags, rate, every = self._told, self._info.whole_rate, self._info.every
        if tags.timecode is None or rate is None:
            return tags
        # At a rate that it does not count, the timecode of a later frame is unknown; so is that of each n-th one.
        counted = is_timecode_rate(rate, drops=False)
        timecode = later(tags.timecode, self._info.start + index * every, rate=rate) if counted else tags.timecode
        wanted = self.rate_of(self._value) or (rate / every if every > 1 else None)
        try:
            timecode = at_rate(timecode, rate=rate, wanted=wanted) if wanted else timecode
        except ValueError as error:
            self._lost.append(f"the timecode {timecode} is not kept: {error}")
            return replace(tags, timecode=None)
        return replace(tags, timecode=timecode)

    def _finish_all(self) -> tuple[Path, ...]:
        for video in self._videos.values():
            video.close()
        return (*self._pictures, *(self._folder.path / f"{name}{self._chosen.suffix}" for name in self._videos))

    def _abandon(self) -> None:
        for video in self._videos.values():
            video.abort()


class OverlayFormat(VideoFormat):
    """The source with the objects tinted and outlined: what was found, on what it was found in."""

    name = "overlay"
    labels_only = True

    def picture(self, result: FrameResult) -> ImageArray:
        """Return the objects over the frame."""
        return draw_overlay(result.frame.image, result.labels)

    def _add(self, result: FrameResult) -> None:
        frame, coded = result.frame, result.frame.coded
        if coded is None or self._info.is_still:
            super()._add(result)
            return
        video = self._video(self.name, index=frame.index, time_base=frame.time_base)
        if not video.codes_like(coded):
            super()._add(result)
            return
        # Drawn on the samples that were coded: nothing is lost to colours that are converted.
        drawn = partial(draw_on_planes, labels=result.labels)
        video.write_drawn(coded, draw=drawn, pts=frame.pts, duration=frame.duration)
