from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from covos.core.errors import UsageError
from covos.data import Dataset, PairIndex, open_dataset, read_labels
from covos.data.sampling import nth_pair
from covos.masks import davis_palette
from covos.masks.label_files import write_label_map
from covos.training.cosnet import CosnetTask, class_loss, colour_loss, orthogonality
from covos.training.distributed import ProcessGroup
from covos.training.pairs import PairBatches, shuffled
from covos.training.recipe import CosnetRecipe
from covos.training.registry import load_recipe
from covos.training.task import split


def recipe(*overrides: str) -> CosnetRecipe:
    loaded = load_recipe("cosnet-resnet50", overrides=("size=[48, 80]", *overrides))
    assert isinstance(loaded, CosnetRecipe)
    return loaded


@pytest.fixture
def dataset(tianchi: Path) -> Dataset:
    return open_dataset(tianchi, subset="train")


def test_pairs_are_all_combinations_of_each_video(dataset: Dataset) -> None:
    index = PairIndex(dataset.videos)
    want = {(video.name, a.stem, b.stem) for video in dataset for a, b in combinations(video.annotated, 2)}
    assert len(index) == 10 + 15
    assert {(video.name, a.stem, b.stem) for video, a, b in index} == want
    for beyond in (-1, len(index)):
        with pytest.raises(IndexError):
            index[beyond]


def test_a_video_without_pairs_is_passed_over(tianchi: Path) -> None:
    whole = open_dataset(tianchi)
    first, last = PairIndex(whole.videos)[0], PairIndex(whole.videos)[24]
    assert (first[0].name, last[0].name) == ("600101", "600102")
    assert len(PairIndex([whole["600103"]])) == 0


def test_the_nth_pair_stays_exact_far_out() -> None:
    assert [nth_pair(n) for n in range(6)] == [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    for later in (10**6, 10**9):
        start = math.comb(later, 2)
        assert nth_pair(start) == (0, later)
        assert nth_pair(start - 1) == (later - 2, later - 1)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 1000])
def test_an_order_has_every_number_once(count: int) -> None:
    orders = [[shuffled(k, count=count, key=(seed, 0)) for k in range(count)] for seed in range(3)]
    for order in orders:
        assert sorted(order) == list(range(count))
    if count >= 64:
        assert orders[0] != orders[1] != orders[2]
        assert np.mean([order == k for k, order in enumerate(orders[0])]) < 0.1


def test_an_epoch_has_every_pair_once_and_the_next_in_another_order(dataset: Dataset) -> None:
    made = recipe("batch=3", "epochs=2")
    batches = PairBatches([dataset], made)
    seen = []
    for position in range(50):
        seen.append(batches._pair(position)[0].tobytes())
    assert set(seen[:25]) == set(seen[25:])
    assert len(set(seen[:25])) == 25
    assert seen[:25] != seen[25:]
    task = CosnetTask(made, [dataset])
    assert task.steps == 17  # 50 pairs, three a step
    assert [(step, task.epoch_after(step)) for step in range(1, 18) if task.epoch_after(step)] == [(9, 1), (17, 2)]


def test_small_sets_may_end_several_epochs_in_a_step(dataset: Dataset) -> None:
    task = CosnetTask(recipe("batch=32", "epochs=2"), [dataset])
    assert task.steps == 2
    assert [task.epoch_after(step) for step in (1, 2)] == [1, 2]


def test_the_processes_divide_the_batch_of_one(dataset: Dataset) -> None:
    made = recipe("batch=4", "outputs=1")
    whole = PairBatches([dataset], made)[3]
    shares = [PairBatches([dataset], made, group=ProcessGroup(rank=rank, size=2))[3] for rank in range(2)]
    assert whole.image.shape == (4, 2, 3, 48, 80)
    assert whole.image.dtype == torch.uint8
    assert whole.target.shape == whole.weight.shape == (4, 2, 1, 48, 80)
    for part, halves in zip(whole, zip(*shares, strict=True), strict=True):
        assert torch.equal(part, torch.cat(halves))
    for part, quarters in zip(whole, zip(*split(whole, 4), strict=True), strict=True):
        assert torch.equal(part, torch.cat(quarters))


