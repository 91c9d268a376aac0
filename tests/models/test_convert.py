"""Published checkpoints in, safetensors out: each layout, and everything that is none."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from covos.core.errors import CheckpointError, UsageError
from covos.core.records import write_record
from covos.models.cards import card_path, read_card, sha256_of
from covos.models.cosnet.convert import convert, map_tensors, our_name
from covos.models.cosnet.network import COSNET_RESNET101, COSNETS, Cosnet
from covos.models.registry import build_network, find_model, refuse_untrained, settings_of_file

State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks at an eighth of their width: files of a megabyte instead of three hundred."""
    for name, config in COSNETS.items():
        monkeypatch.setitem(COSNETS, name, replace(config, width=8))


@pytest.fixture(scope="module")
def published(literal: ModuleType) -> State:
    """A ResNet-50 variant under COSNet's names, with its still-image head."""
    state: State = literal.random_state("resnet50", outputs=1, still=True, contrast=0.3, base=8)
    return {**state, "encoder.bn1.num_batches_tracked": torch.tensor(7)}


def as_cosnet(state: State) -> object:
    return {"epoch": 3, "model": {f"module.{name}": tensor for name, tensor in state.items()}, "optimizer": {"lr": 0.1}}


def as_split(state: State, *, older: bool) -> State:
    """Names of the variant in parts."""
    renamed = {}
    for name, tensor in state.items():
        part, rest = name.split(".", 1)
        if part == "encoder":
            renamed[name] = tensor
        elif part in ("linear_e", "gate"):
            renamed[f"co_att.{part if older or part == 'gate' else 'linear'}.{rest}"] = tensor
        else:
            renamed[f"seg.{part if older else part.removeprefix('main_')}.{rest}"] = tensor
    return renamed


def as_deeplab(state: State, *, prefix: str) -> State:
    """The encoder alone, with a classifier of its own and a tensor that nobody needs."""
    renamed = {
        prefix + name.removeprefix("encoder."): tensor
        for name, tensor in state.items()
        if name.startswith("encoder.") and "main_classifier" not in name
    }
    return {
        **renamed,
        f"{prefix}main_classifier.weight": torch.zeros(21, 32, 1, 1),
        f"{prefix}main_classifier.bias": torch.zeros(21),
        f"{prefix}aux.weight": torch.zeros(2),
    }


LAYOUTS: dict[str, Callable[[State], object]] = {
    "cosnet": as_cosnet,
    "split, newer names": lambda state: as_split(state, older=False),
    "split, older names": lambda state: as_split(state, older=True),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_round_trip(published: State, tmp_path: Path, layout: str) -> None:
    """Every number of the checkpoint is in the loaded network, bit for bit."""
    source, output = tmp_path / "theirs.pth", tmp_path / "ours.safetensors"
    torch.save(LAYOUTS[layout](published), source)
    report = convert(source, output=output)
    assert report.architecture == "cosnet_resnet50"
    assert report.layout == layout.split(",", maxsplit=1)[0]
    assert (report.missing, report.unexpected) == ((), ())
    assert report.counters == ("encoder.bn1.num_batches_tracked",)
    assert len(report.mapped) == len(published) - 1
    loaded = build_network(find_model(output)).state_dict()
    for name, tensor in published.items():
        if not name.endswith("num_batches_tracked"):
            ours = our_name(name, layout="cosnet")
            assert ours is not None
            assert torch.equal(loaded[ours], tensor), name
    card = read_card(output)
    assert card is not None
    assert (card.name, card.architecture, card.sha256) == ("ours", "cosnet_resnet50", sha256_of(output))
    origin = card.recipe["converted_from"]
    assert origin == {"file": "theirs.pth", "sha256": sha256_of(source), "layout": report.layout, "random": []}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours.json", "ours.safetensors", "theirs.pth"]


def test_converted_again_it_is_the_same_model(published: State, tmp_path: Path) -> None:
    torch.save(as_cosnet(published), tmp_path / "theirs.pth")
    torch.save(dict(reversed(published.items())), tmp_path / "moved.pth")
    hashes = set()
    for number, source in enumerate(("theirs.pth", "theirs.pth", "moved.pth")):
        output = tmp_path / f"{number}.safetensors"
        convert(tmp_path / source, output=output)
        hashes.add(sha256_of(output))
    assert len(hashes) == 1


@pytest.mark.parametrize("prefix", ["", "encoder.", "module.", "module.encoder."])
def test_deeplab_starts_a_network(published: State, prefix: str, tmp_path: Path) -> None:
    tensors = {name.removeprefix("module."): t for name, t in as_deeplab(published, prefix=prefix).items()}
    network, report = map_tensors(tensors, path=tmp_path / "deeplab.pth")
    assert report.layout == "deeplab"
    assert report.architecture == "cosnet_resnet50"
    bare = prefix.removeprefix("module.")
    assert set(report.unexpected) == {
        f"{bare}aux.weight",
        f"{bare}main_classifier.weight",
        f"{bare}main_classifier.bias",
    }
    assert {name.split(".")[0] for name in report.missing} == {"coattention", "head_a", "head_b"}
    assert torch.equal(network.encoder.layer3[5].conv2.weight, published["encoder.layer3.5.conv2.weight"])
    assert torch.equal(network.context.bottleneck.bias, published["encoder.layer5.bottleneck.bias"])


def test_deeplab_round_trip(published: State, tmp_path: Path) -> None:
    source, output = tmp_path / "deeplab.pth", tmp_path / "start.safetensors"
    torch.save(as_deeplab(published, prefix="module."), source)
    convert(source, output=output)
    loaded = build_network(find_model(output)).state_dict()
    assert torch.equal(loaded["encoder.conv1.weight"], published["encoder.conv1.weight"])
    card = read_card(output)
    assert card is not None
    assert card.recipe["converted_from"]["random"] == ["coattention", "head_a", "head_b"]
    with pytest.raises(CheckpointError, match="is a start for training, not a model"):
        refuse_untrained(find_model(output))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    convert(source, output=output, overwrite=True)
    after = torch.get_rng_state()
    again = build_network(find_model(output)).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in again.items()), "random, but the same each time"
    assert torch.equal(after, before), "the caller's generator is left alone"


