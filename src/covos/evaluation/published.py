"""Published scores to set beside one's own: percent, as the papers print them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One method on one benchmark.

    Attributes:
        method: Its name and variant.
        j: Mean region similarity, percent; None where it is not stated.
        f: Mean contour accuracy, percent; None where it is not stated.
        jf: Mean of the two, percent.
        source: Where the numbers are printed.
    """

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
