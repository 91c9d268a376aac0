from __future__ import annotations

import math
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from covos.core.errors import CheckpointError, UsageError
from covos.models.cards import Card
from covos.models.checkpoints import save_weights
from covos.models.coattention import join_memories
from covos.models.follow import (
    Belief,
    CovosFollow,
    DecodedObjects,
    FollowConfig,
    FollowFeatures,
    ObjectMemory,
    agreement,
    target_moments,
)
from covos.models.lite import CovosLite, Features
from covos.models.object_masks import aggregate, certainty, moved, with_others
from covos.models.readout import KERNEL_LEAST, KERNEL_REACH, TOP, focused, read, shares
from covos.models.registry import build_follower, find_follower, find_model
from covos.models.target import fit
from covos.training.recipe import FollowRecipe
from covos.training.registry import load_recipe

CELLS = (4, 6)


@pytest.fixture
def network() -> CovosFollow:
    return CovosFollow(FollowConfig(mask=(4, 4, 4), value=8, widths=(8, 8, 8), context=8, keys=8)).eval()


def view(network: CovosFollow, frames: int = 1, *, cue: torch.Tensor | None = None) -> FollowFeatures:
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
            ),
            cue_B1HW=cue,
            flow_B2HW=None,
        )


def masks(objects: int) -> torch.Tensor:
    return (torch.rand(objects, 1, 4 * CELLS[0], 4 * CELLS[1]) > 0.5).float()


def remember(
    network: CovosFollow, seen: FollowFeatures, mask: torch.Tensor, owner: torch.Tensor, *, given: bool = True
) -> ObjectMemory:
    with torch.no_grad():
        return network.memorise(
            seen,
            with_others(mask, owner),
            owner,
            certainty_P1HW=certainty(mask),
            given_P=torch.full((len(mask),), given),
        )


def believe(seen: FollowFeatures, mask: torch.Tensor, owner: torch.Tensor) -> Belief:
    """What is believed after these masks were shown."""
    both = with_others(mask, owner)
    target = fit(target_moments(seen, mask, owner, certainty_P1HW=certainty(mask)), owner)
    return Belief(both, target, agreement(both, seen, owner))


@torch.no_grad()
def find_shown(
    network: CovosFollow, seen: FollowFeatures, mask: torch.Tensor, owner: torch.Tensor, belief: Belief | None = None
) -> DecodedObjects:
    """Find objects in the frames that they were shown in."""
    recall = remember(network, seen, mask, owner)
    return network.find(seen, recall, recall, belief or believe(seen, mask, owner), owner)


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
    with torch.no_grad():
        network.log_scale.fill_(3.6)
    found = find_shown(network, seen, mask, owner)
    small = torch.nn.functional.interpolate(mask, size=CELLS, mode="area")
    torch.testing.assert_close(found.read_P2hw[:, :1], small, atol=0.02, rtol=0)
    torch.testing.assert_close(found.before_P1HW, mask)  # nothing has moved
    assert found.score_P1HW.shape == (1, 1, 2 * CELLS[0], 2 * CELLS[1])


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


def test_the_short_reading_looks_where_the_flow_comes_from(network: CovosFollow) -> None:
    seen = view(network)
    # Two cells of stride 16 to the right and one down, in cells of stride 4.
    flow = torch.tensor([8.0, 4.0]).view(1, 2, 1, 1).expand_as(seen.flow_B2HW)
    same = seen._replace(key_BNK=seen.key_BNK[:, :1].expand(-1, 24, -1), flow_B2HW=flow)
    near = network.nearby(same, same.key_BNK)[0].detach()
    place, source = 1 * CELLS[1] + 1, 2 * CELLS[1] + 3
    assert int(near[place].argmax()) == source
    assert float(near[place, source]) == pytest.approx(1.0, abs=1e-5)