def as_resnet(state: State, *, prefix: str = "") -> State:
    """The encoder by its names in torchvision and timm, with their classifier."""
    renamed = {
        prefix + name.removeprefix("encoder."): tensor
        for name, tensor in state.items()
        if name.startswith(("encoder.conv1", "encoder.bn1", "encoder.layer")) and "layer5" not in name
    }
    if prefix:  # torchvision's DeepLabV3, with some of what it has beside its backbone
        renamed["classifier.0.convs.0.0.weight"] = torch.zeros(32, 256, 1, 1)
        renamed["classifier.4.weight"] = torch.zeros(21, 32, 1, 1)
        renamed["aux_classifier.0.weight"] = torch.zeros(32, 128, 3, 3)
        return renamed
    return {**renamed, "fc.weight": torch.zeros(1000, 256), "fc.bias": torch.zeros(1000)}


@pytest.mark.parametrize("prefix", ["", "backbone."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_resnets_of_torchvision_and_timm_start_a_network(
    published: State, tmp_path: Path, prefix: str, suffix: str
) -> None:
    source, output = tmp_path / f"resnet50{suffix}", tmp_path / "start.safetensors"
    tensors = as_resnet(published, prefix=prefix)
    save_file(tensors, source) if suffix == ".safetensors" else torch.save(tensors, source)
    report = convert(source, output=output)
    assert (report.layout, report.architecture) == ("resnet", "cosnet_resnet50")
    assert report.counters == (f"{prefix}bn1.num_batches_tracked",)
    assert set(report.unexpected) == {name for name in tensors if "classifier" in name or name.startswith("fc.")}
    assert {name.split(".")[0] for name in report.missing} == {"context", "coattention", "head_a", "head_b"}
    network = build_network(find_model(output))
    assert isinstance(network, Cosnet)
    assert torch.equal(network.encoder.layer3[5].conv2.weight, published["encoder.layer3.5.conv2.weight"])
    assert network.encoder.layer2[0].conv2.stride == (2, 2)
    assert not network.encoder.maxpool.ceil_mode
    seen = network.config.preprocessing
    assert (seen.size, seen.order, seen.scale) == ((180, 320), "rgb", 1.0)
    assert (seen.mean, seen.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with pytest.raises(CheckpointError, match=r"a start for training(.|\n)*lacks coattention, context, head_a"):
        refuse_untrained(find_model(output))


@pytest.mark.parametrize("name", ["missing.pth", "weights/resnet101-63fe2227.pth", "x.pt"])
def test_a_checkpoint_that_is_not_there_is_told_how_to_be_converted(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_model(name)
    assert "there is no such file" in str(caught.value)
    assert f"covos models convert {Path(name).name} -o {Path(name).stem}.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conv1.0.weight": torch.zeros(4, 3, 3, 3), "conv1.weight": None}, "why: conv1.weight is missing"),
        ({"layer1.0.se.fc1.weight": torch.zeros(2, 32, 1, 1)}, "layer1.0.se.fc1.weight is of another kind of block"),
        ({"layer1.0.conv2.weight": torch.zeros(8, 2, 3, 3)}, r"layer1.0.conv2.weight is \(8, 2, 3, 3\)"),
        ({"layer3.35.conv1.weight": torch.zeros(1)}, "36 blocks"),
    ],
)
def test_other_kinds_of_resnets_are_refused(published: State, change: dict[str, Tensor | None], reason: str) -> None:
    """With another stem, with attention of their own, grouped, or deeper."""
    tensors = {name: tensor for name, tensor in {**as_resnet(published), **change}.items() if tensor is not None}
    with pytest.raises(CheckpointError, match=reason):
        map_tensors(tensors, path=Path("other.pth"))


