"""Kinds of video that `VideoWriter` can write: container, codec, pixels and sound of each, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

SoundChoice: TypeAlias = Literal["copy", "pcm", "aac", "none"]
"""The sound of a video as a user asks for it: copied if the container holds it at all, encoded as this, or left out."""
SoundDepth = Literal["16 bits", "24 bits", "floating"]
"""Samples that sound needs so that none of its bits are lost; lossy sound needs 16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundEncoder:
    """FFmpeg's encoder of sound of more than 16 bits, its samples by FFmpeg's name, and its codec's name for people."""

    name: str
    samples: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundRules:
    """The sound that a container holds: codecs that are copied untouched, and FFmpeg's encoder for others.

    Attributes:
        refusal: The reason why others are not copied, to follow "which"; empty where a user has asked for that.
        label: Name of the encoder's codec for people.
        rates: Samples a second that the encoder takes, or 48000; empty if it takes any.
        slowest_mp3: Samples a second below which the container holds no MP3.
        samples: FFmpeg's name of the samples that the encoder gets; None for its own choice.
        deep: The encoder for 24 bits, and for floating samples if they have none of their own; None if ``encoder`` is
            for all.
        floating: The encoder for floating samples.
        held: Codecs that the container holds, too, but not every program reads from it. They are copied where that is
            asked for, or where encoding them again would lose channels.
    """

    copied: frozenset[str]
    refusal: str
    encoder: str
    label: str
    rates: frozenset[int] = frozenset()
    slowest_mp3: int = 0
    samples: str | None = None
    deep: SoundEncoder | None = None
    floating: SoundEncoder | None = None
    held: frozenset[str] = frozenset()

    def keeping(self, depth: SoundDepth) -> SoundRules:
        """Return the rules with the encoder that keeps samples of this depth, where there is one."""
        chosen = {"24 bits": self.deep, "floating": self.floating or self.deep}.get(depth)
        if chosen is None:
            return self
        return replace(self, encoder=chosen.name, samples=chosen.samples, label=chosen.label)

    def copies(self, codec: str, *, rate: int) -> bool:
        """Return True if sound of this codec and so many samples a second is copied."""
        return codec in self.copied and not (codec == "mp3" and rate < self.slowest_mp3)

    @property
    def choices(self) -> tuple[SoundChoice, ...]:
        """The sound that a user may ask for."""
        aac: tuple[SoundChoice, ...] = ("aac",) if "aac" in self.copied | self.held else ()
        pcm: tuple[SoundChoice, ...] = ("pcm",) if self.copied >= _PCM else ()
        return ("copy", *pcm, *aac, "none")

    def asked(self, choice: SoundChoice | None) -> SoundRules:
        """Return the rules for the sound that is asked for, one of `choices`; they are silent on encoding as asked."""
        if choice == "copy":
            return replace(self, copied=self.copied | self.held)
        if choice == "pcm":
            return replace(PCM_ALONE, copied=self.copied & _ALL_PCM)
        return AAC_ALONE if choice == "aac" else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A kind of video, in the names of FFmpeg's muxers and encoders.

    Attributes:
        pixel_format: Pixels that are encoded. YUV is of limited range.
        deep: Pixels that are encoded of frames with more bits a sample: up to so many bits, ascending.
        has_alpha: True if frames are RGBA, with straight alpha; else they are RGB.
        crf: Constant rate factor; None where the codec has none.
        needs_even: True if both sides have to be even.
        coded_even: True if frames of an odd width are coded with one more column, which their header leaves out.
        pixel_aspect: Treatment of pixels that are not square: the file says so (``"kept"``), the pictures are
            scaled until they are (``"scaled"``), or it is lost and a warning says so (``"lost"``). PyAV has no way
            to tell the Matroska muxer.
    """

    label: str
    suffix: str
    container: str
    codec: str
    pixel_format: str
    deep: tuple[tuple[int, str], ...] = ()
    has_alpha: bool = False
    crf: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    needs_even: bool = False
    coded_even: bool = False
    pixel_aspect: Literal["kept", "scaled", "lost"] = "kept"
    sound: SoundRules

    @property
    def is_yuv(self) -> bool:
        """True if its colours need a matrix."""
        return self.pixel_format.startswith("yuv")

    @property
    def is_for_editing(self) -> bool:
        """True if editing programs take it further; the others are for players and web pages."""
        return self.container in {"mov", "matroska"}

    def pixels_of(self, bits: int) -> str:
        """Return the pixels that are encoded of frames with so many bits a sample."""
        return (
            next((name for most, name in self.deep if bits <= most), self.pixel_format)
            if bits > 8
            else (self.pixel_format)
        )


_PCM = frozenset({"pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le", "pcm_s32le", "pcm_f32le"})
_ALL_PCM = _PCM | {"pcm_u8"}
MP4_SOUND = SoundRules(
    # Sound that mp4 holds and common players play from it.
    copied=frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"}),
    refusal="mp4 players do not expect",
    encoder="aac",
    label="AAC",
    rates=frozenset({96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}),
    slowest_mp3=16000,
)
MOV_SOUND = SoundRules(
    copied=_PCM,
    # Resolve on Linux reads no AAC, Premiere and Resolve no AC-3; all of them read PCM.
    held=frozenset({"aac", "ac3", "alac", "eac3", "mp3"}),
    refusal="not every editing program reads in mov",
    encoder="pcm_s16le",
    label="PCM of 16 bits",
    deep=SoundEncoder(name="pcm_s24le", samples="s32", label="PCM of 24 bits"),
    floating=SoundEncoder(name="pcm_f32le", samples="flt", label="PCM of 32 bits, floating"),
)
WEBM_SOUND = SoundRules(
    copied=frozenset({"opus", "vorbis"}),
    refusal="webm cannot hold",
    encoder="libopus",
    label="Opus",
    rates=frozenset({48000, 24000, 16000, 12000, 8000}),
)
MKV_SOUND = SoundRules(
    copied=frozenset({"aac", "ac3", "alac", "eac3", "flac", "mlp", "mp2", "mp3", "opus", "truehd", "vorbis", "wavpack"})
    | _ALL_PCM,
    refusal="mkv cannot hold",
    encoder="flac",
    label="FLAC of 16 bits",
    deep=SoundEncoder(name="flac", samples="s32", label="FLAC of 24 bits"),
)
PCM_ALONE = replace(MOV_SOUND, held=frozenset(), refusal="")
AAC_ALONE = replace(MP4_SOUND, copied=frozenset({"aac"}), refusal="")

H264 = Preset(
    label="H.264",
    suffix=".mp4",
    container="mp4",
    codec="libx264",
    pixel_format="yuv420p",
    crf=18,
    # Quick, so that the encoder takes little of the time of a run: superfast, motion by whole pixels, with the look
    # ahead of veryfast. Without that, files are half as large again (docs/speed.md). Without B-frames every reader
    # finds the same times.
    options=(("preset", "superfast"), ("x264-params", "mbtree=1:rc-lookahead=10:subme=0"), ("bf", "0")),
    needs_even=True,
    sound=MP4_SOUND,
)
VP9_ALPHA = Preset(
    label="VP9",
    suffix=".webm",
    container="webm",
    codec="libvpx-vp9",
    pixel_format="yuva420p",
    has_alpha=True,
    crf=24,
    # The encoder refuses alpha together with hidden reference frames. Its slower settings take several times as
    # long for files that are hardly smaller.
    options=(("b", "0"), ("auto-alt-ref", "0"), ("deadline", "realtime"), ("cpu-used", "6"), ("row-mt", "1")),
    pixel_aspect="scaled",
    sound=WEBM_SOUND,
)
PRORES_4444 = Preset(
    label="ProRes 4444",
    suffix=".mov",
    container="mov",
    codec="prores_ks",
    pixel_format="yuva444p10le",
    deep=((16, "yuva444p10le"),),
    has_alpha=True,
    # Apple's programs warn of files that another vendor is named in.
    options=(("profile", "4444"), ("vendor", "apl0")),
    sound=MOV_SOUND,
)
PRORES_422 = replace(
    PRORES_4444,
    label="ProRes 422 HQ",
    pixel_format="yuv422p10le",
    deep=((16, "yuv422p10le"),),
    has_alpha=False,
    options=(("profile", "hq"), ("vendor", "apl0")),
    # FFmpeg's encoder leaves out the last sample of colour of an odd width; the last column would have another's.
    coded_even=True,
)
QTRLE = Preset(
    label="QuickTime Animation",
    suffix=".mov",
    container="mov",
    codec="qtrle",
    pixel_format="argb",
    has_alpha=True,
    sound=MOV_SOUND,
)
FFV1 = Preset(
    label="FFV1",
    suffix=".mkv",
    container="matroska",
    codec="ffv1",
    pixel_format="bgra",
    deep=((10, "gbrap10le"), (12, "gbrap12le"), (16, "gbrap16le")),
    has_alpha=True,
    # Version 3 with a checksum for each slice, as archives ask for; every frame can be decoded on its own.
    options=(("level", "3"), ("slicecrc", "1"), ("g", "1")),
    pixel_aspect="lost",
    sound=MKV_SOUND,
)
FFV1_OPAQUE = replace(
    FFV1,
    pixel_format="bgr0",
    deep=((10, "gbrp10le"), (12, "gbrp12le"), (16, "gbrp16le")),
    has_alpha=False,
)
