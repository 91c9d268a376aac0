from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from covos.core.errors import CheckpointError, UsageError
from covos.models.checkpoints import Card, save_weights
from covos.models.coattention import join_memories
from covos.models.follow import CovosFollow, FollowConfig, FollowFeatures, aggregate, read, with_others
from covos.models.lite import CovosLite, Features
from covos.models.registry import build_follower, find_follower, find_model
from covos.training.recipe import FollowRecipe
from covos.training.registry import load_recipe

CELLS = (4, 6)


@pytest.fixture
def network() -> CovosFollow:
    return CovosFollow(FollowConfig(mask=(4, 4, 4), value=8, widths=(8, 8, 8), context=8, keys=8)).eval()


def view(network: CovosFollow, frames: int = 1) -> FollowFeatures:
    height, width = CELLS
    with torch.no_grad():
        return network.project(
            Features(
                torch.randn(frames, 128, height, width),
                torch.zeros(frames, 1, height, width),
                torch.randn(frames, 40, 2 * height, 2 * width),
                torch.randn(frames, 24, 4 * height, 4 * width),
                torch.randn(frames, 112, height, width),
                torch.randn(frames, 16, 8 * height, 8 * width),
            )
        )


def masks(objects: int) -> torch.Tensor:
    return (torch.rand(objects, 1, 4 * CELLS[0], 4 * CELLS[1]) > 0.5).float()


def test_one_object_alone_is_weighed_against_its_own_absence() -> None:
    logit = torch.tensor([-3.0, 0.0, 2.0]).view(1, 1, 1, 3)
    found = aggregate(logit, torch.tensor([0]), frames=1).exp()
    # With p_0 = 1 - p the odds are p / (1 - p) to (1 - p) / p, so the probability is sigmoid(2 l).
    torch.testing.assert_close(found[0, 1, 0], torch.sigmoid(2 * logit[0, 0, 0]), atol=1e-5, rtol=0)


def test_aggregated_probabilities_sum_to_one_and_keep_the_order_of_the_objects() -> None:
    logit = torch.randn(3, 1, 5, 5) * 4
    found = aggregate(logit, torch.tensor([0, 0, 1]), frames=2).exp()
    assert found.shape == (2, 3, 5, 5)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2, 5, 5))
    assert bool(((found[0, 1] > found[0, 2]) == (logit[0, 0] > logit[1, 0])).all())
    assert float(found[1, 2].max()) < 1e-9, "the second frame has one object"


def test_where_all_objects_are_unlikely_the_background_wins() -> None:
    found = aggregate(torch.full((4, 1, 1, 1), -6.0), torch.zeros(4, dtype=torch.long), frames=1)
    assert float(found[0, 0]) > -0.01


def test_the_others_of_an_object_are_those_of_its_own_frame() -> None:
    mask = torch.tensor([0.1, 0.2, 0.4]).view(3, 1, 1, 1)
    found = with_others(mask, torch.tensor([0, 0, 1]))
    torch.testing.assert_close(found[:, 0, 0, 0], torch.tensor([0.1, 0.2, 0.4]))
    torch.testing.assert_close(found[:, 1, 0, 0], torch.tensor([0.2, 0.1, 0.0]))


def test_what_nothing_is_known_of_is_not_read() -> None:
    affinity = torch.rand(1, 5, 6)
    value = torch.cat([torch.randn(2, 6, 3), torch.ones(2, 6, 1)], dim=2)
    value[1, 4:, -1] = 0
    owner = torch.tensor([0, 0])
    scale = torch.tensor(10.0)
    whole = read(affinity, value, owner, scale=scale)
    part = read(affinity[:, :, :4], value[1:, :4], owner[:1], scale=scale)
    torch.testing.assert_close(whole[1:], part)
    assert not torch.allclose(whole[:1], read(affinity[:, :, :4], value[:1, :4], owner[:1], scale=scale))


def test_an_object_that_nothing_is_known_of_reads_zeros(network: CovosFollow) -> None:
    value = torch.cat([torch.randn(1, 6, 3), torch.zeros(1, 6, 1)], dim=2)
    found = read(torch.rand(1, 5, 6), value, torch.tensor([0]), scale=network.scale)
    assert not found[..., :-1].any()
    assert bool(torch.isfinite(found).all())


def test_a_frame_recalls_its_own_mask(network: CovosFollow) -> None:
    seen, mask, owner = view(network), masks(1), torch.tensor([0])
    recall = network.memorise(seen, mask, torch.zeros_like(mask), owner)
    with torch.no_grad():
        network.log_scale.fill_(3.6)
        found = network.find(seen, recall, recall, with_others(mask, owner), owner)
    small = torch.nn.functional.interpolate(mask, size=CELLS, mode="area")
    torch.testing.assert_close(found.read_P2hw[:, :1], small, atol=0.02, rtol=0)


