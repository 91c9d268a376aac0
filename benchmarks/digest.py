"""A digest of everything that covos gives out on a fixed set of small runs, to compare the code before and after.

    python benchmarks/digest.py --save before.txt [--work DIR]      # PYTHONPATH=OTHER/src to run other code
    python benchmarks/digest.py --compare before.txt [--only NAME ...]

One line for each item, `<hash>  <run>/<item>`; an item is a file, a section of a JSON file, or the masks of a folder.
Only the meaning of a file counts (see digest_values.py): pictures and videos are decoded, times, speeds, versions and
places are taken out. `--compare` names the items that differ, are missing or are new, and ends with 1 if there are any.
With `--work`, all files stay: DIR/out/<run> as they were written, DIR/plain/<run> what was digested of texts, so that
`diff -r` of two such folders shows what has changed.

covos is driven by its command line, in processes of one thread each, and by its documented functions
(digest_api.py); nothing else of it is imported. The same bits can be expected on the same machine alone. The words of
runs that are stopped half way are left out, since they depend on the moment: their results must be those of a run that
was not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from digest_inputs import make_inputs
from digest_values import Item, digest, items_of

CLIP, LONG = "in/clip.mp4", "in/long.mp4"
FORMATS = (
    "background", "binary", "blur", "coco", "cutout", "cutout-gif", "cvat", "exr", "ffv1", "green", "labelstudio",
    "matte", "matte-video", "npz", "overlay", "palette", "preview", "prores", "qtrle", "rgba", "sheet", "tiff", "webm",
    "yolo", "ytvis",
)  # fmt: skip
VERBS = (
    "", "segment", "predict", "convert", "evaluate", "reproduce", "train", "doctor", "data", "data inspect",
    "data preview", "models", "models list", "models convert",
)  # fmt: skip
TINY = ("--workers", "0", "--no-check")
LARGE = 100_000_000
"""Bytes from which a file is removed once it is digested."""


class Run:
    """One run: a folder, and the commands that write to it.

    Args:
        name: Of the run.
        work: Where ``in/`` lies and ``out/`` is written.
    """

    def __init__(self, name: str, work: Path) -> None:
        self.work = work
        self.out = f"out/{name}"
        self.folder = work / self.out
        self.count = 0
        env = {key: value for key, value in os.environ.items() if not key.startswith(("COVOS", "RICH", "FORCE"))}
        self.env = env | {"OMP_NUM_THREADS": "1", "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}

    def start(self, *words: str, silent: bool = False) -> subprocess.Popen[str]:
        """Start a command of covos."""
        pipe = subprocess.DEVNULL if silent else subprocess.PIPE
        command = [sys.executable, "-m", "covos", *words]
        return subprocess.Popen(command, cwd=self.work, env=self.env, text=True, stdout=pipe, stderr=pipe)

    def covos(self, *words: str) -> None:
        """Run a command of covos, and note what it says."""
        process = self.start(*words)
        out, error = process.communicate()
        self.note(" ".join(("covos", *words)), process.returncode, out, error)

    def python(self, script: Path, *words: str) -> None:
        """Run a script, and note what it says."""
        command = [sys.executable, str(script), *words]
        done = subprocess.run(command, cwd=self.work, env=self.env, text=True, capture_output=True, check=False)
        self.note(" ".join((script.name, *words)), done.returncode, done.stdout, done.stderr)

    def note(self, command: str, code: int, out: str, error: str) -> None:
        """Keep what a command said."""
        self.count += 1
        said = f"$ {command}\nexit {code}\n--- stdout\n{out}\n--- stderr\n{error}"
        (self.folder / f"said-{self.count:02}.txt").write_text(said)

    def segment(self, name: str, *words: str, source: str = CLIP) -> None:
        """`covos segment` of the clip to a folder of this run."""
        self.covos("segment", source, "-o", f"{self.out}/{name}", *words)

    def stopped(self, name: str, *words: str, when: Callable[[Path], bool], by: signal.Signals) -> None:
        """Run a command that is stopped when something is so, and then run to its end by the same command.

        Raises:
            RuntimeError: It was done before it could be stopped, three times.
        """
        target = self.folder / name
        for _ in range(3):
            shutil.rmtree(target, ignore_errors=True)
            process = self.start(*words, "-o", f"{self.out}/{name}", silent=True)
            while process.poll() is None and not when(target):
                time.sleep(0.01)
            process.send_signal(by)
            if process.wait() != 0:
                break
        else:
            raise RuntimeError(f"{name} could not be stopped half way")
        process = self.start(*words, "-o", f"{self.out}/{name}", silent=True)
        (self.folder / f"said-{name}.txt").write_text(f"exit {process.wait()}\n")

    def same(self, one: str, other: str, *, but: tuple[str, ...] = ()) -> None:
        """Note whether two folders hold the same, and what differs."""
        kept = [{item: digest(content) for item, content in items_of(self.folder / name)} for name in (one, other)]
        names = sorted(kept[0].keys() | kept[1].keys())
        differ = [name for name in names if kept[0].get(name) != kept[1].get(name) and not name.startswith(but)]
        (self.folder / f"said-{other}-as-{one}.txt").write_text("\n".join(differ) or "the same")


def help_texts(run: Run) -> None:
    """The words of `--help` for every verb, and the version."""
    for verb in VERBS:
        run.covos(*verb.split(), "--help")
    run.covos("--version")


def find(run: Run) -> None:
    """One subject: by default, and with the options of finding."""
    run.segment("default")
    run.segment("default")
    run.segment("exact", "--references", "2", "--reference-seed", "3", "--precision", "fp32", "-f", "matte=16", "-q")
    run.segment("none", "--references", "0", "-f", "matte", "-f", "palette")


def sources(run: Run) -> None:
    """Several inputs, a folder of frames, a glob, one image, a video that is cut off."""
    run.covos("segment", CLIP, "in/frames", "in/one.png", "in/nothing.mp4", "-o", f"{run.out}/several")
    run.segment("folder", "--frame-rate", "30000/1001", source="in/frames/")
    run.segment("glob", "-f", "npz", "-f", "webm", source="in/frames/*.png")
    run.segment("cut", "-f", "palette", "--frame-rate", "25", source="in/cut.mp4")
    run.segment("damaged", "-f", "palette", "-f", "matte-video", source="in/cut.mp4")
    run.segment("allowed", "-f", "coco", "--allow-errors", source="in/cut.mp4")


def formats(run: Run) -> None:
    """Every format, those that take a value, and those of one image."""
    every = [word for name in FORMATS for word in ("-f", name)]
    run.segment("every", *every)
    valued = ("background=in/beach.png", "matte=16", "preview=gif", "sheet=4")
    run.segment("valued", *(word for name in valued for word in ("-f", name)))
    run.segment("colour", "-f", "background=#336699", source="in/frames")
    run.segment("image", *every, source="in/one.png")


def refine(run: Run) -> None:
    """Masks that are fitted to the picture's edges."""
    run.segment("guided", "--refine", "guided", "-f", "matte", "-f", "palette")
    run.segment("crf", "--refine", "crf", "-f", "matte", "-f", "palette", source="in/frames")


