"""The calls of covos from Python, for `digest.py`: by the documented functions of the package alone.

    python benchmarks/digest_api.py functions|session|results FOLDER

Run where the inputs lie in ``in/``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import covos

CLIP = "in/clip.mp4"


def keep(folder: Path, name: str, result: Any) -> None:
    """Write what there is to know of a result of `covos.segment`."""
    np.savez_compressed(folder / f"{name}.npz", masks=result.to_numpy())
    frames = [[f.index, f.time, f.confidence, {str(k): str(v) for k, v in f.objects.items()}] for f in result]
    known = {"frames": frames, "ids": list(result.object_ids), "repr": repr(result), "info": repr(result.info)}
    known |= {"health": repr(result.health), "origin": repr(result.origin), "model": result.model}
    (folder / f"{name}.json").write_text(json.dumps(known))


def refusal(call: Callable[[], Any]) -> str:
    """The error that a call ends with, in words."""
    try:
        call()
    except (covos.CovosError, IndexError) as error:
        return f"{type(error).__name__} {getattr(error, 'exit_code', '')}: {error}"
    return "no error"


def functions(folder: Path) -> None:
    """`covos.segment` and `covos.stream`, each way."""
    model = covos.load_model("covos-lite", device="cpu")
    ways: dict[str, dict[str, Any]] = {
        "plain": {},
        "seeded": {"references": 2, "reference_seed": 3},
        "guided": {"refine": "guided"},
        "mask": {"masks": "in/first.png"},
        "array": {"masks": (np.mgrid[:240, :426][1] // 200).astype(np.uint8)},
        "points": {"points": [(100, 80, 1), (300, 180, 0)]},
        "boxes": {"boxes": {0: (179, 108, 269, 240)}},
        "prompts": {"prompts": "in/prompts.json", "prompter": "grabcut"},
        "auto": {"objects": "auto"},
    }
    for name, options in ways.items():
        keep(folder, f"segment-{name}", covos.segment(CLIP, model=model, **options))
    exact = covos.load_model(device="cpu", precision="fp32")
    for name, options in {**ways, "exact": {"model": exact}}.items():
        frames = list(covos.stream(CLIP, **{"model": model, **options}))
        np.savez_compressed(
            folder / f"stream-{name}.npz",
            probabilities=np.stack([each.probability for each in frames]),
            labels=np.stack([each.labels for each in frames]),
            images=np.stack([each.frame.image for each in frames]),
            confidence=np.array([each.confidence for each in frames]),
            states=np.array([repr(each.objects) for each in frames]),
            times=np.array([each.frame.time for each in frames]),
        )
    refused = {
        "nothing there": lambda: covos.segment("in/nothing.mp4"),
        "noise": lambda: covos.segment("in/noise.mp4"),
        "size": lambda: covos.segment(CLIP, masks="in/small.png"),
        "both": lambda: covos.segment(CLIP, masks="in/first.png", objects="auto"),
        "model": lambda: covos.load_model("covos-light"),
        "device": lambda: covos.load_model(device="cuda:7"),
    }
    (folder / "refused.json").write_text(json.dumps({name: refusal(call) for name, call in refused.items()}))
    (folder / "names.json").write_text(json.dumps([sorted(covos.__all__), sorted(dir(covos))]))


def session(folder: Path) -> None:
    """A session, with corrections, and one that discovers."""
    model = covos.load_model("covos-lite", device="cpu")
    said: dict[str, Any] = {}
    masks: dict[str, Any] = {}
    with model.session(CLIP) as open_session:
        said["file"] = open_session.add_file("in/white.png")
        keep(folder, "first", open_session.propagate())
        said["confirmed"] = open_session.confirm(3)
        click = open_session.add_points(6, points=[(220, 140)])
        said["click"], masks["click"] = click.object, click.mask
        further = open_session.add_points(6, click.object, points=[(300, 140)], labels=[0])
        masks["further"] = further.mask
        masks["preview"] = open_session.preview(6)
        keep(folder, "corrected", open_session.propagate())
        corrected = open_session.add_points(8, click.object, points=[(215, 70)])
        masks["corrected"] = corrected.mask
        keep(folder, "forward", open_session.propagate("forward"))
        said["box"] = repr(open_session.add_box(9, 9, box=(175, 45, 256, 185)).object)
        open_session.remove(said["file"][0])
        said["objects"] = open_session.objects
        open_session.undo()
        said["undone"] = open_session.objects
        both = open_session.propagate("both")
        keep(folder, "both", both)
        both.save(folder / "saved")
        masks["stream"] = np.stack([each.probability for each in open_session.stream("both")])
        said["refused"] = [
            refusal(lambda: open_session.remove(77)),
            refusal(lambda: open_session.confirm(99)),
            refusal(lambda: open_session.add_points(0, points=[(1000, 3)])),
        ]
    with model.session("in/long.mp4", memory=2) as open_session:
        open_session.discover(5)
        said["discovered"] = open_session.objects
        said["shown"] = [repr((each.frame, each.object)) for each in open_session.shown if hasattr(each, "object")]
        keep(folder, "discovered", open_session.propagate("both"))
    np.savez_compressed(folder / "masks.npz", **masks)
    (folder / "said.json").write_text(json.dumps(said))


def results(folder: Path) -> None:
    """A result in memory, saved, read back, and scored."""
    result = covos.segment(CLIP, masks="in/first.png", device="cpu")
    part = result[2:9]
    saved = part.save(folder / "part", formats=["palette", "overlay", "coco", "ytvis", "cvat", "npz", "sheet=4"])
    said: dict[str, Any] = {"saved": repr(saved), "part": repr(part), "between": repr(result.between(0.1, 0.5))}
    for name in (".", "coco.json", "ytvis.json", "cvat.xml", "masks.npz", "masks"):
        back = covos.load_result(folder / "part" / name)
        keep(folder, f"back-{name.strip('.').replace('.', '-') or 'folder'}", back)
        said[f"same {name}"] = back == part
    said["coco"] = result.to_coco()
    said["refused"] = [refusal(lambda: result[99]), refusal(lambda: covos.load_result("in/noise.mp4"))]
    np.savez_compressed(
        folder / "drawn.npz", overlay=result.overlay(3), bare=result.overlay(3, opacity=0.2, outline=False)
    )
    (folder / "notebook.html").write_text(result._repr_html_())
    for protocol in ("davis2016", "davis2017-semi"):
        scores = covos.evaluate("in/predicted", "in/truth", protocol=protocol)
        said[protocol] = [repr(scores.scores), [repr(each) for each in scores.objects], str(scores.table())]
    (folder / "said.json").write_text(json.dumps(said))


if __name__ == "__main__":
    {"functions": functions, "session": session, "results": results}[sys.argv[1]](Path(sys.argv[2]))
