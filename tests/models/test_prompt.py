from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from covos.core.errors import CheckpointError, EnvironmentProblem, UsageError
from covos.models import registry
from covos.models.cards import Card
from covos.models.checkpoints import save_weights
from covos.models.lite import CovosLite, Features
from covos.models.prompt import CovosPrompt, PromptConfig, PromptFeatures, PromptTensors, draw_guide, likeness
from covos.models.registry import build_network, build_prompter, find_model, find_prompter

CELLS = (4, 6)
NO_BOX = torch.zeros(1, 5)
NO_MASK = torch.zeros(1, 1, 32, 48)


@pytest.fixture
def network() -> CovosPrompt:
    config = PromptConfig(context=16, keys=(8, 8, 8), guide=(8, 8, 8), heads=2, widths=(8, 8, 8), skips=(8, 8, 8))
    return CovosPrompt(config).eval()


def view(network: CovosPrompt, frames: int = 1) -> PromptFeatures:
    height, width = CELLS
    with torch.no_grad():
        features = Features(
            torch.randn(frames, 128, height, width),
            torch.zeros(frames, 1, height, width),
            torch.randn(frames, 40, 2 * height, 2 * width),
            torch.randn(frames, 24, 4 * height, 4 * width),
            torch.randn(frames, 112, height, width),
            torch.randn(frames, 16, 8 * height, 8 * width),
        )
        return network.project(features)


def points(*rows: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor([rows])


def test_the_features_of_covos_lite_are_what_it_takes() -> None:
    network = CovosPrompt().eval()
    image = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        seen = network.project(CovosLite().eval().encode(image))
        prompt = PromptTensors(
            points((0.5, 0.5, 1.0)).expand(2, -1, -1), NO_BOX.expand(2, -1), NO_MASK.expand(2, -1, -1, -1)
        )
        logit = network.find(seen, prompt)
    assert logit.shape == (2, 1, 32, 48)
    assert logit.dtype == torch.float32
    assert seen.key16_BCHW.shape == (2, 64, 4, 6)
    torch.testing.assert_close(seen.key4_BCHW.norm(dim=1), torch.ones(2, 16, 24))


def test_it_has_fewer_than_six_hundred_thousand_weights() -> None:
    assert sum(parameter.numel() for parameter in CovosPrompt().parameters()) < 600_000


@pytest.mark.parametrize(
    "other",
    [
        PromptTensors(points((0.9, 0.2, 1.0)), NO_BOX, NO_MASK),
        PromptTensors(points((0.5, 0.5, -1.0)), NO_BOX, NO_MASK),
        PromptTensors(points((0.5, 0.5, 1.0)), torch.tensor([[0.2, 0.2, 0.8, 0.8, 1.0]]), NO_MASK),
        PromptTensors(points((0.5, 0.5, 1.0)), NO_BOX, NO_MASK + 1),
    ],
)
def test_everything_that_is_shown_matters(network: CovosPrompt, other: PromptTensors) -> None:
    seen = view(network)
    with torch.no_grad():
        plain = network.find(seen, PromptTensors(points((0.5, 0.5, 1.0)), NO_BOX, NO_MASK))
        changed = network.find(seen, other)
    assert float((plain - changed).abs().max()) > 1e-4


def test_a_point_of_no_kind_changes_nothing_wherever_it_is(network: CovosPrompt) -> None:
    seen = view(network)
    with torch.no_grad():
        alone = network.find(seen, PromptTensors(points((0.5, 0.5, 1.0)), NO_BOX, NO_MASK))
        padded = network.find(seen, PromptTensors(points((0.5, 0.5, 1.0), (0.9, 0.1, 0.0)), NO_BOX, NO_MASK))
    torch.testing.assert_close(alone, padded)


def test_frames_of_a_batch_do_not_touch_one_another(network: CovosPrompt) -> None:
    seen = view(network, 2)
    both = PromptTensors(
        torch.cat([points((0.2, 0.3, 1.0)), points((0.7, 0.6, -1.0))]), NO_BOX.expand(2, -1), torch.rand(2, 1, 32, 48)
    )
    with torch.no_grad():
        together = network.find(seen, both)
        alone = network.find(PromptFeatures(*(part[1:] for part in seen)), PromptTensors(*(part[1:] for part in both)))
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)