def follow_masks(run: Run) -> None:
    """Objects that masks show, each way."""
    run.segment("palette", "--mask", "in/first.png", "-f", "palette", "-f", "overlay", "-f", "binary", "-f", "prores")
    run.segment("two", "--mask", "in/white.png", "--mask", "in/red.png:7", "--memory", "1", "-f", "ytvis")
    run.segment("later", "--mask", "in/later.png@6", "-f", "palette", "-f", "matte")
    run.segment("corrected", "--mask", "in/first.png", "--mask", "in/white6.png@6:1", "--direction", "forward")
    run.segment("backward", "--mask", "in/later.png@6", "--direction", "backward", "-f", "palette")
    run.segment("resized", "--mask", "in/small.png", "--resize-masks", "--direction", "both", "--precision", "fp32")


def follow_points(run: Run) -> None:
    """Objects that points, boxes and prompt files show, by each prompter."""
    run.segment("point", "--point", "100,80", "--not-point", "300,180")
    run.segment("box", "--box", "60,6,142,160", "--box", "179,108,269,240:5", "-f", "palette", "-f", "cvat")
    run.segment("later", "--point", "224,180", "--not-point", "90,150@6", "--point", "215,140@6", "-f", "palette")
    for prompter in ("grabcut", "covos-prompt"):
        run.segment(prompter, "--prompts", "in/prompts.json", "--prompter", prompter, "-f", "palette", "-f", "coco")
    run.segment("toml", "--prompts", "in/prompts.toml", "--mask", "in/white.png:2", "-f", "palette")


