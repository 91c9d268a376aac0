"""The models that covos knows by name, and how to load them or a file of weights.

A program adds a network of its own by `register_network`, an installed package by an entry point of the group
``covos_networks``. Files of its weights are then loaded as others are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from covos.core.errors import CheckpointError, EnvironmentProblem, UsageError, listed, one_of
from covos.core.extensions import Extensions
from covos.core.records import faults
from covos.models.cards import Card, read_card, sha256_of, stored_network, stored_shapes

if TYPE_CHECKING:
    from torch import nn

    from covos.models.cosnet.network import Cosnet, CosnetConfig
    from covos.models.follow import CovosFollow
    from covos.models.lite import CovosLite
    from covos.models.matte import CovosMatte
    from covos.models.prompt import CovosPrompt

DEFAULT_MODEL = "covos-lite"
DEFAULT_FOLLOWER = "covos-follow"
DEFAULT_PROMPTER = "covos-prompt"
DEFAULT_MATTER = "covos-matte"

NetworkT = TypeVar("NetworkT", bound="nn.Module")

ARCHITECTURES = ("lite", "cosnet_resnet101", "cosnet_resnet50", "follow", "prompt", "matte")
"""Networks that a weights file can be for."""

NETWORKS: dict[str, Callable[..., nn.Module]] = {}
"""Networks that programs and installed packages have added, by name."""
ADDED = Extensions(what="the network", several="networks", group="covos_networks")

MakerT = TypeVar("MakerT", bound="Callable[..., nn.Module]")


def register_network(name: str) -> Callable[[MakerT], MakerT]:
    """Make a network known under a name; use it as a decorator of a class or function that makes it.

    A weights file of this architecture is then loaded into what the class makes of the settings that the file holds:
    those that the network's property ``settings`` gave when it was saved, or none if it has no such property. To
    segment, the network must be a `covos.engines.encoding.VideoNetwork`.

    Raises:
        UsageError: Another network has the name.
    """

    def keep(make: MakerT) -> MakerT:
        ADDED.refuse_taken(name, name if name in ARCHITECTURES else NETWORKS.get(name), make)
        NETWORKS[name] = make
        return make

    return keep


def _added_network(name: str) -> Callable[..., nn.Module] | None:
    """Return a network that was added; None if there is none of that name."""
    if name not in NETWORKS and name not in ARCHITECTURES:
        ADDED.bring(name, register_network)
    return NETWORKS.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A model of the registry: the name that users call it by, and its weights with their card."""

    name: str
    path: Path
    card: Card


_EMBEDDED = Path(__file__).with_name("weights")


def list_models() -> tuple[ModelEntry, ...]:
    """List the models whose weights are part of the package, by name."""
    entries = []
    for path in sorted(_EMBEDDED.glob("*.safetensors")):
        card = read_card(path)
        if card is None:
            raise CheckpointError(
                f"{path} has no card", why="an embedded model needs one", fix="install covos again: it is damaged"
            )
        entries.append(ModelEntry(name=path.stem, path=path, card=card))
    return tuple(entries)


def find_model(name_or_file: str | Path) -> ModelEntry:
    """Find a model by name, or take a weights file."""
    models = {entry.name: entry for entry in list_models()}
    path = Path(name_or_file)
    if str(name_or_file) in models:
        entry = models[str(name_or_file)]
    elif path.is_file():
        card = read_card(path)
        if card is None:
            raise CheckpointError(
                f"{path} has no card",
                why=f"the file {path.with_suffix('.json').name} beside it says which network it is for",
                fix="keep the .json that `covos train` and `covos models convert` write beside the .safetensors"
                if path.suffix == ".safetensors"
                else "make a .safetensors file of a published checkpoint with `covos models convert`",
            )
        entry = ModelEntry(name=card.name, path=path, card=card)
    elif str(name_or_file) in ARCHITECTURES:
        raise UsageError(
            f"{name_or_file} is a network without weights",
            why="its weights are not part of covos",
            fix="make a file of published ones with `covos models convert`, or train it; then give the file",
        )
    else:
        raise _unknown(str(name_or_file), path, models)
    architecture = entry.card.architecture
    if architecture not in ARCHITECTURES and _added_network(architecture) is None:
        raise CheckpointError(
            f"{entry.path} is for the network {architecture!r}",
            why="this covos does not know it",
            fix=f"known are: {', '.join((*ARCHITECTURES, *NETWORKS))}; import the program that adds it "
            "(covos.models.register_network), or install its package; a newer covos may know more",
        )
    return entry


