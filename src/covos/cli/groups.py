"""The groups of options that several verbs take, and the values that they stand for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from covos.cli import options
from covos.engines.choices import AUTO, DEFAULT_MEMORY, DEFAULT_QUALITY, DEFAULT_REFERENCES
from covos.models.registry import DEFAULT_FOLLOWER, DEFAULT_MODEL

if TYPE_CHECKING:
    from covos.formats.composition import Composition
    from covos.masks.edges import Edges
    from covos.media.range import Range
    from covos.models.choices import Fusion
    from covos.task import Find


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The way in which networks are computed."""

    device: options.Device = AUTO
    precision: options.Precision = AUTO
    runtime: options.Runtime = AUTO


@dataclass(frozen=True, kw_only=True)
class FindOptions:
    """The model, and the way in which it finds the subject."""

    model: options.Model = DEFAULT_MODEL
    quality: options.Quality = DEFAULT_QUALITY
    references: options.References = DEFAULT_REFERENCES
    fusion: options.Fusion = AUTO
    reference_seed: options.ReferenceSeed = None
    refine: options.Refine = "none"

    @property
    def chosen_fusion(self) -> Fusion | None:
        """The fusion; None if it is that which suits the model."""
        return None if self.fusion == AUTO else self.fusion

    def find(self) -> Find:
        """Return the task of finding the subject.

        Raises:
            UsageError: A value makes no sense.
        """
        from covos.task import Find

        return Find(
            quality=self.quality,
            references=self.references,
            fusion=self.chosen_fusion,
            reference_seed=self.reference_seed,
            refine=self.refine,
        )


@dataclass(frozen=True, kw_only=True)
class FollowOptions:
    """The way in which objects are followed."""

    trust_prompts: options.TrustPrompts = False
    resize_masks: options.ResizeMasks = False
    direction: options.Direction = AUTO
    memory: options.Memory = DEFAULT_MEMORY
    follower: options.Follower = DEFAULT_FOLLOWER
    prompter: options.Prompter = AUTO


@dataclass(frozen=True, kw_only=True)
class LivePart:
    """The part of a live source that is taken."""

    start: options.Start = None
    end: options.End = None
    every: options.Every = 1

    def range(self) -> Range:
        """Return the part.

        Raises:
            UsageError: A place cannot be read, or the end is not after the start.
        """
        from covos.media.range import Range

        return Range(**_values(self))


@dataclass(frozen=True, kw_only=True)
class Part(LivePart):
    """The part of a source that is taken."""

    times: options.Times = "zero"


@dataclass(frozen=True, kw_only=True)
class LiveRims:
    """The changes of masks' edges that take one frame alone."""

    grow: options.Grow = "0"
    shrink: options.Shrink = "0"
    feather: options.Feather = "0"

    def edges(self) -> Edges:
        """Return the changes.

        Raises:
            UsageError: A length or an area cannot be read.
        """
        from covos.masks.edges import Edges

        return Edges(**_values(self))


@dataclass(frozen=True, kw_only=True)
class Rims(LiveRims):
    """The changes of masks' edges."""

    fill_holes: options.FillHoles = "0"
    min_area: options.MinArea = "0"
    smooth_time: options.SmoothTime = 0


@dataclass(frozen=True, kw_only=True)
class Composing:
    """The way in which outputs are composed."""

    background: options.Background = None
    background_start: options.BackgroundStart = "0"
    background_end: options.BackgroundEnd = None
    light_wrap: options.LightWrap = "0"
    shadow: options.Shadow = False
    alpha: options.Alpha = None
    each_object: options.EachObject = False
    keep_hdr: options.KeepHdr = False
    invert: options.Invert = False
    constant_rate: options.ConstantRate = None
    sound: options.Sound = None

    def composition(self) -> Composition:
        """Return what is asked of the outputs.

        Raises:
            UsageError: A value cannot be read, or two do not go together.
        """
        from covos.formats.composition import Composition

        return Composition(**_values(self))


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Further fields of a plan."""

    label: options.Labels = None
    frame_rate: options.FrameRate = None
    damaged: options.Damaged = "hold"
    deinterlace: options.Deinterlace = AUTO
    cuts: options.Cuts = AUTO
    matte: options.Matte = None


def plan_fields(finding: FindOptions, planned: Planned, part: Part, rims: Rims, machine: Machine) -> dict[str, Any]:
    """Return the fields of a plan, but for its source, its task and its formats.

    Raises:
        UsageError: A value cannot be read, or makes no sense.
    """
    from covos.core.labelling import read_labels

    return {
        "model": finding.model,
        "device": machine.device,
        "precision": machine.precision,
        "runtime": machine.runtime,
        "damaged": planned.damaged,
        "deinterlace": planned.deinterlace,
        "matte": planned.matte,
        "cuts": planned.cuts,
        "frame_rate": options.frame_rate_of(planned.frame_rate),
        "range": part.range(),
        "edges": rims.edges(),
        "label": read_labels(planned.label or ()),
    }


def task_settings(finding: FindOptions, following: FollowOptions) -> dict[str, Any]:
    """Return the arguments of `covos.task.choose_task`, but for objects and prompts."""
    return {
        "quality": finding.quality,
        "references": finding.references,
        "fusion": finding.chosen_fusion,
        "reference_seed": finding.reference_seed,
        "refine": finding.refine,
        "resize_masks": following.resize_masks,
        "direction": following.direction,
        "memory": following.memory,
        "follower": following.follower,
        "prompter": following.prompter,
    }


def _values(group: LivePart | LiveRims | Composing) -> dict[str, Any]:
    """Return the values of a group, by their names."""
    return {each.name: getattr(group, each.name) for each in fields(group)}
