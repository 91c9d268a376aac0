"""The terms of the run that a plan asks for."""

from __future__ import annotations

from covos.formats.table import check_formats, shown_files
from covos.media.source import Source, fingerprint
from covos.plan import Plan
from covos.runs.report import Origin
from covos.runs.terms import Inputs, RunTerms


def terms_of(plan: Plan, origin: Origin, *, source: Source, device: str, batch: int) -> RunTerms:
    """Return the terms of a run.

    Args:
        plan: See `covos.plan.Plan`.
        origin: The model, and the settings of the task.
        source: The part of the source that is taken.
        device: Kind of the device that computes, such as ``"cuda"``.
        batch: Frames that are computed together.

    Raises:
        SourceError: A file of the source cannot be read.
    """
    formats = check_formats(plan.formats)
    return RunTerms(
        inputs=Inputs.of(source),
        model=origin.model,
        weights_sha256=origin.sha256,
        # Another kind of device, or another batch, rounds otherwise: its masks would differ by a pixel.
        settings={
            **origin.settings,
            "cuts": plan.cuts,
            "device": device,
            "frame_rate": str(source.info.frame_rate),
            **({} if plan.damaged == "hold" else {"damaged": plan.damaged}),
            **({} if plan.deinterlace == "auto" else {"deinterlace": plan.deinterlace}),
        },
        batch=batch,
        formats=formats,
        shown={name: fingerprint(files) for name, files in shown_files(formats).items()},
    )