def discover(run: Run) -> None:
    """Objects that are found, each under its id."""
    run.segment("auto", "--objects", "auto")
    run.segment("three", "--objects", "3", "-f", "palette", "-f", "coco", source=LONG)


def resume(run: Run) -> None:
    """Runs that are stopped half way and go on: the same masks as those of a run that is not stopped."""

    def some(folder: Path) -> bool:
        return len(list((folder / "masks").glob("*.png"))) >= 10

    found = ("segment", LONG, "-f", "palette", "-f", "overlay", "-f", "matte")
    shown = ("segment", LONG, "-f", "palette", "-f", "coco", "--mask", "in/later.png@28")
    for name, words, by in (("find", found, signal.SIGKILL), ("follow", shown, signal.SIGINT)):
        run.covos(*words, "-o", f"{run.out}/{name}", "-q")
        run.stopped("stopped-" + name, *words, when=some, by=by)
        run.same(name, "stopped-" + name, but=("report.json:totals", "report.html"))
        for page in (run.folder / f"stopped-{name}").glob("report.*"):
            page.unlink()


def refusals(run: Run) -> None:
    """The refusals of covos: words and exit codes."""
    run.segment("kept", "-f", "palette", "-q")
    for words in (
        ["-f", "mp5"], ["--references", "-1"], ["--mask", "in/empty.png"], ["--mask", "in/first.png@99"],
        ["--memory", "3"], ["--mask", "in/first.png", "--refine", "crf"], ["--point", "a,b"], ["--not-point", "3,3"],
        ["--prompts", "in/wrong.json"], ["-f", "background=in/nothing.png"], ["--fusion", "summary"],
    ):  # fmt: skip
        run.segment("new", *words)
    run.segment("kept", "-f", "coco")
    run.covos("convert", "in/noise.mp4", "-f", "coco")
    run.covos("evaluate", "in/predicted", "in/nothing", "--protocol", "davis2016")
    run.covos("train", "lite", "--data", "in/data", "-o", f"{run.out}/new", "--set", "stepss=3")
    run.covos("models", "convert", "in/noise.mp4", "-o", f"{run.out}/new.safetensors")
    run.covos("data", "inspect", "in/truth")
    run.covos("nothing")


def data_sets(run: Run) -> None:
    """`predict`, `reproduce`, and what is said of data sets."""
    run.covos("predict", "in/data/tianchi", "-o", f"{run.out}/followed", "--zip")
    run.covos("predict", "in/data/tianchi", "-o", f"{run.out}/followed", "--zip")
    run.covos("predict", "in/data/tianchi", "-o", f"{run.out}/found", "--no-follow", "--subset", "train", "-q")
    run.covos("predict", "in/data/davis", "-o", f"{run.out}/davis", "--follow", "--zip")
    run.covos("reproduce", "davis2016", "--data", "in/data/davis", "-o", f"{run.out}/reproduced")
    run.covos("data", "inspect", "in/data", "--all", "--decode-images", "--json", f"{run.out}/inspected.json")
    run.covos("data", "inspect", "in/data/davis", "--subset", "val")
    run.covos("data", "preview", "in/data", "-o", f"{run.out}/sheet.png", "--frames", "3")


def convert(run: Run) -> None:
    """Masks to every annotation format and back."""
    run.segment("palette", "--mask", "in/first.png", "-f", "palette", "-q")
    into = {"coco": "coco.json", "ytvis": "ytvis.json", "cvat": "cvat.xml", "labelstudio": "labelstudio.json"}
    for name, file in {**into, "npz": "masks.npz", "binary": "binary", "yolo": None}.items():
        run.covos("convert", f"{run.out}/palette", "-f", name, "-o", f"{run.out}/{name}")
        if file is not None:
            run.covos("convert", f"{run.out}/{name}/{file}", "-f", "palette", "-o", f"{run.out}/from-{name}")
    run.covos("convert", f"{run.out}/palette", "-f", "overlay", "-f", "rgba")
    run.covos("convert", "in/truth/cars", "-f", "overlay", "-f", "coco", "--source", CLIP, "-o", f"{run.out}/cars")


