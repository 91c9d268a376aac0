"""``covos predict``: segment a whole data set, for its challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.cli import groups, options
from covos.cli.grouping import grouped
from covos.cli.terminal import say, say_notes
from covos.cli.verdict import refuse_damaged
from covos.core.memory import refuse_small_address_space
from covos.core.progress import counted
from covos.models.registry import DEFAULT_FOLLOWER

if TYPE_CHECKING:
    from covos.predict import Prediction


@grouped
def predict(
    dataset: options.DatasetRoot,
    output: options.ContinuedFolder,
    subset: options.TestVideos = None,
    ratio: options.Ratio = None,
    split_seed: options.SplitSeed = None,
    archive: options.Archive = False,
    follow: options.Follow = None,
    follower: options.Follower = DEFAULT_FOLLOWER,
    allow_errors: options.AllowErrors = False,
    quiet: options.Quiet = False,
    *,
    finding: groups.FindOptions,
    machine: groups.Machine,
) -> None:
    """Segment every video of a data set, for its challenge: FOLDER/Annotations/VIDEO/FRAME.png.

    The same command goes on where it stopped.

    Some challenges, such as TIANCHI's, give the first mask of each video: covos follows its objects, which keep their
    ids. In other videos covos finds one subject, and writes it as 1. It always does so with a model that the follower
    does not belong to (a COSNet, weights that were trained further).
    """
    refuse_small_address_space()
    from covos.cli.progress import JobDisplay
    from covos.core.device import configure_threads
    from covos.core.numbered import as_folder, refuse_pattern
    from covos.data.subsets import open_subset
    from covos.models.registry import find_model
    from covos.predict import follows, gives_objects
    from covos.predict import predict as run
    from covos.runs.predicted import REPORTS

    refuse_pattern(output, fix=as_folder)
    find_model(finding.model)
    videos = open_subset(dataset, subset=subset, ratio=ratio, seed=split_seed)
    say_notes([videos], quiet=quiet)
    from covos.model import load_model  # brings torch: what is wrong is refused before

    configure_threads(pipeline=True)
    loaded = load_model(finding.model, device=machine.device, precision=machine.precision, runtime=machine.runtime)
    chosen = follows(videos, model=loaded, follower=follower) if follow is None else follow
    if not quiet and (chosen or gives_objects(videos)):
        say(f"note: {_said_of(chosen, asked=follow is not None, follower=follower)}", err=True)
    task = finding.find()
    with JobDisplay(quiet=quiet) as display:
        done = run(
            videos,
            output=output,
            model=loaded,
            follow=chosen,
            follower=follower,
            task=task,
            archive=archive,
            listen=display,
        )
    if not quiet:
        say(_summary(done), err=True)
    say(str(done.archive or done.folder))
    if not allow_errors:
        refuse_damaged(list(done.damaged.items()), report=f"its report in {output / REPORTS}")


def _said_of(follow: bool, *, asked: bool, follower: str) -> str:
    if follow:
        return "the objects of each video's first annotation are followed (--no-follow finds one subject instead)"
    found = "the first masks that these videos come with are not used: one subject is written as 1"
    return found if asked else f"{found} ({follower} does not belong to this model)"


def _summary(done: Prediction) -> str:
    fresh = [video for video in done.made if video.name not in set(done.reused)]
    frames, seconds = sum(video.frames for video in fresh), sum(video.seconds for video in fresh)
    speed = f" in {seconds:.1f} s ({frames / seconds:.1f} a second)" if seconds else ""
    before = f"; {len(done.reused)} were there already" if done.reused else ""
    return f"{len(fresh)} of {len(done.made)} videos, {counted(frames, 'frame')}{speed}{before}"