def test_objects_do_not_depend_on_those_of_another_frame(network: CovosFollow) -> None:
    cue = torch.randn(2, 1, 8 * CELLS[0], 8 * CELLS[1])
    seen, mask = view(network, 2, cue=cue), masks(3)
    together = find_shown(network, seen, mask, torch.tensor([0, 1, 1])).logit_P1HW
    first = FollowFeatures(*(part[:1] for part in seen))
    alone = find_shown(network, first, mask[:1], torch.tensor([0])).logit_P1HW
    assert together.shape == (3, 1, 32, 48), "stride 2"
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=1e-4)


def test_memories_join_along_their_positions(network: CovosFollow) -> None:
    recall = remember(network, view(network), masks(2), torch.tensor([0, 0]))
    assert recall.value_PMC.shape == (2, 24, 8 + 2)
    joined = join_memories([recall, recall, recall])
    assert joined.key_BMK.shape == (1, 72, 8)
    assert joined.value_PMC.shape == (2, 72, 10)


def test_what_is_remembered_counts_as_far_as_it_is_certain_and_what_was_given_counts_more(network: CovosFollow) -> None:
    seen, owner = view(network), torch.tensor([0, 0])
    mask = torch.zeros(2, 1, 4 * CELLS[0], 4 * CELLS[1])
    mask[0, :, :, :4], mask[1] = 0.5, 0.9
    shown = torch.tensor([False, True])
    recall = network.memorise(
        seen, with_others(mask, owner), owner, certainty_P1HW=certainty(mask), given_P=shown
    ).value_PMC.detach()
    counted = recall[..., -1].view(2, *CELLS)
    torch.testing.assert_close(counted[0, :, 0], torch.zeros(CELLS[0]))  # undecided
    torch.testing.assert_close(counted[0, :, 1:], torch.ones(CELLS[0], CELLS[1] - 1))  # surely not there
    torch.testing.assert_close(counted[1], network.log_given.detach().exp().expand(CELLS))
    assert float(counted[1, 0, 0]) > 1


def test_a_mask_that_was_given_outweighs_one_that_was_found(network: CovosFollow) -> None:
    seen, owner = view(network), torch.tensor([0])
    there, gone = torch.ones(1, 1, 16, 24), torch.zeros(1, 1, 16, 24)
    shown = remember(network, seen, there, owner)
    recall = join_memories([shown, remember(network, seen, gone, owner, given=False)])
    with torch.no_grad():
        found = network.find(seen, recall, shown, believe(seen, there, owner), owner)
    given = float(network.log_given.detach().exp())
    torch.testing.assert_close(found.read_P2hw[:, :1], torch.full((1, 1, *CELLS), given / (given + 1)))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
