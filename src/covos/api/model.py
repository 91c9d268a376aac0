"""A model, loaded once and used for many videos."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from covos.api.output import Origin
from covos.core.device import Precision, choose_precision, resolve_device
from covos.core.types import FrameResult
from covos.engines.encoding import DEFAULT_AREA, FrameEncoder
from covos.engines.find import DEFAULT_REFERENCES, FindEngine
from covos.engines.memory import DEFAULT_MEMORY, check_memory
from covos.engines.passes import Known, find_subject
from covos.media.opening import open_source
from covos.media.source import Source
from covos.models.coattention import Fusion
from covos.models.cosnet.crf import Refinement
from covos.models.layers import fold_batch_norms
from covos.models.registry import (
    DEFAULT_FOLLOWER,
    DEFAULT_MODEL,
    ModelEntry,
    build_network,
    find_follower,
    find_model,
    refuse_untrained,
)

if TYPE_CHECKING:
    from covos.api.session import Session
    from covos.models.cosnet.network import Cosnet
    from covos.models.lite import CovosLite

BATCH = {"cpu": 4, "cuda": 16}


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A model on its device; made by `load_model`.

    Attributes:
        entry: Name, weights file and card.
        engine: What runs the network.
        network: The bare network. A COSNet takes a pair of preprocessed batches, ``network(a, b)``.
    """

    entry: ModelEntry
    engine: FindEngine[Any]
    network: CovosLite | Cosnet

    @property
    def name(self) -> str:
        """As in the registry or on the card."""
        return self.entry.name

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.engine.encoder.device

    @property
    def precision(self) -> str:
        """Of its arithmetic: ``float32``, ``bfloat16`` or ``float16``."""
        return str(self.engine.encoder.precision).removeprefix("torch.")

    def origin(self, **settings: object) -> Origin:
        """What a report says of results of this model.

        Args:
            **settings: What else the user chose; anything that JSON can express.
        """
        return Origin(
            model=self.name,
            sha256=self.entry.card.sha256,
            device=f"{self.device}, {self.precision}",
            settings={"precision": self.precision, **settings},
            card=self.entry.card.model_dump(),
        )

    def session(
        self,
        source: str | os.PathLike[str],
        *,
        follower: str | Path = DEFAULT_FOLLOWER,
        memory: int = DEFAULT_MEMORY,
        prompter: str | Path = "auto",
        frame_rate: Fraction | int | None = None,
    ) -> Session:
        """Open a video to follow objects in that the user shows.

        Args:
            source: A video, a folder of frames, a glob of images or one image.
            follower: The covos-follow that was trained on this model's features: a name, or a ``.safetensors`` file.
            memory: Frames that are remembered between the prompted ones and the latest.
            prompter: What makes masks of points and boxes: ``"grabcut"``; a covos-prompt, by its name or a
                ``.safetensors`` file; or ``"auto"`` (see `covos.api.prompters.choose_prompter`).
            frame_rate: Of a folder of frames or a glob, in frames a second; 25 if not given.

        Returns:
            The session; a context manager.

        Raises:
            SourceError: The source cannot be read.
            UsageError: A value is wrong, or the follower is another kind of network.
            CheckpointError: The follower was trained on the features of another model.
            EnvironmentProblem: Its weights are not there.
        """
        from covos.api.session import Session

        find_follower(follower, encoder=self.entry)
        check_memory(memory)
        opened = open_source(source, frame_rate=frame_rate)
        return Session(opened, load=lambda: self, follower=follower, memory=memory, prompter=prompter)

    def stream(
        self,
        source: Source,
        *,
        references: int = DEFAULT_REFERENCES,
        fusion: Fusion | None = None,
        reference_seed: int | None = None,
        refine: Refinement = "none",
        known: Iterable[Known] = (),
    ) -> Iterator[FrameResult]:
        """Segment the subject of an open source, a frame at a time, at constant memory.

        Args:
            source: From `covos.media.open_source`; read in two passes.
            references: Frames of the video that every frame is compared with; 0 takes each for itself.
            fusion: How to use several references: ``"summary"``, ``"prediction"`` or ``"group"`` (see
                `covos.models.coattention.Fusion`); None takes what suits the network.
            reference_seed: Draw the references at random from this seed; None spreads them evenly over the video.
            refine: How to fit the probabilities to the picture: ``"none"`` or ``"crf"`` (see
                `covos.models.cosnet.crf.Refinement`).
            known: Results of the first frames, which are not computed again. Their number must be a multiple of the
                engine's batch for the others to come out as in one run.

        Returns:
            An iterator over one result for each decoded frame, in order. The references are read before the first.

        Raises:
            UsageError: ``references`` is out of range, the network cannot do this ``fusion``, or there is no such
                refinement.
        """
        return find_subject(
            source,
            self.engine,
            references=references,
            fusion=fusion,
            reference_seed=reference_seed,
            refine=refine,
            known=known,
        )


def load_model(name: str | Path = DEFAULT_MODEL, *, device: str = "auto", precision: Precision = "auto") -> Model:
    """Load a model.

    Args:
        name: Of a model in the package (``covos models list``), or the path of a ``.safetensors`` file that
            ``covos train`` or ``covos models convert`` made.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        precision: ``"auto"`` takes bfloat16 where the processor computes it natively, else float32.

    Raises:
        UsageError: Unknown model or device.
        CheckpointError: The weights file is damaged or does not fit.
        EnvironmentProblem: The device is not there.
    """
    # Both before the weights are read: a wrong option should cost nothing.
    target = resolve_device(device)
    dtype = choose_precision(target, precision)
    entry = find_model(name)
    refuse_untrained(entry)
    network = build_network(entry)
    fold_batch_norms(network)
    network.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder: FrameEncoder[Any] = FrameEncoder(
        network, device=target, precision=dtype, area=DEFAULT_AREA, batch=BATCH.get(target.type, 8)
    )
    return Model(entry=entry, engine=FindEngine(encoder), network=network)
