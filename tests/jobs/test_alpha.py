"""The alpha of an input as its first mask: from Python, in a session, in a prompt file and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.api import segment
from covos.cli import main
from covos.core.errors import UsageError
from covos.masks import read_label_map
from covos.model import Model
from covos.plan import Plan
from covos.prompts.file import read_prompt_file
from covos.prompts.values import MaskPrompt
from covos.task import Follow, choose_task

COUNT = 3


def opaque(index: int) -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    mask[12:28, 2 * index : 2 * index + 16] = True
    return mask


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    folder = tmp_path / "shots"
    folder.mkdir()
    for index in range(COUNT):
        image = np.random.default_rng(index).integers(0, 60, (48, 64, 4), dtype=np.uint8)
        image[opaque(index), :3] = (230, 200, 40)
        image[..., 3] = opaque(index) * 255
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder


def test_what_is_opaque_in_the_first_frame_is_followed(model: Model, random_follower: Path, shots: Path) -> None:
    result = segment(shots, model=model, alpha_as_mask=True, follower=random_follower)
    np.testing.assert_array_equal(result[0].labels == 1, opaque(0))
    (prompt,) = result.origin.settings["prompts"]
    assert (prompt["given_as"], prompt["frame"], prompt["object"]) == ("alpha", 0, 1)


def test_a_session_takes_the_alpha_of_any_frame(model: Model, random_follower: Path, shots: Path) -> None:
    with model.session(shots, follower=random_follower) as session:
        assert session.add_alpha(2, 7) == 7
        np.testing.assert_array_equal(session.preview(2) == 7, opaque(2))
        with pytest.raises(UsageError, match="given twice"):
            session.add_alpha(2, 7)


def test_it_stands_beside_other_prompts_in_a_plan_and_in_a_file(shots: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.json").write_text(json.dumps({"masks": [{"alpha": True, "frame": 1, "object": 2}]}))
    prompts = read_prompt_file(tmp_path / "prompts.json")
    assert prompts == (MaskPrompt(alpha=True, frame=1, object=2),)
    plan = Plan(source=str(shots), task=choose_task(prompts=prompts))
    assert isinstance(plan.task, Follow)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert MaskPrompt(alpha=True) != MaskPrompt(alpha=True, frame=1)


def run(out: Path, *arguments: object) -> int:
    common = ["--device", "cpu", "--precision", "fp32", "-q", "-f", "palette", "-o", out]
    return main(["segment", *map(str, arguments), *map(str, common)])


def test_the_command_line_takes_it_for_several_inputs(shots: Path, random_follower: Path, tmp_path: Path) -> None:
    picture = shots / "1.png"
    out = tmp_path / "out"
    assert run(out, shots, picture, "--alpha-as-mask", "--follower", random_follower) == 0
    np.testing.assert_array_equal(read_label_map(out / "shots" / "masks" / "0.png") == 1, opaque(0))
    np.testing.assert_array_equal(read_label_map(out / "1" / "masks" / "1.png") == 1, opaque(1))


def test_an_input_without_alpha_is_refused_and_leaves_nothing(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out", clip, "--alpha-as-mask") == 2
    assert "frame 0 has no alpha" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_beside_a_search_for_objects_it_is_refused(
    shots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out", shots, "--alpha-as-mask", "--objects", "auto") == 2
    assert "--alpha-as-mask" in capsys.readouterr().err