def test_what_is_hardly_like_anything_remembered_is_read_in_any_precision(
    network: CovosFollow, precision: torch.dtype
) -> None:
    mask, owner = torch.full((1, 1, 16, 24), 1.0), torch.tensor([0])
    with torch.no_grad():
        network.log_scale.fill_(3.6)
    with torch.inference_mode(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
        seen = view(network)
        recall = remember(network, seen, mask, owner)
        first, second = (unit.expand(1, 24, -1) for unit in torch.eye(8)[:2])
        found = network.find(
            seen._replace(key_BNK=first),
            recall._replace(key_BMK=second),
            recall._replace(key_BMK=second),
            believe(seen, mask, owner),
            owner,
        )
    torch.testing.assert_close(found.read_P2hw[:, :1], torch.ones(1, 1, *CELLS), atol=0.01, rtol=0)
    torch.testing.assert_close(found.match_Phw, torch.zeros(1, *CELLS), atol=0.01, rtol=0)


def test_a_position_reads_those_that_match_it_best() -> None:
    affinity = torch.rand(1, 24, 5 * TOP)
    weight, index = focused(affinity, CELLS)
    assert weight.shape == index.shape == (1, 24, TOP)
    assert torch.equal(index.sort().values, torch.topk(affinity, TOP, dim=2).indices.sort().values)
    assert (weight > 0).all()
    few, at = focused(affinity[..., : TOP // 2], CELLS)
    assert ((few > 0).sum(dim=2) == TOP // 2).all(), "a small memory is read whole"
    assert int(at.max()) < TOP // 2


def test_a_remembered_position_speaks_round_the_place_that_it_matches_best() -> None:
    # Two things that look alike, at the left and at the right of the frame; what is remembered is of the left one.
    cells = (4, 60)
    affinity = torch.full((1, 240, 2), 0.1)
    affinity[0, 61, 0], affinity[0, 118, 0] = 0.9, 0.85
    weight, index = focused(affinity, cells)
    found = torch.where(index == 0, weight, 0).amax(dim=2)[0]
    assert float(found[61]) == pytest.approx(0.9)
    assert float(found[118]) == pytest.approx(0.85 * KERNEL_LEAST)
    near, far = float(found[63]), float(found[61 + 60 * 2])
    assert near == pytest.approx(0.1 * math.exp(-((2 / KERNEL_REACH) ** 2) / 2))
    assert far == pytest.approx(near), "rows and columns are alike"


@pytest.mark.parametrize("frames", [1, 2])
def test_chosen_positions_are_read_as_if_all_others_had_no_affinity(frames: int) -> None:
    cells, owner = (4, 6), torch.tensor([0, frames - 1, 0])
    affinity = torch.rand(frames, 24, 5 * TOP)
    value = torch.cat([torch.randn(3, 5 * TOP, 4), torch.rand(3, 5 * TOP, 1)], dim=2)
    chosen = focused(affinity, cells)
    dense = torch.zeros_like(affinity).scatter(2, chosen.index_BNT, chosen.weight_BNT)
    scale = torch.tensor(10.0)
    found = read(affinity, value, owner, scale=scale, chosen=chosen)
    torch.testing.assert_close(found[..., :-1], read(dense, value, owner, scale=scale)[..., :-1])
    torch.testing.assert_close(found[..., -1], read(affinity, value, owner, scale=scale)[..., -1])


def test_the_shares_of_a_memory_are_those_of_all_that_is_read() -> None:
    affinity = torch.rand(2, 5, 7)
    expected = (affinity / affinity.sum(dim=2, keepdim=True)).mean(dim=1)
    torch.testing.assert_close(shares(affinity), expected)
    assert not shares(torch.zeros(1, 5, 7)).any(), "nothing is divided by 0"


def test_certainty_is_that_of_what_is_decided_either_way() -> None:
    found = certainty(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(found, torch.tensor([1.0, 0.25, 0.0, 0.25, 1.0]))


def test_agreement_compares_the_cue_with_an_object_and_with_all_of_its_frame(network: CovosFollow) -> None:
    cue = torch.full((2, 1, 32, 48), -30.0)
    cue[0, :, :16, :24] = 30.0  # a quarter of the frame
    mask = torch.zeros(3, 1, 16, 24)
    mask[0, :, :8, :6], mask[1, :, :8, 6:12], mask[2] = 1, 1, 1
    owner = torch.tensor([0, 0, 1])
    seen = view(network, 2, cue=cue)
    found = agreement(with_others(mask, owner), seen, owner)
    torch.testing.assert_close(found, torch.tensor([[0.5, 1.0], [0.5, 1.0], [0.0, 0.0]]), atol=1e-5, rtol=0)
    unknown = agreement(with_others(mask, owner), seen._replace(cue_known_B=torch.tensor([0.0, 1.0])), owner)
    torch.testing.assert_close(unknown, torch.zeros(3, 2))


def test_masks_move_along_the_flow_and_nothing_comes_from_beyond_the_border() -> None:
    mask = torch.rand(2, 1, 6, 9)
    flow = torch.zeros(1, 2, 6, 9)
    torch.testing.assert_close(moved(mask, flow), mask)
    flow[:, 0], flow[:, 1] = 2, -1  # what is seen here was two cells to the right and one up
    found = moved(mask, flow)
    torch.testing.assert_close(found[:, :, 1:, :-2], mask[:, :, :-1, 2:])
    assert float(found[:, :, 0].max()) < 1e-5
    assert float(found[..., -2:].max()) < 1e-5
    own = torch.cat([torch.zeros_like(flow), flow])
    torch.testing.assert_close(moved(mask, own), torch.cat([mask[:1], found[1:]]))  # each mask has a flow


def test_the_latest_masks_are_moved_before_they_are_decoded(network: CovosFollow) -> None:
    seen, mask, owner = view(network), masks(1), torch.tensor([0])
    flow = torch.zeros_like(seen.flow_B2HW)
    flow[:, 0] = 1
    found = find_shown(network, seen._replace(flow_B2HW=flow), mask, owner)
    torch.testing.assert_close(found.before_P1HW[..., :-1], mask[..., 1:])


def test_the_cue_tells_where_it_is_known(network: CovosFollow) -> None:
    mask, owner = masks(1), torch.tensor([0])
    seen = view(network, cue=torch.randn(1, 1, 32, 48))
    assert bool((seen.cue_known_B == 1).all())
    logit = find_shown(network, seen, mask, owner).logit_P1HW
    belief = believe(seen, mask, owner)
    other = seen._replace(cue_B1HW=1 - seen.cue_B1HW)
    assert not torch.allclose(find_shown(network, other, mask, owner, belief).logit_P1HW, logit, atol=1e-3)
    unknown = seen._replace(cue_known_B=torch.zeros(1))
    assert not torch.equal(find_shown(network, unknown, mask, owner, belief).logit_P1HW, logit)
    disagreed = belief._replace(agreement_P2=torch.zeros(1, 2))
    assert not torch.equal(find_shown(network, seen, mask, owner, disagreed).logit_P1HW, logit)


def test_a_cue_that_is_not_known_tells_nothing(network: CovosFollow) -> None:
    seen = view(network)
    assert not seen.cue_known_B.any()
    assert not seen.cue_B1HW.any()
    assert seen.cue_B1HW.shape == (1, 1, 32, 48)
    assert not believe(seen, masks(1), torch.tensor([0])).agreement_P2.any()
    assert not seen.flow_B2HW.any()


def test_a_target_model_learns_less_where_masks_are_in_doubt(network: CovosFollow) -> None:
    seen, owner = view(network), torch.tensor([0, 0])
    mask = masks(2)
    certain = torch.ones_like(mask)
    whole = target_moments(seen, mask, owner, certainty_P1HW=certain)
    assert whole.gram_BDD.shape == (1, 281, 281), "three parts of the features, and the constant"
    assert float(whole.gram_BDD[0, -1, -1]) == 8 * 12, "stride 8"
    certain[0, :, :8], certain[1, :, :8] = 0.25, 0.5  # together in doubt beyond measure
    half = target_moments(seen, mask, owner, certainty_P1HW=certain)
    assert float(half.gram_BDD[0, -1, -1]) == pytest.approx(4 * 12)
    torch.testing.assert_close(half.cross_PD[:, -1] * 4, mask[:, 0, 8:].sum(dim=(1, 2)))


def test_the_features_of_covos_lite_are_what_it_takes() -> None:
    with torch.inference_mode():
        features = CovosLite().eval().encode(torch.rand(1, 3, 64, 96))
        cue, flow = torch.zeros(1, 1, 32, 48), torch.ones(1, 2, 16, 24)
        seen = CovosFollow().eval().project(features, cue_B1HW=cue, flow_B2HW=flow)
    assert seen.key_BNK.shape == (1, 24, 64)
    assert seen.fit_BLD.shape == (1, 8 * 12, 128 + 112 + 40 + 1)
    torch.testing.assert_close(seen.cue_B1HW, torch.full((1, 1, 32, 48), 0.5))
    torch.testing.assert_close(seen.still_B1hw, features.still_B1HW.sigmoid())
    torch.testing.assert_close(seen.flow_B2HW, flow)
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