def test_each_layout_is_fed_what_it_was_trained_on(published: State) -> None:
    fed = {
        layout: map_tensors(tensors, path=Path(layout))[0].config.preprocessing
        for layout, tensors in {
            "split": as_split(published, older=False),
            "deeplab": as_deeplab(published, prefix=""),
        }.items()
    }
    assert (fed["split"].order, fed["split"].scale, fed["split"].mean) == ("bgr", 1.0, (0.0, 0.0, 0.0))
    assert (fed["deeplab"].order, fed["deeplab"].scale) == ("bgr", 255.0)
    assert fed["deeplab"].mean == COSNET_RESNET101.preprocessing.mean
    assert {each.size for each in fed.values()} == {(180, 320)}


@pytest.mark.parametrize("layout", ["split", "deeplab", "cosnet"])
def test_a_file_that_was_converted_before_is_used_as_its_layout_is(
    published: State, tmp_path: Path, layout: str
) -> None:
    """Older files do not say what they are; their cards say which layout they come from."""
    source, output = tmp_path / "theirs.pth", tmp_path / "ours.safetensors"
    made = {"split": as_split(published, older=False), "deeplab": as_deeplab(published, prefix="")}
    torch.save(made.get(layout, as_cosnet(published)), source)
    convert(source, output=output)
    config = build_network(find_model(output)).config
    settings = settings_of_file(output)
    save_file(load_file(output), output)
    card = read_card(output)
    assert card is not None
    write_record(card.model_copy(update={"sha256": sha256_of(output)}), card_path(output))
    assert build_network(find_model(output)).config == config
    assert settings_of_file(output) == settings


def test_a_deeper_deeplab_may_start_a_smaller_network(literal: ModuleType) -> None:
    deep = as_deeplab(literal.random_state("resnet101", outputs=1, still=False, contrast=60, base=8), prefix="")
    _, report = map_tensors(deep, path=Path("deep.pth"), architecture="cosnet_resnet50")
    assert report.architecture == "cosnet_resnet50"
    assert "layer3.22.conv1.weight" in report.unexpected
    assert all("layer3.6." not in theirs for theirs, _ in report.mapped)


def test_colour_outputs_are_recognised(published: State) -> None:
    colours = dict(published)
    for branch in "12":
        colours[f"main_classifier{branch}.weight"] = torch.randn(3, 32, 1, 1)
        colours[f"main_classifier{branch}.bias"] = torch.randn(3)
    network, _ = map_tensors(colours, path=Path("colours.pth"))
    assert network.config.outputs == 3


