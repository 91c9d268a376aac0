"""Passes that find the subject of an open video, and what further passes share: cuts, observed frames, references.

Each function reads a `Source` as often as it must, and gives results a frame at a time. The engines compute; in the
passes it is decided which frames are read, in which order, and in which direction time runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain
from typing import Any, TypeAlias

from covos.core.ahead import prefetch
from covos.core.errors import SourceError
from covos.core.types import Frame, FrameResult
from covos.engines.choices import DEFAULT_FINDING, DEFAULT_REFERENCES, Cuts, Finding
from covos.engines.encoding import FeaturesT, FrameEncoder
from covos.engines.find import FindEngine
from covos.engines.motion import Observed
from covos.engines.shot_references import ShotReferences
from covos.engines.shots import Shots, find_shots, one_shot
from covos.engines.stages import StageProgress
from covos.media.source import Source

Restore: TypeAlias = Callable[[Frame], FrameResult]
"""Makes the result of a frame that an earlier run has computed."""

AHEAD = 4
"""Frames that wait between two stages of a pass: a batch."""


def find_subject(
    source: Source,
    engine: FindEngine[Any],
    *,
    finding: Finding = DEFAULT_FINDING,
    shots: Shots | None = None,
    known: Iterable[Restore] = (),
    wanted: Collection[int] | None = None,
    kept: dict[int, Observed] | None = None,
) -> Iterator[FrameResult]:
    """Segment the subject of a video, a frame at a time, at constant memory.

    Args:
        source: Read twice: all frames, and beside them the references that were not ``kept``.
        engine: Runs the network, in the views of its quality (`FindEngine.at`).
        finding: References, their fusion, and the refinement.
        shots: From `look_for_cuts`; None takes the video as one shot.
        known: Results of the first frames, which are not computed again. Their number must be a multiple of the
            engine's batch for the others to come out as in one run.
        wanted: Indices of the frames to segment, ascending; None takes all.
        kept: References that need not be read (see `covos.engines.shot_references.ShotReferences`).

    Returns:
        An iterator over one result for each wanted frame that is decoded, in order.

    Raises:
        UsageError: The network cannot do this fusion. Raised at once, not by the iterator.
    """
    own = FindPass(source, engine, finding=finding, shots=shots)

    def results() -> Iterator[FrameResult]:
        with closing(own.references(kept)) as references:
            encoder = own.engine.encoder
            # A frame that is made of its neighbours needs them all.
            if wanted is None or own.engine.apart > 1:
                frames = observed(source, encoder)
            else:
                needed = _with_those_around(wanted, own.engine, count=source.info.frame_count)
                frames = prefetch(encoder.select(source, needed))
            yield from own.restored(frames, known)
            for result in own.found(frames, references):
                if wanted is None or result.frame.index in wanted:
                    yield result

    return results()


class FindPass:
    """A pass that finds the subject of a video. A wrong setting is refused when it is made, before a frame is read.

    Args:
        source: The video.
        engine: Runs the network, in the views of its quality.
        finding: References, their fusion, and the refinement.
        shots: From `look_for_cuts`; None takes the video as one shot.

    Attributes:
        engine: The same, for this video: it knows the cuts, or that this is a single picture.
        shots: The shots of the video.
        fusion: The way in which references are used.

    Raises:
        UsageError: The network cannot do this fusion.
    """

    def __init__(self, source: Source, engine: FindEngine[Any], *, finding: Finding, shots: Shots | None) -> None:
        self.fusion = engine.check_fusion(finding.fusion)
        self.shots = shots or one_shot(source)
        self.engine = engine.cut_at(self.shots.cuts) if source.info.frame_count > 1 else engine.of_picture()
        self._source, self._finding = source, finding
        self._before = deque[Observed](maxlen=self.engine.in_whole_batches(self.engine.around))
        """Frames that those after the known ones are brought together with, in whole batches."""

    def references(self, kept: dict[int, Observed] | None = None) -> ShotReferences[Any]:
        """Return what gives each frame its references, but for those that are kept; the first are read at once."""
        count, seed = self._finding.references, self._finding.reference_seed
        return references_of(self._source, self.engine, self.shots, references=count, seed=seed, kept=kept)

    def restored(self, frames: Iterator[Observed], known: Iterable[Restore]) -> Iterator[FrameResult]:
        """Give the results of the first frames as they are known; these frames are taken off.

        Raises:
            SourceError: There are fewer frames than known results.
        """
        for restore in known:
            observed = next(frames, None)
            if observed is None:
                raise SourceError(
                    f"{self._source.info.path} gives fewer frames than in the run before",
                    why="it was changed, or the disk or network that it is on failed",
                    fix="put it back as it was, or begin anew in another folder",
                )
            self._before.append(observed)
            yield restore(observed.frame)

    def found(self, frames: Iterator[Observed], references: ShotReferences[Any]) -> Iterator[FrameResult]:
        """Find the subject in the frames after those."""
        known, refine = len(self._before), self._finding.refine
        onward = chain(_emptied(self._before), frames)
        return self.engine.stream(onward, references, fusion=self.fusion, refine=refine, known=known)


def _emptied(frames: deque[Observed]) -> Iterator[Observed]:
    """Give frames, each of which is then kept no longer."""
    while frames:
        yield frames.popleft()


def _with_those_around(wanted: Collection[int], engine: FindEngine[Any], *, count: int) -> tuple[int, ...]:
    """Return frames, and those that they are brought together with, of so many frames of a video, ascending.

    Whole batches stay so: a frame that is computed in other company may round otherwise.
    """
    batch = engine.encoder.batch
    whole = {at for each in wanted for at in range(each // batch * batch, min(count, (each // batch + 1) * batch))}
    reach = engine.in_whole_batches(engine.around) if whole == {*wanted} else engine.around
    near = {at for each in wanted for at in range(each - reach, each + reach + 1)}
    return tuple(sorted(at for at in near if 0 <= at < count))


def look_for_cuts(
    source: Source, cuts: Cuts, *, see: Callable[[Frame], None] | None = None
) -> Generator[StageProgress, None, Shots]:
    """Look through a video for its cuts, if that is wanted: yield progress, return the shots.

    ``see`` is shown each frame that is looked at.
    """
    count = source.info.frame_count
    if cuts == "off" or count == 1:
        return one_shot(source)
    looking = find_shots(source, see=see)
    while True:
        try:
            yield StageProgress(stage="cuts", done=next(looking), total=count)
        except StopIteration as end:
            shots: Shots = end.value
            return shots


def observed(
    source: Source, encoder: FrameEncoder[Any], *, start: int = 0, show: Callable[[Observed], None] | None = None
) -> Iterator[Observed]:
    """Read a source from its beginning and observe its frames, from one on, ahead of who asks for them.

    One thread decodes, and another finds what moves, while the network works on earlier frames. There each frame is
    shown to ``show``.
    """
    frames: Iterator[Frame] = prefetch(source, depth=AHEAD)
    if start:  # the frame before it is needed for the motion
        frames = (frame for frame in frames if frame.index >= start - 1)
    wanted = (each for each in encoder.observe(frames) if each.frame.index >= start)
    return prefetch(_shown(wanted, show) if show else wanted, depth=AHEAD)


def _shown(frames: Iterator[Observed], show: Callable[[Observed], None]) -> Iterator[Observed]:
    for each in frames:
        show(each)
        yield each


def references_of(
    source: Source,
    engine: FindEngine[FeaturesT],
    shots: Shots,
    *,
    references: int = DEFAULT_REFERENCES,
    seed: int | None = None,
    kept: dict[int, Observed] | None = None,
    at_once: bool = True,
) -> ShotReferences[FeaturesT]:
    """Return what gives each frame its references; the first are read at once, unless it is not known if any is needed.

    On a damaged source, what a selection gives depends on what was read before. So they are read before a full pass
    begins, whatever is known of the first frames; ``at_once`` must then be true.
    """
    remembered = ShotReferences(source, engine, shots.spans(references, seed=seed), kept=kept)
    if at_once:
        remembered(0)
    return remembered
