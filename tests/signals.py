"""Signals of an object that is followed well."""

from __future__ import annotations

from covos.engines.calibration import Signals

SURE = Signals(
    quality=2.0,
    presence=4.0,
    decided=2.0,
    agreement=0.8,
    match=0.9,
    moved=0.8,
    scored=0.7,
    cued=0.5,
    jump=0.0,
    undecided=0.0,
    contested=0.0,
)