def _unknown(name: str, path: Path, models: Collection[str]) -> UsageError:
    if path.suffix in (".pth", ".pt", ".bin", ".ckpt"):
        why, fix = (
            "there is no such file",
            (
                "check the path; a published checkpoint is converted first: covos models convert "
                f"{path.name} -o {path.with_suffix('.safetensors').name}"
            ),
        )
    elif path.suffix == ".safetensors" or len(path.parts) > 1:
        beside = sorted(each.name for each in path.parent.glob("*.safetensors")) if path.parent.is_dir() else []
        where = path.parent if path.parent.is_dir() else "that folder"
        why = f"there is no such file; {where} has {listed(beside) if beside else 'no .safetensors file'}"
        fix = "check the path"
    else:
        why, fix = "neither a model of covos nor a file", one_of(name, models) + "; or the path of a .safetensors file"
    return UsageError(f"unknown model {name!r}", why=why, fix=fix)


def verify(entry: ModelEntry) -> None:
    """Compare a weights file with the hash and the network in its card."""
    found = sha256_of(entry.path)
    if found != entry.card.sha256:
        raise CheckpointError(
            f"{entry.path} is damaged",
            why=f"its sha256 begins with {found[:12]}, its card says {entry.card.sha256[:12]}",
            fix="install covos again, or restore the file",
        )
    stored = stored_network(entry.path)
    if stored is not None and stored.architecture != entry.card.architecture:
        raise CheckpointError(
            f"the card of {entry.path} is of another network",
            why=f"the file is for {stored.architecture}, its card says {entry.card.architecture}",
            fix="restore the .json that was written beside the weights",
        )


def build_network(entry: ModelEntry) -> CovosLite | Cosnet:
    """Build the network of a model with its weights, in evaluation mode, on the CPU.

    One that was added is a `covos.engines.encoding.VideoNetwork`, as these two are.
    """
    verify(entry)
    if _added_network(entry.card.architecture) is None:
        return _filled(_new_network(entry), entry)
    network = _filled(empty_network(entry), entry)
    lacking = [name for name in _ABILITIES if not hasattr(network, name)]
    if lacking:
        raise UsageError(
            f"{entry.card.architecture} cannot segment a video",
            why=f"it has no {', '.join(lacking)}",
            fix="let it be a covos.engines.encoding.VideoNetwork",
        )
    return network  # type: ignore[return-value]


def refuse_untrained(entry: ModelEntry) -> None:
    """Refuse to segment with a network of which essential parts are random: what training starts from lacks them."""
    origin = entry.card.recipe.get("converted_from", {})
    if origin.get("random"):
        recipe = entry.card.architecture.replace("_", "-")
        lacks = ", ".join(map(str, origin["random"]))
        raise CheckpointError(
            f"{entry.name} is a start for training, not a model",
            why=f"it was converted from {origin.get('file')}, which lacks {lacks}",
            fix=f"train it: covos train {recipe} -w {entry.path} --data ROOT -o RUN",
        )


def find_follower(name_or_file: str | Path = DEFAULT_FOLLOWER, *, encoder: ModelEntry) -> ModelEntry:
    """Find a network that follows objects, and see that it belongs to the encoder; nothing is loaded."""
    return _find_companion(name_or_file, "follow", encoder=encoder)


