"""Plans: checked when they are made, the same after pickling and after JSON."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import covos
from covos.core.errors import SourceError, UsageError
from covos.core.types import Box, Point
from covos.media.range import Range
from covos.plan import Plan
from covos.prompts.values import MaskPrompt, PointPrompt, RegionPrompt, as_prompts, as_regions
from covos.task import Discover, Find, Follow, Steer, choose_task, refuse_idle

STEER = Steer(
    shown=(
        PointPrompt(frame=3, points=(Point(x=3.5, y=4, positive=False),)),
        RegionPrompt(box=Box(x0=1, y0=2, x1=30, y1=40), role="within"),
        RegionPrompt(box=Box(x0=1, y0=2, x1=30, y1=40), role="exclude", frame=5),
    ),
    memory=3,
)

PLANS = [
    Plan(source="clip.mp4"),
    Plan(source="clip.mp4", matte=True),
    Plan(source="clip.mp4", matte=False),
    Plan(
        source="frames/",
        task=Find(quality="best", references=3, reference_seed=7, refine="crf"),
        frame_rate=Fraction(30000, 1001),
    ),
    Plan(source="clip.mp4", task=Find(refine="crf", steer=STEER)),
    Plan(source="clip.mp4", task=Discover(most=3, quality="best"), formats=("prores", "matte=16"), range=range(5, 90)),
    Plan(
        source="clip.mp4",
        task=Follow(
            prompts=(
                PointPrompt(frame=2, object=1, points=(Point(x=3.5, y=4), Point(x=9, y=9, positive=False))),
                PointPrompt(box=Box(x0=1, y0=2, x1=30, y1=40)),
                MaskPrompt(file="mask.png", frame=4),
            ),
            direction="both",
            quality="fast",
        ),
    ),
]


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_comes_back_from_json_and_from_pickle(plan: Plan) -> None:
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_no_matte_is_another_plan_than_none_asked_for() -> None:
    asked = [Plan(source="clip.mp4", matte=matte).matte for matte in (None, False, True)]
    assert asked == [None, False, "covos-matte"]
    assert Plan(source="clip.mp4", matte=False) != Plan(source="clip.mp4")


def test_a_label_map_is_part_of_the_json() -> None:
    labels = np.zeros((6, 9), np.uint8)
    labels[1:3, 2:5], labels[4:, :2], labels[0, 8] = 1, 7, 255
    plan = Plan(source="clip.mp4", task=Follow(prompts=(MaskPrompt(labels=labels, frame=3),)))
    again = Plan.model_validate_json(plan.model_dump_json())
    assert isinstance(again.task, Follow)
    (prompt,) = again.task.prompts
    assert isinstance(prompt, MaskPrompt)
    assert prompt.frame == 3
    assert np.array_equal(prompt.labels, labels)
    assert len(plan.model_dump_json()) < 700


def test_negative_points_and_regions_alone_steer_what_is_found() -> None:
    shown = (*as_prompts(points={3: [(3.5, 4, 0)]}), *as_regions(within=(1, 2, 30, 40), exclude={5: (1, 2, 30, 40)}))
    task = choose_task(prompts=shown, refine="crf", memory=3)
    assert task == Find(refine="crf", steer=STEER)
    assert STEER.follows
    assert task.settings["steer"] == [  # type: ignore[union-attr]
        {"frame": 3, "points": [[3.5, 4.0, 0]]},
        {"frame": None, "within": [1.0, 2.0, 30.0, 40.0]},
        {"frame": 5, "exclude": [1.0, 2.0, 30.0, 40.0]},
    ]
    fixed = choose_task(prompts=as_regions(exclude=[(1, 2, 30, 40)]))
    assert isinstance(fixed, Find)
    assert fixed.steer is not None
    assert not fixed.steer.follows
    assert "steer" not in Find().settings, "records of a run that is not steered stay as they were"


def test_negative_points_beside_an_object_are_of_it() -> None:
    assert isinstance(choose_task(prompts=as_prompts(points=[(3, 4, 0), (5, 6, 1)])), Follow)
    assert isinstance(choose_task(prompts=as_prompts(points={4: [(3, 4, 0)]}, boxes=(1, 2, 30, 40))), Follow)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (
            lambda: Steer(shown=(PointPrompt(points=(Point(x=1, y=2),)),)),
            "what is shown on the first frame shows an object",
        ),
        (lambda: choose_task(prompts=as_regions(within=(1, 2, 3, 4)), objects=3), "objects = 3 beside"),
        (
            lambda: choose_task(prompts=(*as_regions(within=(1, 2, 3, 4)), *as_prompts(points=(1, 2)))),
            "a region beside masks, points or boxes of objects",
        ),
        (lambda: Find(references=-1), "references = -1"),
        (lambda: Find(references=65), "references = 65"),
        (lambda: Find(refine="sharp"), "unknown refinement 'sharp'"),
        (lambda: Find(quality="good"), "quality='good' cannot be used"),
        (lambda: Discover(memory=99), "memory = 99"),
        (lambda: Follow(prompts=(PointPrompt(),), direction="sideways"), "direction 'sideways'"),
        (lambda: Discover(most=0), "most=0 cannot be used"),
        (lambda: Plan(source="a.mp4", formats=("pallete",)), "unknown output format 'pallete'"),
        (lambda: Plan(source="a.mp4", formats=("coco=3",)), "coco with a value"),
        (lambda: Plan(source="a.mp4", range=Range(start=9, end=9)), "start 9 and end 9 leave no frame"),
        (lambda: Plan(source="a.mp4", label={1: "car", 2: "dog"}), "the label dog is of object 2"),
        (lambda: Plan(source="a.mp4", label={4: "car"}, task=Discover(most=3)), "the label car is of object 4"),
        (lambda: Plan(source="a.mp4", precision="fp8"), "precision='fp8' cannot be used"),
        (lambda: Plan(source="a.mp4", colour="red"), "unknown setting 'colour'"),
        (lambda: Plan(source=7), "a int is no source"),
        (lambda: choose_task(objects=3, prompts=(PointPrompt(points=(Point(x=1, y=1),)),)), "objects = 3 beside masks"),
        (lambda: choose_task(objects=3, refine="crf"), "the refinement 'crf' where objects are followed"),
        (lambda: choose_task(objects=3, quality="good"), "quality='good' cannot be used"),
    ],
)
def test_what_makes_no_sense_is_refused_when_the_plan_is_made(make, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert what in caught.value.what
    assert caught.value.why
    assert caught.value.fix


def test_frames_in_memory_pickle_and_print(tmp_path) -> None:
    frames = [np.full((4, 6, 3), index, np.uint8) for index in range(3)]
    plan = Plan(source=iter(frames))
    assert "3 frames in memory" in plan.model_dump_json()
    again = pickle.loads(pickle.dumps(plan))
    assert all(np.array_equal(one, other) for one, other in zip(again.source.frames, frames, strict=True))
    with pytest.raises(SourceError, match="frame 1 in memory is 6x5"):
        Plan(source=[frames[0], np.zeros((5, 6, 3), np.uint8)])


def test_weights_may_be_paths(tmp_path) -> None:
    plan = Plan(source=tmp_path / "clip.mp4", model=tmp_path / "mine.safetensors")
    assert (plan.source, plan.model) == (str(tmp_path / "clip.mp4"), str(tmp_path / "mine.safetensors"))
    assert Discover(follower=tmp_path / "follow.safetensors").follower == str(tmp_path / "follow.safetensors")


def test_the_schema_names_every_field() -> None:
    schema = Plan.model_json_schema()
    assert set(schema["properties"]) == set(Plan.model_fields)
    assert set(schema["$defs"]) >= {"Find", "Follow", "Discover", "MaskPrompt", "PointPrompt"}


def test_a_plan_is_a_value_whatever_becomes_of_an_array() -> None:
    labels = np.zeros((6, 9), np.uint8)
    labels[1:3, 2:5] = 1
    plan, same = (Plan(source="clip.mp4", task=Follow(prompts=(MaskPrompt(labels=labels),))) for _ in range(2))
    labels[:] = 7
    assert plan == same
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert plan != Plan(source="clip.mp4", task=Follow(prompts=(MaskPrompt(labels=labels),)))
    with pytest.raises(ValueError, match="read-only"):
        plan.task.prompts[0].labels[0, 0] = 3  # type: ignore[union-attr]


@pytest.mark.parametrize("frame", [{}, {"frame": 7}], ids=["the first", "a named one"])
def test_a_prompt_reads_back_as_python_and_as_json(frame: dict[str, int]) -> None:
    box = Box(x0=0, y0=0, x1=9, y1=9)
    for prompt in (PointPrompt(box=box, **frame), MaskPrompt(file="a.png", **frame)):
        kind = type(prompt)
        assert kind.model_validate_json(prompt.model_dump_json()) == prompt
        assert kind.model_validate(json.loads(prompt.model_dump_json())) == prompt
        assert kind(**prompt.model_dump()) == prompt
        plan = Plan(source="clip.mp4", task=Follow(prompts=(prompt,)))
        assert Plan.model_validate(json.loads(plan.model_dump_json())) == plan


def test_a_plan_that_an_earlier_version_printed_means_the_first_frame() -> None:
    prompts = (MaskPrompt(file="a.png"), PointPrompt(box=Box(x0=0, y0=0, x1=9, y1=9)))
    beside = PointPrompt(points=(Point(x=1, y=2, positive=False),))
    for task in (Follow(prompts=prompts), Find(steer=Steer(shown=(beside,)))):
        plan = Plan(source="clip.mp4", task=task)
        printed = plan.model_dump_json()
        assert '"frame":null' in printed
        assert not isinstance(task, Find) or (task.steer is not None and task.steer.follows), "they are on a frame"
        assert Plan.model_validate_json(printed.replace('"frame":null', '"frame":-1')) == plan


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: MaskPrompt(labels=np.full((4, 4), 300)), "the label map for the first frame cannot be read"),
        (lambda: MaskPrompt(labels=np.full((4, 4), 0.5), frame=3), "the label map for frame 3 cannot be read"),
        (MaskPrompt, "has no mask"),
        (lambda: MaskPrompt(file="a.png", frame=-2), "frame -2 does not exist"),
        (lambda: MaskPrompt(file="a.png", frame=-1), "frame -1 does not exist"),
        (lambda: PointPrompt(box=Box(x0=0, y0=0, x1=9, y1=9), frame=-1), "frame -1 does not exist"),
        (lambda: RegionPrompt(box=Box(x0=0, y0=0, x1=9, y1=9), role="within", frame=-1), "frame -1 does not exist"),
        (
            lambda: RegionPrompt.model_validate_json(
                '{"box": {"x0": 0, "y0": 0, "x1": 9, "y1": 9}, "role": "within", "frame": -1}'
            ),
            "frame -1 does not exist",
        ),
        (lambda: MaskPrompt(file="a.png", labels=np.ones((4, 4), bool)), "has several masks"),
        (lambda: Plan(source="a.mp4", device="nonsense"), "unknown device 'nonsense'"),
        (lambda: Plan(source="a.mp4", frame_rate=-1), "frame rate -1 is not positive"),
        (lambda: Plan(source="a.mp4", frame_rate="abc"), "frame_rate='abc' cannot be used"),
        (lambda: Plan(source="a.mp4", model=None), "model=None cannot be used"),
        (lambda: Follow(prompts=()), "prompts=() cannot be used"),
        (lambda: Plan.model_validate_json("{"), "the plan cannot be read"),
    ],
)
def test_more_that_makes_no_sense(make, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert what in caught.value.what


def test_a_wrong_choice_is_answered_with_the_choices() -> None:
    with pytest.raises(UsageError) as caught:
        Find(quality="ballanced")
    assert caught.value.why == "it is none of the choices"
    assert caught.value.fix == "did you mean balanced? use one of: draft, fast, balanced, best"
    with pytest.raises(UsageError, match="did you mean source"):
        Plan(source="a.mp4", sorce="b.mp4")


def test_json_of_frames_in_memory_is_refused_when_it_is_read() -> None:
    text = Plan(source=[np.zeros((4, 6, 3), np.uint8)]).model_dump_json()
    with pytest.raises(UsageError, match="a dict is no source"):
        Plan(source={})
    with pytest.raises(UsageError, match="1 frames in memory cannot be read back"):
        Plan.model_validate_json(text)


@pytest.mark.parametrize(
    ("prompts", "objects", "idle", "used"),
    [
        ((), 1, {"memory": 9}, {"references": 9}),
        ((), 1, {"direction": "both"}, {"fusion": "group"}),
        (as_prompts(points=(3, 4)), 1, {"references": 9}, {"direction": "both"}),
        (as_prompts(points=(3, 4)), 1, {"fusion": "group"}, {"prompter": "grabcut"}),
        ((), 3, {"reference_seed": 1}, {"references": 9}),
        (as_regions(within=(1, 2, 30, 40)), 1, {"memory": 9}, {"references": 9}),
        (as_prompts(points={2: [(3, 4, 0)]}), 1, {"resize_masks": True}, {"memory": 9}),
    ],
)
def test_a_setting_that_changes_nothing_is_refused(prompts: Any, objects: Any, idle: Any, used: Any) -> None:
    refuse_idle(choose_task(prompts=prompts, objects=objects, **used), used)
    (name,) = idle
    with pytest.raises(UsageError, match=f"{name} = .* changes nothing here"):
        refuse_idle(choose_task(prompts=prompts, objects=objects, **idle), idle)


def test_python_refuses_what_would_change_nothing(make_clip: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="memory = 9 changes nothing here"):
        covos.segment(make_clip(), memory=9)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: covos.Range(every=0), "every=0 cannot be used"),
        (lambda: covos.Range(every="two"), "every='two' cannot be used"),
        (lambda: covos.Range(begin="1"), "unknown setting 'begin'"),
        (lambda: covos.Edges(blur=2), "unknown setting 'blur'"),
        (lambda: Plan(source="a.mp4", range={"every": 0}), "every=0 cannot be used"),
    ],
)
def test_a_value_of_its_own_is_refused_as_a_wrong_call(make: Callable[[], Any], what: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert what in caught.value.what
    assert caught.value.fix
