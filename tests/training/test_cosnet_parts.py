from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from covos.core.errors import UsageError
from covos.data import Dataset, PairIndex, open_dataset, read_labels
from covos.data.sampling import nth_pair
from covos.masks import davis_palette
from covos.masks.label_files import write_label_map
from covos.training.cosnet import CosnetTask, absolute_loss, class_loss, orthogonality
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
    assert index[-1] == index[len(index) - 1]
    for beyond in (-len(index) - 1, len(index)):
        with pytest.raises(IndexError, match="no pair"):
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
    for part, halves in list(zip(whole, zip(*shares, strict=True), strict=True))[:3]:
        assert torch.equal(part, torch.cat(halves))
    # The foreground's share is that of a process's part of the batch, as the statistics of a batch norm are.
    torch.testing.assert_close(whole.area, sum(share.area for share in shares).repeat(2, 1, 1) / 2)
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
    got = class_loss(logit, target, torch.ones_like(target), balance="classes")
    frames = []
    for x, o in zip(logit.flatten(1), target.flatten(1), strict=True):
        y, share = x.sigmoid(), o.mean()
        frames.append(-((1 - share) * o * y.log() + share * (1 - o) * (1 - y).log()).mean())
    torch.testing.assert_close(got, torch.stack(frames).mean())


@pytest.mark.parametrize("loss", [lambda *a: class_loss(*a, balance="classes"), absolute_loss])
def test_a_batch_is_the_mean_of_its_frames_whatever_is_void(loss: object) -> None:
    torch.manual_seed(0)
    logit, target = torch.randn(3, 3, 6, 6), torch.rand(3, 3, 6, 6)
    weight = (torch.rand(3, 1, 6, 6) < torch.tensor([1.0, 0.4, 0.0])[:, None, None, None]).float()
    frames = torch.stack([loss(*(part[k : k + 1] for part in (logit, target, weight))) for k in range(3)])
    torch.testing.assert_close(loss(logit, target, weight), frames.mean())
    assert frames[2] == 0
    changed = torch.where(weight > 0, logit, 50.0)
    torch.testing.assert_close(loss(changed, target, weight), frames.mean())


def test_the_released_entropy_is_divided_by_the_foregrounds_share_of_the_batch() -> None:
    torch.manual_seed(0)
    logit, target = torch.randn(3, 1, 5, 6), (torch.rand(3, 1, 5, 6) < 0.2).float()
    ones = torch.ones_like(target)
    area = target.mean().expand(3, 1)
    got = class_loss(logit, target, ones, balance="area", area=area)
    y = logit.sigmoid()
    entropy = -(target * y.log() + (1 - target) * (1 - y).log()).mean()
    torch.testing.assert_close(got, entropy / target.mean())
    empty = class_loss(logit, 0 * target, ones, balance="area", area=0 * area)
    torch.testing.assert_close(empty, -(1 - y).log().mean() / 0.01)


@pytest.mark.usefixtures("narrow")
def test_the_loss_of_the_released_trainer(dataset: Dataset, stills: Path) -> None:
    """Cross-entropy over the share, plus 0.8 of the absolute error, of both branches; a tenth of it on pictures."""
    made = load_recipe("cosnet-resnet101", overrides=("size=[48, 80]", "batch=2"))
    assert isinstance(made, CosnetRecipe)
    task = CosnetTask(made, [dataset, open_dataset(stills)])
    network = task.make_network().eval()
    for step, names, factor in ((0, ("still",), 0.1), (1, ("a", "b"), 1.0)):
        batch = task.batches()[step]
        with torch.no_grad():
            got = task.losses(network, batch, precision=torch.float32)
            views = [network.config.preprocessing.apply(view.float() / 255) for view in batch.image.unbind(1)]
            logits = (network.still_logits(views[0]),) if len(views) == 1 else network.pair_logits(*views)
        wanted = 0.0
        for name, logit, target in zip(names, logits, batch.target.unbind(1), strict=True):
            entropy = torch.nn.functional.binary_cross_entropy(logit.sigmoid(), target)
            loss = entropy / target.mean() + 0.8 * (logit.sigmoid() - target).abs().mean()
            torch.testing.assert_close(got[name], loss)
            wanted += factor * loss.item()
        assert got["total"].item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("every", "kinds"), [(0, "pppppp"), (2, "spspsp"), (3, "sppspp")])
