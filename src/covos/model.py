"""Model: a network on its device, loaded once and used for many videos; and the networks that build on its features."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from covos.core.arguments import checked
from covos.core.device import Precision
from covos.core.errors import CheckpointError, EnvironmentProblem, UsageError, one_of
from covos.core.types import Deinterlace
from covos.engines.calibration import Calibration
from covos.engines.choices import (
    AUTO,
    DEFAULT_AREA,
    DEFAULT_MEMORY,
    DEFAULT_QUALITY,
    DEFAULT_REFERENCES,
    FOUND_AND_FOLLOWED,
    FOUND_FOLLOWED_IN,
    SMALL_FOUND_FOLLOWED_IN,
    SPAN,
    Quality,
    named_views,
)
from covos.engines.encoding import FrameEncoder, VideoNetwork
from covos.engines.find import FindEngine
from covos.engines.follow import FollowEngine
from covos.engines.grabcut import GrabCutPrompter
from covos.engines.live import Live
from covos.engines.matting import Matting, load_matte_engine
from covos.engines.prompt import NetworkPrompter, Prompter, PromptNetwork, RelayPrompter
from covos.engines.shots import Shots
from covos.engines.steps import LadderStep
from covos.masks.edges import NO_EDGES, Edges
from covos.media.inputs import InMemory, Input, as_source, open_input
from covos.media.range import Range, as_range
from covos.models.registry import (
    DEFAULT_FOLLOWER,
    DEFAULT_MATTER,
    DEFAULT_MODEL,
    DEFAULT_PROMPTER,
    ModelEntry,
    build_follower,
    build_network,
    build_prompter,
    find_follower,
    find_matter,
    find_model,
    find_prompter,
    goes_with,
    list_models,
    refuse_untrained,
)
from covos.prompts.masker import ChosenPrompter
from covos.results.reopened import seeds_of
from covos.results.segmentation import Segmentation
from covos.runs.report import Origin
from covos.runtimes.choice import ChosenRuntime, Computing, Runtime, choose_computing
from covos.runtimes.graphs import KINDS
from covos.runtimes.loading import ready
from covos.sessions.session import Session
from covos.task import Find

BATCH = {"cpu": 4, "cuda": 16}
"""Frames encoded together, by type of device."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Model:
    """A model on its device; made by `load_model`. Several sessions and threads may share one.

    Attributes:
        entry: Name, weights file and card.
        engine: Finds subjects with the network.
        network: The bare network; with torch a module. A COSNet takes a pair of preprocessed batches there,
            ``network(a, b)``.
        runtime: Library that computes it.
    """

    entry: ModelEntry
    engine: FindEngine[Any]
    network: VideoNetwork[Any]
    runtime: Runtime = "torch"
    _followers: dict[str, FollowEngine] = field(default_factory=dict)
    _prompters: dict[str, PromptNetwork] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __repr__(self) -> str:
        weights = f"{self.entry.card.parameters / 1e6:.1f} M weights"
        kind = self.entry.card.architecture
        return f"<Model {self.name}: {kind}, {weights}, on {self.device} in {self.precision} by {self.runtime}>"

    @property
    def name(self) -> str:
        """Name in the registry or on the card."""
        return self.entry.name

    @property
    def device(self) -> torch.device:
        """Device that it computes on, while the memory of that does."""
        return self.engine.encoder.ladder.top

    @property
    def precision(self) -> str:
        """Precision of its arithmetic: ``float32``, ``bfloat16`` or ``float16``."""
        return str(self.engine.encoder.precision).removeprefix("torch.")

    @property
    def computing(self) -> Computing:
        """The way in which further networks are to be computed."""
        return Computing(self.device, self.engine.encoder.precision, self.runtime)

    def fresh(self) -> Model:
        """Return the same model, for another video: what the memory did not hold in this one is tried again there."""
        return replace(self, engine=self.engine.fresh())

    def origin(self, **settings: object) -> Origin:
        """Return what a report says of results of this model.

        Args:
            **settings: Everything else that the user chose; anything that JSON can express.
        """
        # Runs from before there were runtimes go on with torch, which is named nowhere.
        other = {} if self.runtime == "torch" else {"runtime": self.runtime}
        return Origin(
            model=self.name,
            sha256=self.entry.card.sha256,
            device=", ".join([str(self.device), self.precision, *other.values()]),
            settings={"precision": self.precision, **other, **settings},
            card=self.entry.card.model_dump(mode="json"),
        )

    def settings_of(self, task: Find) -> dict[str, Any]:
        """Return all settings that a subject depends on that this model finds, as records of a run have them."""
        around = self.engine.around
        if not around:
            return task.settings
        then = {}
        if self.follows_found(task):
            views = f"{FOUND_FOLLOWED_IN}; {SMALL_FOUND_FOLLOWED_IN} if it is small"
            then["then_followed"] = {**self.describe_follower(DEFAULT_FOLLOWER), "views": views}
        return {**task.settings, "around": around, "views": named_views(task.quality), **then}

    def follows_found(self, task: Find) -> bool:
        """Tell if the subject of a video is followed, too, from where it was found most surely.

        It is at the best quality, unless no follower was trained on the features of this model.
        """
        return task.quality in FOUND_AND_FOLLOWED and goes_with(DEFAULT_FOLLOWER, encoder=self.entry)

    def follower(self, name: str | os.PathLike[str] = DEFAULT_FOLLOWER) -> FollowEngine:
        """Return the engine that follows with a covos-follow; its network is loaded once.

        Args:
            name: A name, or a ``.safetensors`` file; trained on this model's features.

        Raises:
            UsageError: It is another kind of network.
            CheckpointError: It was trained on the features of another model, or its file is damaged.
            EnvironmentProblem: Its weights are not there.
        """
        entry = find_follower(os.fspath(name), encoder=self.entry)
        with self._lock:
            if entry.card.sha256 not in self._followers:
                network = ready(build_follower(entry, encoder=self.entry), entry=entry, computing=self.computing)
                calibration = Calibration.from_card(entry.card.calibration)
                self._followers[entry.card.sha256] = FollowEngine(self.engine.encoder, network, calibration=calibration)
            return self._followers[entry.card.sha256].beside(self.engine.encoder)

    def describe_follower(self, name: str | os.PathLike[str]) -> dict[str, str]:
        """Return what a report says of a follower."""
        entry = find_follower(os.fspath(name), encoder=self.entry)
        return {"name": entry.name, "sha256": entry.card.sha256}

    def prompter(self, name: str | os.PathLike[str] = AUTO) -> ChosenPrompter:
        """Find and load a prompter.

        Args:
            name: ``"grabcut"``; a covos-prompt, by its name or a ``.safetensors`` file; or ``"auto"``: both in turn
                (see `covos.engines.prompt.RelayPrompter`), and GrabCut alone if the weights of covos-prompt are not
                there or belong to another model.

        Raises:
            UsageError: It is another kind of network, or unknown.
            CheckpointError: It was trained on the features of another model, or its file is damaged.
            EnvironmentProblem: Its weights are not there.
        """
        grabcut = GrabCutPrompter(self.engine.encoder)
        wanted = DEFAULT_PROMPTER if str(name) == AUTO else str(name)
        if wanted == grabcut.name:
            return ChosenPrompter(prompter=grabcut, described={"name": grabcut.name})
        if wanted not in {DEFAULT_PROMPTER, *(entry.name for entry in list_models())} and not Path(wanted).is_file():
            raise UsageError(
                f"unknown prompter {wanted!r}",
                why="covos has none of this name, and there is no such file",
                fix=one_of(wanted, (AUTO, grabcut.name, DEFAULT_PROMPTER)) + "; or the path of a .safetensors file",
            )
        try:
            entry = find_prompter(wanted, encoder=self.entry)
        except (CheckpointError, EnvironmentProblem) as missing:
            if str(name) != AUTO:
                raise
            why = {"name": grabcut.name, "instead_of": wanted, "why": f"{missing.what}: {missing.why}"}
            return ChosenPrompter(prompter=grabcut, described=why)
        with self._lock:
            if entry.card.sha256 not in self._prompters:
                network = ready(build_prompter(entry, encoder=self.entry), entry=entry, computing=self.computing)
                self._prompters[entry.card.sha256] = network
        # The network is shared; a prompter keeps the features of its latest frame, and is a session's own.
        asked = self._prompters[entry.card.sha256]
        alone = NetworkPrompter(self.engine.encoder, asked, close=True)
        prompter: Prompter = RelayPrompter(grabcut, alone) if str(name) == AUTO else alone
        described = {"name": prompter.name, "sha256": entry.card.sha256}
        return ChosenPrompter(prompter=prompter, described=described, network=asked)

    def session(
        self,
        source: Input | Segmentation,
        *,
        follower: str | os.PathLike[str] = DEFAULT_FOLLOWER,
        memory: int = DEFAULT_MEMORY,
        prompter: str | os.PathLike[str] = AUTO,
        quality: Quality = DEFAULT_QUALITY,
        frame_rate: Fraction | float | None = None,
        range: Range | range | None = None,
        deinterlace: Deinterlace = "auto",
        listen: Callable[[LadderStep], None] | None = None,
    ) -> Session:
        """Open a video to follow objects in that the user shows.

        Args:
            source: See `covos.media.inputs.Input`. Or a result: the session goes on from its masks, its prompts and its
                cuts, on the part of the source that it was made of. What is shown then corrects these masks.
            follower: See `follower`.
            memory: Frames that are remembered between the seed frames and the latest.
            prompter: See `prompter`.
            quality: ``"fast"`` and ``"draft"`` follow in smaller frames; ``"best"`` follows in larger and in mirrored
                frames, too, and takes the mean. Objects are discovered in frames of the
                size in which they are followed, in a draft in those of the usual size.
            frame_rate: Frames a second of a folder or glob, 25 if not given; 29.97 stands for 30000/1001.
            range: The part that is taken (see `covos.segment`). The session's methods name frames by their number in
                the whole source, which is ``frame.number`` of its results.
            deinterlace: Frames of a video that are made whole pictures: ``"auto"`` takes those that are flagged as
                interlaced, ``"on"`` all, ``"off"`` none.
            listen: Called with each step that the session takes because the memory ran out: it goes on with less (see
                `covos.engines.ladder`). `Session.steps_down` has them all, and the report of a result.

        Returns:
            The session; a context manager.

        Raises:
            SourceError: The source cannot be read, or is not the one of the result any more.
            UsageError: A value is wrong, or the follower is another kind of network; or a result knows no source.
            CheckpointError: The follower was trained on the features of another model.
            EnvironmentProblem: Its weights are not there.
        """
        find_follower(os.fspath(follower), encoder=self.entry)
        held: str | InMemory
        if isinstance(source, Segmentation):
            if frame_rate is not None or range is not None:
                raise UsageError(
                    "frame_rate or range beside a result",
                    why="the session opens the part of the source that the result is of",
                    fix="leave it out, or give result.trim(range)",
                )
            opened, held = source.open_source(what="a session"), source.held
        else:
            held = as_source(source)
            opened = open_input(held, frame_rate=frame_rate, range=as_range(range), deinterlace=deinterlace)
        session = Session(
            opened,
            load=self.fresh,
            follower=follower,
            memory=memory,
            prompter=prompter,
            quality=quality,
            held=held,
            listen=listen,
        )
        if isinstance(source, Segmentation):
            session.seeds.begin(seeds_of(source, name=lambda mask: mask.number))
            session.cut_at(Shots.cut(opened, source.origin.cuts))
            session.health_before = source.health
            for frame in source.frames:
                session.take(frame)
        return session

    def live(
        self,
        *,
        quality: Literal["balanced", "fast"] = DEFAULT_QUALITY,
        references: int = DEFAULT_REFERENCES,
        span: int = SPAN,
        follower: str | os.PathLike[str] = DEFAULT_FOLLOWER,
        memory: int = DEFAULT_MEMORY,
        matte: bool | str | os.PathLike[str] = False,
        edges: Edges = NO_EDGES,
    ) -> Live:
        """Segment a live video: push a frame, and have its mask at once.

        Args:
            quality: ``"fast"`` finds and follows in smaller frames. It finds in those of a draft: a live video has no
                next frame yet, which others could be made of.
            references: Frames of the past that each frame is compared with.
            span: Frames of the past over which they are spread.
            follower: Follows the objects of masks that are pushed; see `follower`.
            memory: Frames that following remembers.
            matte: True finds the opacity of each frame's edges by covos-matte; a name or a ``.safetensors`` file names
                another network of its kind.
            edges: Changes of each frame's edges, such as ``covos.Edges(feather="0.5%")``; not those over time.

        Raises:
            UsageError: A value is wrong, or the follower or the matte is another kind of network.
            CheckpointError: The follower was trained on the features of another model.
            EnvironmentProblem: Its weights are not there.
        """
        if quality not in ("balanced", "fast"):
            raise UsageError(
                f"quality {quality!r} of a live video",
                why="a draft and the best look at later frames too, and the best takes long",
                fix="use balanced or fast",
            )
        find_follower(os.fspath(follower), encoder=self.entry)
        engine = self.fresh().engine.at("draft" if quality == "fast" else quality)

        def follows() -> FollowEngine:
            return self.follower(follower).at(quality)

        matting = None
        if matte is not False:
            entry = find_matter(DEFAULT_MATTER if matte is True else os.fspath(matte))
            load = partial(load_matte_engine, entry.path, ladder=engine.ladder, runtime=self.runtime)
            matting = Matting(load)
        return Live(
            engine, follower=follows, references=references, span=span, memory=memory, matting=matting, edges=edges
        )


