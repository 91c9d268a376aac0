"""The models and sessions of a process that computes; with them come the libraries of networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from covos.engines.matting import MatteEngine, matte_loader
from covos.engines.shots import Shots, one_shot
from covos.jobs import ModelCache
from covos.model import Model
from covos.plan import Plan
from covos.prompts.seed_mask import SeedMask
from covos.serve.workers import Here, Video, kept_open
from covos.sessions.session import Session


class Networks:
    """The models of a process, each loaded once, and the sessions that are open in it.

    Args:
        plan: Model, device and precision.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.models = plan, ModelCache()
        self._sessions: OrderedDict[Video, Session] = OrderedDict()
        self._cuts: dict[Video, tuple[int, ...]] = {}
        self._matter: tuple[Video, MatteEngine] | None = None

    @classmethod
    def of(cls, here: Here) -> Networks:
        """Return those of a process that computes."""
        assert isinstance(here.plan, Plan), "it was made with a plan"
        here.networks = here.networks or cls(here.plan)
        assert isinstance(here.networks, cls)
        return here.networks

    def close(self) -> None:
        """Close the sessions."""
        for session in self._sessions.values():
            session.close()

    def model(self) -> Model:
        """Return the model, loaded once."""
        return self.models(self.plan)

    def matter(self, video: Video, *, still: bool) -> MatteEngine:
        """Return what finds the mattes of a clip; it remembers a frame, and is made anew for another clip.

        For ``still``, see `MatteEngine`.
        """
        if self._matter is None or self._matter[0] != video:
            plan = self.plan
            load, _ = matte_loader(device=plan.device, precision=plan.precision, runtime=plan.runtime, still=still)
            self._matter = video, load()
        return self._matter[1]

    def session(self, video: Video, seeds: Sequence[SeedMask], *, cuts: tuple[int, ...] | None = None) -> Session:
        """Return a session of a clip with these seeds; the last few stay open, with what they have computed.

        The seeds and the cuts name frames as the server does, by their place in the part that is taken. Without cuts,
        the session keeps those that it has: a click is of one frame.
        """
        session = kept_open(self._sessions, video, lambda: self._begin(video))
        if cuts is not None and cuts != self._cuts[video]:
            session.cut_at(Shots.cut(session.source, cuts) if cuts else one_shot(session.source))
            self._cuts[video] = cuts
        numbers = session.source.info.numbers
        wanted = tuple(seed.at_frame(numbers[seed.frame]) for seed in sorted(seeds, key=lambda seed: seed.frame))
        if session.shown != wanted:
            session.seeds.restore(wanted)
        return session

    def _begin(self, video: Video) -> Session:
        self._cuts[video] = ()
        return self.model().session(
            video.path, range=video.range, deinterlace=video.deinterlace, frame_rate=video.frame_rate
        )