def evaluate(run: Run) -> None:
    """Scores by every protocol, as text, JSON, CSV and a page."""
    every = ("--workers", "1", "--gt", "in/truth")
    for name in ("davis2016", "davis2016-all", "davis2017-semi", "davis2017-unsup", "youtube-vos"):
        run.covos("evaluate", "in/predicted", *every, "--protocol", name, "--json", f"{run.out}/{name}.json")
    files = ("--csv", f"{run.out}/csv", "--html", f"{run.out}/scores.html", "--json", f"{run.out}/both.json")
    run.covos("evaluate", "in/predicted", "in/other", *every, "--protocol", "davis2017-semi", *files)


def train(run: Run) -> None:
    """A few steps of every training of covos's own networks, one of them stopped half way."""
    lite = settings(
        "frames_per_step=4", "crops=[[64, 96], [96, 128]]", "crop_chances=[0.7, 0.3]", "group_sizes=[2, 4]",
        "steps=4", "warmup=2", "validate_every=2", "checkpoint_every=1",
    )  # fmt: skip
    clips = settings("clips_per_step=2", "clip_sizes=[3]", "crop=[64, 96]", "steps=3", "warmup=1", "validate_every=0")
    clicks = settings("frames_per_step=4", "crop=[64, 96]", "rounds=[1, 2]", "steps=3", "warmup=1", "validate_every=3")
    data = ("--data", "in/data")
    run.covos("train", "lite", *data, "-o", f"{run.out}/lite", "-w", "covos-lite", *lite, *TINY)
    run.covos("train", "lite-crowd", *data, "-o", f"{run.out}/crowd", "-w", "covos-lite", *lite, *TINY)
    run.covos("train", "follow", *data, "-o", f"{run.out}/follow", *clips, "--no-check", "--workers", "1")
    run.covos("train", "prompt", *data, "-o", f"{run.out}/prompt", *clicks, *TINY)
    tune = ("train", "lite-finetune", "--data", "in/data/davis", *lite, *TINY)
    run.covos(*tune, "-o", f"{run.out}/tuned")
    run.segment("by-tuned", "-m", f"{run.out}/tuned/last.safetensors", "-f", "matte", source="in/frames")
    run.stopped("stopped", *tune, when=lambda folder: (folder / "checkpoint.pt").exists(), by=signal.SIGKILL)
    run.same("tuned", "stopped", but=("summary.html", "history.jsonl"))
    for name in ("summary.html", "history.jsonl"):  # losses are means since the start of the process
        (run.folder / "stopped" / name).unlink(missing_ok=True)  # the first is left by older code alone
    run.covos("train", "lite-finetune", "--data", "in/data", "--check", *lite, "--workers", "0")


def settings(*fields: str) -> list[str]:
    """`--set` for each field."""
    return [word for field in fields for word in ("--set", field)]


def cosnet(run: Run) -> None:
    """COSNet: two steps of training from random weights, a checkpoint of its release, and its fusions."""
    tiny = settings("size=[48, 80]", "epochs=0", "steps=2", "checkpoint_every=0")
    run.covos("train", "cosnet-resnet50", "--data", "in/data/davis", "-o", f"{run.out}/trained", *tiny, *TINY)
    (run.folder / "trained" / "checkpoint.pt").unlink()
    trained = f"{run.out}/trained/last.safetensors"
    publish(run.work / trained, run.folder / "published.pth")
    run.covos("models", "convert", f"{run.out}/published.pth", "-o", f"{run.out}/converted.safetensors", "--json")
    (run.folder / "published.pth").unlink()
    for fusion in ("summary", "prediction", "group"):
        options = ("--fusion", fusion, "--references", "2", "-f", "matte", "-q")
        run.segment(fusion, "-m", trained, *options, source="in/frames")


def publish(trained: Path, path: Path) -> None:
    """Write weights under the names of COSNet's release."""
    import torch
    from safetensors.torch import load_file

    theirs = {
        "context.": "encoder.layer5.", "still.": "encoder.main_classifier.", "coattention.weight.": "linear_e.",
        "coattention.gate.": "gate.", "head_a.conv.": "conv1.", "head_a.bn.": "bn1.", "head_b.conv.": "conv2.",
        "head_b.bn.": "bn2.", "head_a.classifier.": "main_classifier1.", "head_b.classifier.": "main_classifier2.",
    }  # fmt: skip
    state = {}
    for name, tensor in load_file(trained).items():
        ours = next((prefix for prefix in theirs if name.startswith(prefix)), None)
        state[name if ours is None else theirs[ours] + name.removeprefix(ours)] = tensor
    torch.save({"epoch": 1, "model": state}, path)