@checked()
def load_model(
    name: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    device: str = AUTO,
    precision: Precision = AUTO,
    runtime: ChosenRuntime = AUTO,
) -> Model:
    """Load a model.

    Args:
        name: A name of a model in the package (``covos models list``), or the path of a ``.safetensors`` file that
            ``covos train`` or ``covos models convert`` made.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        precision: ``"auto"`` takes bfloat16 where the processor computes it natively, else float32.
        runtime: Library that computes the networks: ``"torch"``, ``"openvino"`` or ``"onnxruntime"``; ``"auto"`` takes
            what is installed and was measured to be faster (see `covos.runtimes.choice.choose_computing`). The last
            two compute on the processor, and take some seconds to make their graphs, once for each model.

    Raises:
        UsageError: Unknown model, device or runtime.
        CheckpointError: The weights file is damaged or does not fit.
        EnvironmentProblem: The device is not there, or the runtime is not installed.
    """
    # Before the weights are read: a wrong option should cost nothing.
    computing = choose_computing(device=device, precision=precision, runtime=runtime)
    entry = find_model(os.fspath(name))
    refuse_untrained(entry)
    if runtime == AUTO and entry.card.architecture not in KINDS:
        computing = choose_computing(device=device, precision=precision, runtime="torch")
    network = ready(build_network(entry), entry=entry, computing=computing)
    return as_model(entry, network, computing=computing)


def as_model(entry: ModelEntry, network: VideoNetwork[Any], *, computing: Computing) -> Model:
    """Return the model of a network that engines can call."""
    device, precision, runtime = computing
    encoder: FrameEncoder[Any] = FrameEncoder(
        network, device=device, precision=precision, area=DEFAULT_AREA, batch=BATCH.get(device.type, 8)
    )
    return Model(entry=entry, engine=FindEngine(encoder), network=network, runtime=runtime)