def view(dataset: Dataset, made: CosnetRecipe, video: str, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target and weight of a frame, and its labels."""
    video_, record = dataset[video], dataset[video].frames[frame]
    _, target, weight = PairBatches([dataset], made)._view(video_, record, outputs=made.outputs)
    return target, weight, read_labels(video_, record, size=made.size)


def test_one_class_is_the_subject(dataset: Dataset) -> None:
    target, weight, labels = view(dataset, recipe("outputs=1", "size=[90, 160]"), "600102", 3)
    assert np.array_equal(target[0] > 0.5, labels > 0)
    assert (weight == 1).all()


def test_three_classes_are_the_bits_of_the_id(dataset: Dataset) -> None:
    target, _, labels = view(dataset, recipe(), "600102", 3)
    assert set(np.unique(labels)) == {0, 1, 2}
    assert np.array_equal(target[0], labels == 1)
    assert np.array_equal(target[1], labels == 2)
    assert not target[2].any()
    # The bits are the channels of the palette's colours.
    ids = np.arange(8)
    assert np.array_equal(davis_palette()[:8] > 0, np.stack([ids >> bit & 1 for bit in range(3)], axis=1) > 0)


def test_colours_are_those_of_the_palette(dataset: Dataset) -> None:
    target, _, labels = view(dataset, recipe('target="colours"'), "600102", 3)
    np.testing.assert_allclose(target[:, labels == 1].mean(axis=1), [128 / 255, 0, 0], atol=1e-5)
    np.testing.assert_allclose(target[:, labels == 2].mean(axis=1), [0, 128 / 255, 0], atol=1e-5)
    assert not target[:, labels == 0].any()


def test_void_and_what_bits_cannot_name_are_left_out(dataset: Dataset, tmp_path: Path) -> None:
    video, record = dataset["600102"], dataset["600102"].frames[3]
    labels = read_labels(video, record)
    labels[:10], labels[10:20] = 255, 9
    path = tmp_path / "many.png"
    write_label_map(path, labels)
    changed = type(record)(stem=record.stem, image=record.image, annotation=path)
    for target, left_out in (("classes", (9, 255)), ("colours", (255,))):
        made = recipe(f'target="{target}"', "size=[90, 160]")
        weight = PairBatches([dataset], made)._view(video, changed, outputs=3)[2]
        assert np.array_equal(weight[0] == 0, np.isin(labels, left_out))


def test_balanced_entropy_is_the_papers_formula() -> None:
    torch.manual_seed(0)
    logit = torch.randn(2, 1, 4, 5)
    target = (torch.rand(2, 1, 4, 5) < 0.3).float()
    got = class_loss(logit, target, torch.ones_like(target), balanced=True)
    frames = []
    for x, o in zip(logit.flatten(1), target.flatten(1), strict=True):
        y, share = x.sigmoid(), o.mean()
        frames.append(-((1 - share) * o * y.log() + share * (1 - o) * (1 - y).log()).mean())
    torch.testing.assert_close(got, torch.stack(frames).mean())


@pytest.mark.parametrize("loss", [lambda *a: class_loss(*a, balanced=True), colour_loss])
def test_a_batch_is_the_mean_of_its_frames_whatever_is_void(loss: object) -> None:
    torch.manual_seed(0)
    logit, target = torch.randn(3, 3, 6, 6), torch.rand(3, 3, 6, 6)
    weight = (torch.rand(3, 1, 6, 6) < torch.tensor([1.0, 0.4, 0.0])[:, None, None, None]).float()
    frames = torch.stack([loss(*(part[k : k + 1] for part in (logit, target, weight))) for k in range(3)])
    torch.testing.assert_close(loss(logit, target, weight), frames.mean())
    assert frames[2] == 0
    changed = torch.where(weight > 0, logit, 50.0)
    torch.testing.assert_close(loss(changed, target, weight), frames.mean())


def test_orthogonality_of_a_rotation_is_zero() -> None:
    rotation, _ = torch.linalg.qr(torch.randn(6, 6))
    assert orthogonality(rotation) < 1e-9
    assert orthogonality(2 * torch.eye(3)).item() == pytest.approx(27)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("steps=10", "one of them must be 0"),
        ("epochs=0", "one of them must be 0"),
        ("outputs=2", r"should be Literal\[1, 3\]"),
        ("target='rgb'", "should be Literal"),
        ("size=[16, 80]", "32 or more"),
        ("momentum=1.0", "below 1"),
        ("ratio=1.0", "both parts need videos"),
        ("videos=-1", "0 or more"),
        ("balanced=1", "should be bool"),
        ("frames_per_step=8", "unknown fields: frames_per_step"),
        ("model='lite'", "unknown fields"),
    ],
)
def test_bad_overrides_are_explained(override: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        recipe(override)


def test_colours_need_three_outputs_and_no_balance() -> None:
    with pytest.raises(UsageError, match="three channels"):
        recipe('target="colours"', "outputs=1")
    with pytest.raises(UsageError, match="only classes can be balanced"):
        recipe('target="colours"', "balanced=true")


@pytest.mark.parametrize(("batch", "accumulate", "processes"), [(3, 1, 2), (4, 3, 1), (4, 2, 4)])
def test_a_step_that_does_not_divide_is_refused(batch: int, accumulate: int, processes: int) -> None:
    made = recipe(f"batch={batch}", f"accumulate={accumulate}")
    with pytest.raises(UsageError, match=rf"{batch} pairs a step cannot be divided among {processes} processes"):
        made.check_division(processes=processes)
    recipe("batch=8", "accumulate=2").check_division(processes=4)


def test_groups_of_covos_lite_stay_together() -> None:
    made = load_recipe("lite", overrides=("frames_per_step=8", "group_sizes=[2, 4]"))
    made.check_division(processes=2)
    with pytest.raises(UsageError, match="4 of which belong together"):
        made.check_division(processes=4)