def test_a_click_is_drawn_where_it_was_made() -> None:
    # The centre of cell (row 3, column 10) of 16 x 24.
    prompt = PromptTensors(points((10.5 / 24, 3.5 / 16, 1.0), (2.5 / 24, 12.5 / 16, -1.0)), NO_BOX, NO_MASK)
    narrow, wide, beside, beside_wide, *rest = draw_guide(prompt, size=(16, 24))[0]
    assert divmod(int(narrow.argmax()), 24) == (3, 10)
    assert divmod(int(beside.argmax()), 24) == (12, 2)
    assert float(narrow.max()) == float(beside.max()) == 1.0
    assert float(wide.mean()) > float(narrow.mean())
    assert float(beside_wide.mean()) > float(beside.mean())
    assert not any(channel.any() for channel in rest)


def test_a_box_is_drawn_by_what_it_covers_and_the_rest_is_outside() -> None:
    box = torch.tensor([[0.25, 0.5, 0.75, 1.0, 1.0]])
    guide = draw_guide(PromptTensors(points((0, 0, 0)), box, NO_MASK), size=(4, 6))[0]
    inside, outside = guide[4], guide[5]
    expected = torch.tensor([0.0, 0.5, 1.0, 1.0, 0.5, 0.0])
    torch.testing.assert_close(inside[2], expected)
    assert not inside[:2].any()
    torch.testing.assert_close(inside + outside, torch.ones(4, 6))


def test_what_looks_like_a_clicked_place_is_like_it() -> None:
    key = F.normalize(torch.randn(1, 8, 4, 6), dim=1)
    key[..., 0, 0] = key[..., 3, 5]
    found = likeness(key, points((5.5 / 6, 3.5 / 4, 1.0), (2.5 / 6, 1.5 / 4, -1.0)), scale=torch.tensor(10.0))[0]
    assert float(found[0, 3, 5]) == pytest.approx(1, abs=1e-5)
    assert float(found[0, 0, 0]) == pytest.approx(1, abs=1e-5), "the same key elsewhere"
    assert float(found[1, 1, 2]) == pytest.approx(1, abs=1e-5)
    assert float(found[2, 3, 5]) == pytest.approx(1, abs=1e-5)
    none = likeness(key, points((0.5, 0.5, 0.0)), scale=torch.tensor(10.0))
    assert not none.any()


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., registry.ModelEntry]:
    def saved(**recipe: object) -> registry.ModelEntry:
        card = Card(
            name="covos-prompt", architecture="prompt", version="0", commit="", recipe=recipe, data=(), scores={},
            licence="",
        )  # fmt: skip
        path = tmp_path / "mine.safetensors"
        save_weights(path, CovosPrompt(), card=card)
        return find_model(path)

    return saved


def test_weights_are_refused_beside_another_encoder(save: Callable[..., registry.ModelEntry]) -> None:
    eyes = find_model("covos-lite")
    own = save(encoder_sha256=eyes.card.sha256)
    assert find_prompter(own.path, encoder=eyes).path == own.path
    assert not build_prompter(own, encoder=eyes).training
    other = save(encoder_sha256="0" * 64)
    for use in (lambda: build_prompter(other, encoder=eyes), lambda: find_prompter(other.path, encoder=eyes)):
        with pytest.raises(CheckpointError, match="does not belong to covos-lite"):
            use()


def test_a_network_of_another_kind_is_refused(save: Callable[..., registry.ModelEntry]) -> None:
    eyes = find_model("covos-lite")
    with pytest.raises(UsageError, match="cannot understand clicks"):
        find_prompter("covos-lite", encoder=eyes)
    with pytest.raises(UsageError, match="finds nothing by itself"):
        build_network(save(encoder_sha256=eyes.card.sha256))


def test_a_package_without_its_weights_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    eyes = find_model("covos-lite")
    monkeypatch.setattr(registry, "list_models", lambda: (eyes,))
    with pytest.raises(EnvironmentProblem, match="weights of covos-prompt are not there"):
        find_prompter(encoder=eyes)
