"""Frames that were looked at, kept for a pass that looks at them again.

Two networks look at the frames of a stretch: one finds its subject, the other follows it both ways. They take the same
features, so each frame is encoded once. The subject's logits are a cue for what follows, so they are found once, too.
And a pass back needs no second reading of the source: it takes the small pictures and the flows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from covos.core.types import Frame
from covos.engines.encoding import FrameEncoder, join_rows, select_rows
from covos.engines.motion import Observed
from covos.media.picture import picture_at


class KeptEncoder(FrameEncoder[Any]):
    """An encoder that keeps what it is shown, what it makes of it, and the subject's logits, until they are forgotten.

    Features and logits are kept in 16 bits. They are rounded at once, so a frame is the same whenever it is looked at.
    One of 384 x 672 takes 3.8 MB, and 1 MB if it is only shown.

    Args:
        encoder: Encodes the frames.
    """

    def __init__(self, encoder: FrameEncoder[Any]) -> None:
        super().__init__(encoder._network, **encoder._settings())
        self._shown: dict[int, Observed] = {}
        self._features: dict[int, Any] = {}
        self._kinds: tuple[torch.dtype, ...] = ()
        self._logits: dict[int, Tensor] = {}

    def show(self, observed: Observed) -> None:
        """Keep a frame with the picture of this encoder in the place of its own, which may be large."""
        frame = observed.frame
        size, small = self.size_of(frame), observed.small
        if small is None or small.shape[:2] != size:
            small = picture_at(frame, size)
        stand_in = Frame(
            index=frame.index,
            stem=frame.stem,
            image=small,
            pts=frame.pts,
            time_base=frame.time_base,
            status=frame.status,
            source_size=frame.source_size or frame.size,
        )
        self._shown[frame.index] = replace(observed, frame=stand_in, small=small)

    def shown(self, index: int) -> Observed | None:
        """Return a frame as it is kept; None if it was not shown."""
        return self._shown.get(index)

    def recalled(self, frame: Frame) -> Observed:
        """Return a frame as it was shown, with its own picture; one that was not shown, as it is by itself."""
        shown = self._shown.get(frame.index)
        return next(self.observe([frame])) if shown is None else replace(shown, frame=frame)

    def encode(self, observed: Sequence[Observed]) -> Any:
        """See `FrameEncoder.encode`; frames whose features are kept are not encoded again."""
        indices = [each.frame.index for each in observed]
        fresh = [each for each in observed if each.frame.index not in self._features]
        if fresh:
            encoded = super().encode([self._shown.get(each.frame.index, each) for each in fresh])
            self._kinds = tuple(part.dtype for part in encoded)
            for row, each in enumerate(fresh):
                own = select_rows(encoded, [row])
                self._features[each.frame.index] = type(own)(*(part.to(torch.float16) for part in own))
        kept = join_rows([self.ladder.moved(self._features[index]) for index in indices])
        # After a step from a GPU to the processor, which computes more exactly.
        kinds = self._kinds if self.precision != torch.float32 else (torch.float32,) * len(self._kinds)
        return type(kept)(*(part.to(kind) for part, kind in zip(kept, kinds, strict=True)))

    def note(self, logits: Mapping[int, Tensor]) -> None:
        """See `FrameEncoder.note`."""
        self._logits |= {index: logit.to(torch.float16) for index, logit in logits.items()}

    def is_noted(self, index: int) -> bool:
        """See `FrameEncoder.is_noted`."""
        return index in self._logits

    def noted(self, index: int) -> Tensor | None:
        """See `FrameEncoder.noted`."""
        logit = self._logits.get(index)
        return None if logit is None else self.ladder.moved(logit).float()

    def forget(self, *, before: int) -> None:
        """Keep nothing of the frames before one."""
        for kept in (self._shown, self._features, self._logits):
            for index in [each for each in list(kept) if each < before]:
                del kept[index]