DAMAGES: dict[str, tuple[Callable[[State], object], str]] = {
    "a tensor is missing": (lambda s: s.pop("encoder.layer2.1.bn2.bias"), "encoder.layer2.1.bn2.bias is missing"),
    "a head is missing": (lambda s: s.pop("conv1.weight"), r"why: conv1.weight is missing \(1 difference\)"),
    "a shape is wrong": (lambda s: s.update({"gate.weight": torch.zeros(1, 16, 1, 1)}), r"gate.weight is \(1, 16"),
    "NaN": (
        lambda s: s.update({"gate.weight": torch.full((1, 32, 1, 1), torch.nan)}),
        "NaN or infinity in module.gate",
    ),
    "another depth": (lambda s: s.update({"encoder.layer3.35.conv1.weight": torch.zeros(1)}), "36 blocks"),
    "another number of classes": (
        lambda s: s.update({"main_classifier1.weight": torch.zeros(21, 32, 1, 1)}),
        "21 outputs instead of 1 or 3",
    ),
    "another layout": (
        lambda s: (s.pop("linear_e.weight"), s.pop("encoder.layer5.conv2d_0.weight")),
        "no layout",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_does_not_fit_is_refused_with_the_reason(published: State, tmp_path: Path, damage: str) -> None:
    state, (harm, reason) = dict(published), DAMAGES[damage]
    harm(state)
    torch.save(as_cosnet(state), tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match=reason):
        convert(tmp_path / "bad.pth", output=tmp_path / "bad.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]


@pytest.mark.parametrize(("older", "named"), [(True, "seg.main_classifier2.bias"), (False, "seg.classifier2.bias")])
def test_a_missing_tensor_is_named_as_the_file_would(published: State, older: bool, named: str) -> None:
    state = as_split(published, older=older)
    del state[named], state["encoder.layer5.conv2d_1.weight"]
    with pytest.raises(CheckpointError, match="2 differences") as caught:
        map_tensors(state, path=Path("split.pth"))
    assert f"{named} is missing" in caught.value.why
    assert "encoder.layer5.conv2d_1.weight is missing" in caught.value.why
    bare = as_deeplab(published, prefix="")
    del bare["layer4.1.bn2.bias"]
    with pytest.raises(CheckpointError, match=r"why: layer4\.1\.bn2\.bias is missing"):
        map_tensors(bare, path=Path("deeplab.pth"))


def test_two_tensors_of_one_name_are_refused(published: State) -> None:
    state = as_split(published, older=False)
    state["co_att.linear_e.weight"] = state["co_att.linear.weight"]
    with pytest.raises(CheckpointError, match="another tensor are both coattention"):
        map_tensors(state, path=Path("twice.pth"))


class _Attack:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("old_format", [False, True])
def test_a_pickle_with_code_is_refused_unexecuted(tmp_path: Path, old_format: bool) -> None:
    marker, source = tmp_path / "executed", tmp_path / "attack.pth"
    torch.save(
        {"model": {"w": torch.zeros(1)}, "extra": _Attack(marker)},
        source,
        _use_new_zipfile_serialization=not old_format,
    )
    with pytest.raises(CheckpointError, match="holds code") as caught:
        convert(source, output=tmp_path / "o.safetensors")
    assert "mkdir" in caught.value.why
    assert not marker.exists()


def test_a_bare_pickle_is_refused_unexecuted(tmp_path: Path) -> None:
    marker, source = tmp_path / "executed", tmp_path / "attack.pth"
    source.write_bytes(pickle.dumps(_Attack(marker)))
    with pytest.raises(CheckpointError):
        convert(source, output=tmp_path / "o.safetensors")
    assert not marker.exists()


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float, old_format: bool) -> None:
    source = tmp_path / "cut.pth"
    torch.save({"a": torch.randn(100, 100)}, source, _use_new_zipfile_serialization=not old_format)
    source.write_bytes(source.read_bytes()[: int(share * source.stat().st_size)])
    with pytest.raises(CheckpointError, match="damaged"):
        convert(source, output=tmp_path / "o.safetensors")


@pytest.mark.parametrize("content", [b"not a checkpoint", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="no PyTorch checkpoint"):
        convert(tmp_path / "x.pth", output=tmp_path / "o.safetensors")


@pytest.mark.parametrize("content", [torch.zeros(3), {"epoch": 1}, [], {"model": {}}])
def test_checkpoints_without_weights_are_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds no weights"):
        convert(tmp_path / "x.pth", output=tmp_path / "o.safetensors")


def test_wrong_calls_are_refused_before_reading(tmp_path: Path) -> None:
    source, taken = tmp_path / "none.pth", tmp_path / "taken.safetensors"
    with pytest.raises(CheckpointError, match="cannot be read"):
        convert(source, output=tmp_path / "o.safetensors")
    with pytest.raises(UsageError, match="only safetensors"):
        convert(source, output=tmp_path / "o.pth")
    with pytest.raises(UsageError, match="unknown network"):
        convert(source, output=tmp_path / "o.safetensors", architecture="resnet34")
    card_path(taken).write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        convert(source, output=taken)
    assert card_path(taken).read_text() == "mine"


def test_a_network_without_weights_says_how_to_get_them() -> None:
    with pytest.raises(UsageError, match="covos models convert"):
        find_model("cosnet_resnet101")
