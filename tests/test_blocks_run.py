"""The Python blocks of the documents run as they are printed, in a folder that has what they name.

The blocks of `jobs.md` and `data.md` run in `test_documented.py` of their rooms, those of `from-the-seed.md` in
`training/test_from_the_seed.py`, and that of `http.md` in `serve/test_api.py`. `test_blocks.py` checks the names
and arguments of all.
"""

from __future__ import annotations

import ast
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import covos
from clips import write_clip
from covos.cli import main
from covos.models import CovosLite
from covos.models import registry as networks
from covos.models.matte import CovosMatte
from covos.training import registry
from loaded import ROOT

TIANCHI = ROOT / "tests" / "fixtures" / "tianchi"


def blocks(name: str) -> list[str]:
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def tenth(block: str) -> str:
    """A block whose frames and places are a tenth of those printed: of a small, short clip; texts stay as they are."""
    return re.sub(r'(?<!["\d.])(\d+)[01](?![\d.])\b', r"\1", block)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:warning")
@pytest.mark.usefixtures("small_networks")  # the blocks run; what they find is asked elsewhere
class TestOnAClip:
    """Blocks that segment, follow and write."""

    @pytest.fixture(autouse=True)
    def _folder(self, make_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        make_clip("clip.mp4", frames=8, height=48, width=64)
        self.make_clip = make_clip
        self.picture = np.full((48, 64, 3), 90, np.uint8)

    def test_of_readme_and_the_start(self, tmp_path: Path) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        (python,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
        for name in ("long", "other", "beach"):
            shutil.copy("clip.mp4", f"{name}.mp4")
        Path("examples").mkdir()
        shutil.copy("clip.mp4", "examples/car.mp4")
        names: dict[str, Any] = {}
        exec(tenth(python), names)
        assert names["mask"].shape == (48, 64)
        assert names["mask"].dtype == bool
        assert Path("subject.webm").is_file()
        assert names["shown"].object_ids == (1,)
        assert Path("shown/coco.json").is_file()
        shell = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)[1]
        commands = [line.split("#")[0].split() for line in tenth(shell).splitlines()]
        for number, (program, *words) in enumerate(commands):
            if program == "covos" and words[0] != "open":
                words[words.index("-o") + 1] = f"{number}-{words[words.index('-o') + 1]}"
                assert main(words) == 0, words
        first, _ = blocks("start")
        frames = [np.full((48, 64, 3), 40 * index, np.uint8) for index in range(3)]
        exec(tenth(first).replace('"subject.mov"', 'out / "subject.mov"'), {"frames": frames, "out": tmp_path / "new"})
        assert Path("part/report.html").is_file()

    def test_of_engineers(self, capsys: pytest.CaptureFixture[str]) -> None:
        (block,) = blocks("for-engineers")
        exec(block, {})
        assert "8 of 8" in capsys.readouterr().out
        assert Path("out/report.json").is_file()

    def test_of_live(self) -> None:
        (block,) = blocks("live")
        shown: list[Any] = []
        exec(
            block, {"covos": covos, "camera": [self.picture, self.picture], "show": lambda *given: shown.append(given)}
        )
        assert [labels.shape for labels, _, _ in shown] == [(48, 64), (48, 64)]

    def test_of_mattes(self) -> None:
        found, one = blocks("matte")
        names: dict[str, Any] = {"covos": covos}
        covos.segment("clip.mp4").save("out", formats=["palette"])
        covos.segment("clip.mp4").save("masks", formats=["palette"])
        # The last line is of weights that a training makes.
        exec(
            "\n".join(found.splitlines()[:-1]).replace("result[10]", "result[5]").replace('"masks/"', '"masks"'), names
        )
        assert Path("soft.mov").is_file()
        trimap = np.full((48, 64), 0.5, np.float32)
        trimap[:, :20], trimap[:, 40:] = 0, 1
        exec(one, {**names, "image": self.picture, "trimap": trimap})

    @pytest.mark.usefixtures("kept_graphs")
    def test_of_runtimes(self) -> None:
        pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install '.[openvino]'")
        (block,) = blocks("runtimes")
        names: dict[str, Any] = {"covos": covos}
        exec(block, names)
        assert covos.segment("clip.mp4", model=names["model"])[0].mask.shape == (48, 64)

    def test_of_a_session_at_the_start(self) -> None:
        _, session = blocks("start")
        exec(tenth(session).replace("55", "5"), {"covos": covos})
        assert Path("car.mov").is_file()

    def test_of_annotations(self) -> None:
        loaded, pictures, used = blocks("annotations")
        covos.segment("clip.mp4").save("out", formats=["palette", "coco"])
        covos.segment("clip.mp4").save("masks", formats=["palette"])
        names: dict[str, Any] = {"covos": covos}
        exec(loaded, names)
        assert len(names["result"]) == 8
        exec(pictures, names)
        assert len(list(Path("frames").iterdir())) == 8
        # The masks of the page are of a longer clip, and have three objects.
        labels = np.zeros((48, 64), np.uint8)
        labels[8:24, 8:24], labels[30:40, 30:40], labels[4:7, 40:60] = 1, 2, 3
        write_clip(Path("long.mp4"), [self.picture] * 60)
        Path("three").mkdir()
        for index in range(60):
            Image.fromarray(labels).save(f"three/{index:05}.png")
        result = covos.load_result("three", source="long.mp4")
        shutil.rmtree("out")
        with pytest.raises(IndexError, match="60"):
            _ = result[99]
        exec(used, {"covos": covos, "result": result})
        assert covos.load_result("out") == result

    def test_of_a_batch(self, capsys: pytest.CaptureFixture[str]) -> None:
        (block,) = blocks("batch")
        Path("clips").mkdir()
        shutil.copy("clip.mp4", "clips/a.mp4")
        Path("clips/b.mp4").write_text("no video")
        exec(block, {"covos": covos})
        assert capsys.readouterr().out.startswith("b ")
        assert Path("out/a/report.json").is_file()

    def test_of_formats(self) -> None:
        (block,) = blocks("formats")
        result = covos.segment("clip.mp4")
        result.save("out", formats=["palette"])
        exec(block, {"covos": covos, "result": result})
        assert Path("x.mov").is_file()
        assert Path("x.webm").is_file()

    def test_of_places(self, monkeypatch: pytest.MonkeyPatch) -> None:
        picture = np.full((44, 76, 3), 60, np.uint8)
        picture[15:33, 10:33] = (230, 200, 40)
        write_clip(Path("clip.mp4"), [picture] * 4)
        segment = CovosLite.segment

        def find_left_half(*given: Any, **named: Any) -> torch.Tensor:
            """A point on what is no part of the subject is refused."""
            logits = torch.full_like(segment(*given, **named), -8.0)
            logits[..., : logits.shape[-1] // 2] = 8.0
            return logits

        monkeypatch.setattr(CovosLite, "segment", find_left_half)
        block, *_ = blocks("follow")
        exec(tenth(block).replace("768", "76"), {"covos": covos})

    def test_of_following(self, monkeypatch: pytest.MonkeyPatch) -> None:
        labels = np.zeros((48, 64), np.uint8)
        labels[30:44, 30:44], labels[12:28, :16] = 1, 2
        Image.fromarray(labels).save("00000.png")
        other = np.zeros((48, 64), bool)
        other[34:44, 2:12] = True
        self.make_clip("clip.mp4", frames=10)

        def discover(session: covos.Session, most: int) -> None:
            """The small networks find no objects in so small a clip: two are shown in their stead."""
            session.add_file("00000.png")

        monkeypatch.setattr(covos.Session, "discover", discover)
        names: dict[str, Any] = {"array": other, "corrected": other}
        _, shown, corrected, _ = blocks("follow")
        for statement in ast.parse(tenth(shown)).body:  # each is a way of its own to make "out"
            shutil.rmtree("out", ignore_errors=True)
            exec(ast.unparse(statement), names)
        assert names["click"].mask.shape == (48, 64)
        assert names["result"].object_ids
        covos.segment("clip.mp4", masks="00000.png").save("out")
        exec(tenth(corrected), names)
        assert Path("better/report.json").is_file()

    def test_of_streams(self) -> None:
        *_, block = blocks("follow")
        self.make_clip("clip.mp4", frames=15)
        shown: list[tuple[int, ...]] = []
        with covos.load_model().session("clip.mp4") as session:
            session.add_box(4, 1, box=(10, 10, 30, 30))
            exec(tenth(block), {"session": session, "show": lambda image, labels: shown.append(labels.shape)})
        assert shown == [(48, 64)] * (15 + 10 + 5)  # the frame that both ways begin with is shown once
        assert len(covos.load_result("out")) == 15

    def test_of_parts(self) -> None:
        (block,) = blocks("trim")
        write_clip(Path("clip.mp4"), [self.picture] * 64, rate=1)  # the times of the block lie in it
        labels = np.zeros((48, 64), np.uint8)
        labels[10:30, 10:30] = 1
        Image.fromarray(labels * 255).save("dog.png")
        covos.segment("clip.mp4", range=range(0, 8)).save("out", formats=["palette"])
        exec(re.sub(r"(\d\d)0\b", r"\1", block), {"covos": covos, "array": labels > 0})
        assert Path("part.mov").is_file()

    def test_of_scores(self) -> None:
        (block,) = blocks("evaluation")
        copy_truth()
        names: dict[str, Any] = {"covos": covos}
        exec(block, names)
        assert names["result"].scores
        assert names["boundary_f"] is not names["jaccard"]


def copy_truth() -> None:
    """Make GT, without the video whose annotations are not public, and PRED."""
    hidden = shutil.ignore_patterns("600103", "test.txt")
    shutil.copytree(TIANCHI, "GT", ignore=hidden)
    shutil.copytree(TIANCHI / "Annotations", "PRED", ignore=hidden)


STEP: dict[str, Any] = {
    "steps": 1, "frames_per_step": 2, "group_sizes": [2], "crops": [(64, 96)], "crop_chances": [1.0], "warmup": 1,
    "device": "cpu", "precision": "fp32", "workers": 0, "check": False, "ratio": 0.5,
}  # fmt: skip


@pytest.mark.slow
class TestTraining:
    """Blocks that train: each for one small step."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        # Kinds of training and networks of a test are gone after it.
        monkeypatch.setattr(registry, "RECIPES", dict(registry.RECIPES))
        monkeypatch.setattr(registry, "TASKS", dict(registry.TASKS))
        monkeypatch.setattr(networks, "NETWORKS", dict(networks.NETWORKS))
        for module in ("model", "training.validate"):
            monkeypatch.setattr(f"covos.{module}.DEFAULT_AREA", 96 * 128)
        train = covos.train
        monkeypatch.setattr(covos, "train", lambda *given, **named: train(*given, **named | STEP))
        for name in ("MY_FOLDER", "TIANCHI", "ROOT"):
            shutil.copytree(TIANCHI, name)
        copy_truth()

    def test_of_trainings_of_your_own(self, make_clip: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
        make_clip("clip.mp4", frames=2)
        called, heard, task, network = blocks("extending")
        logged: list[tuple[int, set[str]]] = []
        logger = SimpleNamespace(log=lambda values, step: logged.append((step, set(values))))
        names: dict[str, Any] = {"covos": covos, "wandb": logger}
        exec(called, names)
        assert names["result"].best is not None
        for block in (heard, task, network):
            shutil.rmtree("runs")
            exec(block, names)
        assert {step for step, values in logged if "J" in values} == {0, 1}
        assert [step for step, values in logged if "total" in values] == [1]
        assert "step 1/1" in capsys.readouterr().err
        assert Path("runs/wide/last.safetensors").is_file()

    def test_of_training(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        (measured,) = blocks("training")
        (averaged,) = blocks("matte-training")
        covos.train("lite-finetune", "MY_FOLDER", "runs/mine")
        exec(measured, {"covos": covos})
        assert "total" in capsys.readouterr().out
        Path("run1").mkdir()
        torch.save({"average": CovosMatte().state_dict()}, "run1/checkpoint.pt")
        Path("average.py").write_text(averaged)
        monkeypatch.setattr(sys, "argv", ["average.py", "run1", "one.safetensors"])
        runpy.run_path("average.py", run_name="__main__")
        assert Path("one.safetensors").is_file()

    def test_of_researchers(self, capsys: pytest.CaptureFixture[str]) -> None:
        (block,) = blocks("for-researchers")
        names: dict[str, Any] = {"covos": covos}
        exec(block, names)
        assert names["image"].shape == (180, 320, 3)
        assert names["result"].steps == 1