def goes_with(follower: str | Path, *, encoder: ModelEntry) -> bool:
    """Return True if a network that follows was trained on the features of this encoder; nothing is loaded.

    Raises:
        UsageError: It is another kind of network, or unknown.
        CheckpointError: Its file is damaged.
        EnvironmentProblem: Its weights are not there.
    """
    entry = _find_own(follower, "follow")
    _check_kind(entry, "follow")
    return _trained_on(entry) in encoder.card.hashes


def find_prompter(name_or_file: str | Path = DEFAULT_PROMPTER, *, encoder: ModelEntry) -> ModelEntry:
    """Find a network that understands clicks, and see that it belongs to the encoder; nothing is loaded."""
    return _find_companion(name_or_file, "prompt", encoder=encoder)


def find_matter(name_or_file: str | Path = DEFAULT_MATTER) -> ModelEntry:
    """Find a network that finds mattes; nothing is loaded. It works with any model: it sees pictures and answers."""
    entry = _find_own(name_or_file, "matte")
    _check_kind(entry, "matte")
    return entry


def build_follower(entry: ModelEntry, *, encoder: ModelEntry) -> CovosFollow:
    """Build the network that follows objects with its weights, in evaluation mode, on the CPU."""
    from covos.models.follow import CovosFollow

    _check_pair(entry, "follow", encoder=encoder)
    verify(entry)
    return _filled(CovosFollow(), entry)


def build_prompter(entry: ModelEntry, *, encoder: ModelEntry) -> CovosPrompt:
    """Build the network that understands clicks with its weights, in evaluation mode, on the CPU."""
    from covos.models.prompt import CovosPrompt

    _check_pair(entry, "prompt", encoder=encoder)
    verify(entry)
    return _filled(CovosPrompt(), entry)


def build_matter(entry: ModelEntry) -> CovosMatte:
    """Build the network that finds mattes with its weights, in evaluation mode, on the CPU."""
    from covos.models.matte import CovosMatte

    _check_kind(entry, "matte")
    verify(entry)
    return _filled(CovosMatte(), entry)


def build_any(entry: ModelEntry) -> nn.Module:
    """Build the network of a model, of any architecture, with its weights, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: The file is damaged, or does not fit.
    """
    verify(entry)
    return _filled(empty_network(entry), entry)


def empty_network(entry: ModelEntry) -> nn.Module:
    """Build the network of a model, of any architecture, also of one that was added, without its weights."""
    if (make := _added_network(entry.card.architecture)) is not None:
        stored = stored_network(entry.path)
        return make(**({} if stored is None else stored.settings))
    if entry.card.architecture == "follow":
        from covos.models.follow import CovosFollow

        return CovosFollow()
    if entry.card.architecture == "prompt":
        from covos.models.prompt import CovosPrompt

        return CovosPrompt()
    if entry.card.architecture == "matte":
        from covos.models.matte import CovosMatte

        return CovosMatte()
    return _new_network(entry)


def _filled(network: NetworkT, entry: ModelEntry) -> NetworkT:
    from covos.models.checkpoints import load_weights  # brings torch, which finding a model does not need

    load_weights(entry.path, network)
    return network.eval()


_ABILITIES = ("stride", "fixed_size", "fusions", "uses_motion", "encode", "memorise", "segment")
"""The names of a `covos.engines.encoding.VideoNetwork`."""
_ABILITY = {"follow": "follow objects", "prompt": "understand clicks", "matte": "find mattes"}
"""Abilities of the networks that find nothing by themselves, by architecture."""
_DOES = {
    "follow": "it follows objects that it is shown, on the features of a covos-lite",
    "prompt": "it turns clicks into masks, on the features of a covos-lite",
    "matte": "it finds the opacity of edges that another model has found",
}


def _find_companion(name_or_file: str | Path, architecture: str, *, encoder: ModelEntry) -> ModelEntry:
    entry = _find_own(name_or_file, architecture)
    _check_pair(entry, architecture, encoder=encoder)
    return entry


def _find_own(name_or_file: str | Path, architecture: str) -> ModelEntry:
    own = f"covos-{architecture}"
    if str(name_or_file) == own and not any(entry.name == own for entry in list_models()):
        raise EnvironmentProblem(
            f"the weights of {own} are not there",
            why=f"{_EMBEDDED / own}.safetensors does not exist",
            fix=f"install covos again, or train them with `covos train {architecture}` and give the file",
        )
    return find_model(name_or_file)