def test_steps_take_turns(dataset: Dataset, stills: Path, every: int, kinds: str) -> None:
    """No pair is passed over, whatever lies between; an epoch ends with its last pair."""
    made = recipe("batch=5", "epochs=2", "outputs=1", f"still_every={every}")
    datasets = [dataset, open_dataset(stills)]
    batches, plain = PairBatches(datasets, made), PairBatches([dataset], recipe("batch=5", "outputs=1"))
    found = [batches[step] for step in range(6)]
    assert "".join("s" if batch.image.shape[1] == 1 else "p" for batch in found) == kinds
    pairs = [batch for batch in found if batch.image.shape[1] == 2]
    for number, batch in enumerate(pairs):
        assert torch.equal(batch.image, plain[number].image)
    task = CosnetTask(made, datasets)
    ends = {0: (5, 10), 2: (10, 20), 3: (8, 15)}[every]
    assert task.steps == ends[1]
    assert [step for step in range(1, task.steps + 1) if task.epoch_after(step)] == list(ends)
    assert [task.epoch_after(step) for step in ends] == [1, 2]


CHANGES = ("crop_share=0.8", "flip_share=0.5", "resample=[0.5, 1.5]")


def test_frames_of_pairs_are_changed_the_same_way_each_time(dataset: Dataset, stills: Path) -> None:
    made = recipe("batch=4", "outputs=1", "still_every=3", *CHANGES)
    datasets = [dataset, open_dataset(stills)]
    whole = PairBatches(datasets, made)
    shares = [PairBatches(datasets, made, group=ProcessGroup(rank=rank, size=2)) for rank in range(2)]
    plain = PairBatches(datasets, recipe("batch=4", "outputs=1", "still_every=3"))
    for step in (1, 2):
        assert torch.equal(whole[step].image, whole[step].image)
        assert torch.equal(whole[step].image, torch.cat([share[step].image for share in shares]))
        assert torch.equal(whole[step].target, torch.cat([share[step].target for share in shares]))
        assert not torch.equal(whole[step].image, plain[step].image)
    assert torch.equal(whole[0].image, plain[0].image), "still pictures are taken as they are"
    other = PairBatches(datasets, recipe("batch=4", "outputs=1", "still_every=3", "seed=1", *CHANGES))
    assert not torch.equal(other[1].image, whole[1].image)


def test_frames_of_pairs_are_stretched_and_pictures_are_not(dataset: Dataset, stills: Path) -> None:
    both = [dataset, open_dataset(stills)]
    usual, stretched = (
        PairBatches(both, recipe("outputs=1", "still_every=2", f"stretch={on}")) for on in ("false", "true")
    )
    for view in stretched[1].image.flatten(0, 1):
        assert (int(view.min()), int(view.max())) == (0, 255)
    assert not torch.equal(stretched[1].image, usual[1].image)
    assert torch.equal(stretched[1].target, usual[1].target)
    assert torch.equal(stretched[0].image, usual[0].image)


def test_a_mask_is_changed_as_its_frame(dataset: Dataset, tmp_path: Path) -> None:
    """The picture is its own mask here: what is cut out, mirrored and resampled of one is so of the other."""
    video, record = dataset["600102"], dataset["600102"].frames[3]
    labels = np.zeros((90, 160), np.uint8)
    labels[20:60, 10:70] = 1
    write_label_map(tmp_path / "mask.png", labels)
    cv2.imwrite(str(tmp_path / "picture.png"), labels * 255)
    drawn = type(record)(stem="x", image=tmp_path / "picture.png", annotation=tmp_path / "mask.png")
    for overrides in (("outputs=1",), ("outputs=3",)):
        batches = PairBatches([dataset], recipe(*overrides, *CHANGES))
        seen = set()
        for seed in range(12):
            image, target, weight = batches._view(
                video, drawn, outputs=batches.recipe.outputs, rng=np.random.default_rng(seed)
            )
            assert image.shape == (3, 48, 80)
            assert target.shape == (batches.recipe.outputs, 48, 80)
            assert (weight == 1).all()
            assert np.abs(image[0] / 255 - target[0]).mean() < 0.03
            seen.add(target.tobytes())
        assert len(seen) == 12


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
        ("balance=1", "should be Literal"),
        ("still_every=1", "no step is on pairs"),
        ("crop_share=0.05", "nothing to learn from"),
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
        recipe('target="colours"', 'balance="classes"')
    with pytest.raises(UsageError, match="the loss of colours already"):
        recipe('target="colours"', "absolute=0.8")


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