def test_the_short_reading_prefers_what_is_near(network: CovosFollow) -> None:
    seen = view(network)
    same = FollowFeatures(seen.key_BNK[:, :1].expand(-1, 24, -1), *seen[1:])
    near = network.nearby(same, same.key_BNK)[0].detach()
    assert float(near[0, 0]) == pytest.approx(1.0, abs=1e-5)
    assert float(near[0, 1]) > float(near[0, 2]) > float(near[0, 23])


def test_however_large_its_scale_grows_a_reading_tells_how_alike_things_are(network: CovosFollow) -> None:
    cosine = torch.tensor([1.0, 0.99, 0.9, 0.5, 0.0, -0.5])
    keys = torch.zeros(1, len(cosine), 8)
    keys[0, :, 0], keys[0, :, 1] = cosine, (1 - cosine.square()).sqrt()
    seen = FollowFeatures(keys, *view(network)[1:])
    remembered = torch.zeros(1, 1, 8)
    remembered[..., 0] = 1
    with torch.no_grad():
        network.log_scale.fill_(8.0)
        affinity = network.affinity(seen, remembered)
        found = read(affinity, torch.tensor([[[0.25, 1.0]]]), torch.tensor([0]), scale=network.scale)
        opposite = network.affinity(seen, -remembered)
    torch.testing.assert_close(found[0, :, 1], cosine, atol=1e-3, rtol=0)
    torch.testing.assert_close(found[0, :5, 0], torch.full((5,), 0.25), atol=1e-3, rtol=0)
    assert bool((opposite > 0).all()), "no position of a memory is divided away"


def test_objects_do_not_depend_on_those_of_another_frame(network: CovosFollow) -> None:
    seen, mask = view(network, 2), masks(3)
    owner = torch.tensor([0, 1, 1])

    def find(rows: list[int], frame: FollowFeatures, own: torch.Tensor) -> torch.Tensor:
        both = with_others(mask[rows], own)
        recall = network.memorise(frame, both[:, :1], both[:, 1:], own)
        return network.find(frame, recall, recall, both, own).logit_P1HW

    with torch.no_grad():
        together = find([0, 1, 2], seen, owner)
        alone = find([0], FollowFeatures(*(part[:1] for part in seen)), torch.tensor([0]))
    assert together.shape == (3, 1, 16, 24)
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=1e-4)


def test_memories_join_along_their_positions(network: CovosFollow) -> None:
    seen, mask, owner = view(network), masks(2), torch.tensor([0, 0])
    recall = network.memorise(seen, mask, mask.flip(0), owner)
    assert recall.value_PMC.shape == (2, 24, 8 + 2)
    assert bool((recall.value_PMC[..., -1] == 1).all())
    joined = join_memories([recall, recall, recall])
    assert joined.key_BMK.shape == (1, 72, 8)
    assert joined.value_PMC.shape == (2, 72, 10)


def test_the_features_of_covos_lite_are_what_it_takes() -> None:
    with torch.inference_mode():
        features = CovosLite().eval().encode(torch.rand(1, 3, 64, 96))
        seen = CovosFollow().eval().project(features)
    assert seen.key_BNK.shape == (1, 24, 64)
    torch.testing.assert_close(seen.key_BNK.norm(dim=2), torch.ones(1, 24))


def _saved(folder: object, **recipe: object) -> object:
    card = Card(
        name="covos-follow",
        architecture="follow",
        version="0",
        commit="",
        recipe=recipe,
        data=(),
        scores={},
        licence="",
    )
    path = folder / "covos-follow.safetensors"  # type: ignore[operator]
    save_weights(path, CovosFollow(), card=card)
    return find_model(path)


def test_weights_are_refused_beside_another_encoder(tmp_path: object) -> None:
    eyes = find_model("covos-lite")
    follower = build_follower(_saved(tmp_path, encoder_sha256=eyes.card.sha256), encoder=eyes)  # type: ignore[arg-type]
    assert not follower.training
    with pytest.raises(CheckpointError, match="does not belong to covos-lite"):
        build_follower(_saved(tmp_path, encoder_sha256="0" * 64), encoder=eyes)  # type: ignore[arg-type]


def test_beside_a_fine_tuned_encoder_its_file_is_named_and_what_trains_a_follower_on_it(tmp_path: Path) -> None:
    packaged = find_model("covos-lite")
    card = packaged.card.model_copy(update={"sha256": "1" * 64})
    tuned = replace(packaged, path=tmp_path / "best.safetensors", card=card)
    with pytest.raises(CheckpointError) as refused:
        find_follower("covos-follow", encoder=tuned)
    assert refused.value.what.endswith(f"does not belong to {tuned.path}")
    command = shlex.split(refused.value.fix.partition(": ")[2])
    assert command[:3] == ["covos", "train", "follow"]
    recipe = load_recipe("follow", overrides=(command[command.index("--set") + 1],))
    assert isinstance(recipe, FollowRecipe)
    assert recipe.encoder == tuned.path.as_posix()


def test_a_network_that_finds_by_itself_cannot_follow() -> None:
    eyes = find_model("covos-lite")
    with pytest.raises(UsageError, match="cannot follow"):
        build_follower(eyes, encoder=eyes)
