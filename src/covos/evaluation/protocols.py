"""The rules by which the field scores: which frames, which objects, what void means, how scores are averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from covos.core.errors import UsageError, one_of

ProtocolName: TypeAlias = Literal["davis2016", "davis2016-all", "davis2017-semi", "davis2017-unsup", "youtube-vos"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringProtocol:
    """One way to score.

    Attributes:
        name: What the user calls it, and what every output says.
        summary: The rules in one line.
        objects: ``"foreground"``: one object, everything that is not 0. ``"first-frame"``: the ids 1 to the highest
            of the first annotation, in all frames, also one that it leaves out. ``"appearing"``: every id of the
            ground truth, from the first annotated frame that shows it.
        average: The units that the overall score is the mean of.
        drop_ends: If true, the first and the last annotated frame are left out.
        void: The meaning of 255 in the ground truth, where several objects are scored: background like any other,
            or pixels that are left out of J and F.
        proposals: Where predicted ids are free, and are matched to objects before scores are read: the highest id
            that a prediction may use. None where ids are those of the ground truth.
        sparse: If true, annotated frames are far apart, so that nothing can be said about flicker.
    """

    name: ProtocolName
    summary: str
    objects: Literal["foreground", "first-frame", "appearing"]
    average: Literal["sequences", "objects", "seen-unseen"]
    drop_ends: bool = False
    void: Literal["background", "ignored"] = "background"
    proposals: int | None = None
    sparse: bool = False

    def scored(self, stems: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of those annotated frames that are scored; may be none."""
        return stems[1:-1] if self.drop_ends else stems


_PROTOCOLS = (
    ScoringProtocol(
        name="davis2016",
        summary="one object; first and last frame dropped; mean over sequences",
        objects="foreground",
        drop_ends=True,
        average="sequences",
    ),
    ScoringProtocol(
        name="davis2016-all",
        summary="one object; all frames; mean over sequences",
        objects="foreground",
        average="sequences",
    ),
    ScoringProtocol(
        name="davis2017-semi",
        summary="objects of the first frame; first and last frame dropped; void is background; mean over objects",
        objects="first-frame",
        drop_ends=True,
        average="objects",
    ),
    ScoringProtocol(
        name="davis2017-unsup",
        summary="up to 20 proposals matched to the objects; all frames; void ignored; mean over objects",
        objects="first-frame",
        void="ignored",
        average="objects",
        proposals=20,
    ),
    ScoringProtocol(
        name="youtube-vos",
        summary="annotated frames, each object from the first that shows it; mean of J and F, seen and unseen classes",
        objects="appearing",
        void="ignored",
        average="seen-unseen",
        sparse=True,
    ),
)

PROTOCOL_NAMES: tuple[ProtocolName, ...] = get_args(ProtocolName)


def get_protocol(name: str) -> ScoringProtocol:
    """Return the protocol of a name.

    Raises:
        UsageError: There is none.
    """
    for protocol in _PROTOCOLS:
        if protocol.name == name:
            return protocol
    raise UsageError(
        f"unknown protocol {name!r}",
        why="scores depend on the rules, so they must be named",
        fix=one_of(name, PROTOCOL_NAMES),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """Scores of one method in percent, as its paper (``source``) prints them; None where it does not state one."""

    method: str
    j: float | None
    f: float | None
    jf: float | None
    source: str


DAVIS2016_VAL: tuple[PublishedRow, ...] = (
    PublishedRow(method="COSNet with CRF", j=80.5, f=79.4, jf=79.95, source="Lu et al., CVPR 2019"),
    PublishedRow(method="MATNet", j=None, f=None, jf=81.6, source="Zhou et al., AAAI 2020"),
    PublishedRow(method="TMO, optical flow", j=None, f=None, jf=86.1, source="Cho et al., WACV 2023"),
    PublishedRow(method="HFAN, MiT-b1, without optical flow", j=None, f=None, jf=79.5, source="Pei et al., ECCV 2022"),
    PublishedRow(method="HFAN, MiT-b1, optical flow", j=86.2, f=87.1, jf=86.7, source="Pei et al., ECCV 2022"),
)
"""The twenty validation sequences of DAVIS 2016, unsupervised."""