def models(run: Run) -> None:
    """The words about the models and the installation."""
    run.covos("models", "list")
    for name in ("models list", "doctor"):
        process = run.start(*name.split(), "--json")
        (run.folder / f"{name.replace(' ', '-')}.json").write_text(process.communicate()[0])


def python(which: str) -> Callable[[Run], None]:
    """A run of the functions in digest_api.py."""
    return lambda run: run.python(Path(__file__).with_name("digest_api.py"), which, run.out)


RUNS: dict[str, Callable[[Run], None]] = {
    "cosnet": cosnet, "train": train, "refusals": refusals, "resume": resume, "api-functions": python("functions"),
    "api-session": python("session"), "api-results": python("results"), "formats": formats, "discover": discover,
    "follow-masks": follow_masks, "follow-points": follow_points, "find": find, "sources": sources, "refine": refine,
    "data-sets": data_sets, "convert": convert, "evaluate": evaluate, "models": models, "help": help_texts,
}  # fmt: skip
"""By name; the longest are first, since two are at work at a time."""


def digest_run(name: str, work: Path) -> dict[str, str]:
    """Do one run; the hash of each of its items, by name."""
    began = time.monotonic()
    run = Run(name, work)
    for folder in (run.folder, work / "plain" / name):
        shutil.rmtree(folder, ignore_errors=True)
    run.folder.mkdir(parents=True)
    RUNS[name](run)
    found = kept_items(items_of(run.folder), name, work / "plain")
    for path in run.folder.rglob("*"):
        if path.is_file() and path.stat().st_size > LARGE:
            path.unlink()
    print(f"{name}: {len(found)} items, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found


def kept_items(items: Iterable[Item], name: str, plain: Path) -> dict[str, str]:
    """The hash of each item; texts are written down, for a look at what differs."""
    found = {}
    for item, content in items:
        found[f"{name}/{item}"] = digest(content)
        if isinstance(content, str):
            path = plain / name / item.replace("*", "all")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(path.name + ".txt").write_text(content)
    return found


def compare(found: dict[str, str], before: dict[str, str]) -> int:
    """Print what differs; how many items do."""
    differ = 0
    for item in sorted(found.keys() | before.keys()):
        now, then = found.get(item), before.get(item)
        if now != then:
            differ += 1
            print("new    " if then is None else "missing" if now is None else "differs", item)
    return differ


def main() -> int:
    """Run, print, save, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the lines to this file")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="with the lines of this file")
    parser.add_argument("--only", nargs="+", choices=RUNS, metavar="NAME", help="these runs alone")
    parser.add_argument("--list", action="store_true", help="list the runs")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep all files in this folder")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (default 2)")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{name:14} {next(iter((RUNS[name].__doc__ or '').splitlines()), '')}" for name in RUNS))
        return 0
    chosen = arguments.only or list(RUNS)
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        shutil.rmtree(work / "in", ignore_errors=True)
        make_inputs(work / "in")
        where = [sys.executable, "-c", "import covos; print(covos.__file__)"]
        code = subprocess.run(where, cwd=work, text=True, capture_output=True, check=True).stdout
        print(f"code: {code.strip()}; work: {work}", file=sys.stderr, flush=True)
        found = kept_items(items_of(work / "in"), "inputs", work / "plain")
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for items in pool.map(lambda name: digest_run(name, work), chosen):
                found |= items
    lines = [f"{value}  {item}" for item, value in sorted(found.items())]
    if arguments.save:
        arguments.save.write_text("\n".join(lines) + "\n")
    if arguments.compare is None:
        print("\n".join(lines))
        return 0
    pairs = (line.split("  ", 1) for line in arguments.compare.read_text().splitlines())
    before = {item: value for value, item in pairs if item.split("/")[0] in {*chosen, "inputs"}}
    differ = compare(found, before)
    print(f"{differ} of {len(before)} items differ", file=sys.stderr)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