def _check_kind(entry: ModelEntry, architecture: str) -> None:
    if entry.card.architecture != architecture:
        raise UsageError(
            f"{entry.name} cannot {_ABILITY[architecture]}",
            why=f"it is a network of the kind {entry.card.architecture}",
            fix=f"name a covos-{architecture}: the package's, or one that `covos train {architecture}` made",
        )


def _check_pair(entry: ModelEntry, architecture: str, *, encoder: ModelEntry) -> None:
    _check_kind(entry, architecture)
    trained_on = _trained_on(entry)
    if trained_on not in encoder.card.hashes:
        packaged = encoder.path.parent == _EMBEDDED
        # A fine-tuned model has the name of the one that it began as: only its file tells them apart.
        setting = "" if packaged else f" --set 'encoder=\"{encoder.path.as_posix()}\"'"
        raise CheckpointError(
            f"{entry.path} does not belong to {encoder.name if packaged else encoder.path}",
            why=f"it was trained on the features of weights {trained_on[:12]}, these are {encoder.card.sha256[:12]}",
            fix="use it with the model that it was trained on, or train one on this model and give its file: "
            f"covos train {architecture} --data ROOT -o RUN{setting}",
        )


def _trained_on(entry: ModelEntry) -> str:
    return str(entry.card.recipe.get("encoder_sha256", ""))


def _new_network(entry: ModelEntry) -> CovosLite | Cosnet:
    if entry.card.architecture in _ABILITY:
        raise UsageError(
            f"{entry.name} finds nothing by itself",
            why=_DOES[entry.card.architecture],
            fix="name a covos-lite or a cosnet as the model",
        )
    if entry.card.architecture == "lite":
        from covos.models.lite import CovosLite

        return CovosLite()
    from covos.models.cosnet.network import Cosnet, config_of

    stored = stored_network(entry.path)
    if stored is None:
        return Cosnet(_config_by_card(entry))
    try:
        return Cosnet(config_of(stored.settings))
    except ValidationError as error:
        raise CheckpointError(
            f"{entry.path} is for a COSNet that this covos does not know",
            why=faults(error),
            fix="update covos if a newer one wrote the file; else convert or train it again",
        ) from error


def settings_of_file(path: Path) -> dict[str, Any] | None:
    """Return the settings of the network that a weights file is for; None if neither it nor its card has them."""
    stored, card = stored_network(path), read_card(path)
    if stored is not None:
        return stored.settings
    if card is None or not card.architecture.startswith("cosnet"):
        return None
    from covos.models.cosnet.network import settings_from

    return settings_from(_config_by_card(ModelEntry(name=card.name, path=path, card=card)))


def _config_by_card(entry: ModelEntry) -> CosnetConfig:
    """Return the configuration of a file that does not hold its own, as covos wrote them before: the card has it."""
    from covos.models.cosnet.convert import of_layout
    from covos.models.cosnet.network import COSNETS, as_trained

    # Variants of one network differ in their heads only, and the file shows which it holds.
    shapes = stored_shapes(entry.path)
    outputs = 3 if shapes.get("head_a.classifier.weight", (0,))[0] == 3 else 1
    config = replace(COSNETS[entry.card.architecture], outputs=outputs, still="still.weight" in shapes)
    settings = entry.card.recipe
    if "size" not in settings and "target" not in settings:  # a published checkpoint, converted
        return of_layout(config, settings.get("converted_from", {}).get("layout", "cosnet"))
    try:
        height, width = settings["size"]
        return as_trained(config, size=(int(height), int(width)), classes=settings["target"] == "classes")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the card of {entry.path} does not say how it was trained",
            why=f"size = {settings.get('size')!r}, target = {settings.get('target')!r}",
            fix="restore the .json that `covos train` wrote beside the weights",
        ) from error
