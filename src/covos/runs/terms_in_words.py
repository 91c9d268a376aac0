"""Terms of a run or a prediction, compared in words: a message names each that is another now."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from covos.core.errors import UsageError
from covos.core.records import Record
from covos.core.words import Words


class Terms(Record, ABC):
    """Everything that the results of a run depend on. A run goes on only under the terms that it began with."""

    @abstractmethod
    def in_words(self) -> dict[str, str]:
        """Return each term in words, under the name that a user knows."""

    def differences(self, now: Terms) -> list[str]:
        """Say which terms are others now: ``"references: 5 before, 3 now"``."""
        before, after = self.in_words(), now.in_words()
        names = dict.fromkeys((*before, *after))
        if before.get(TASK) != after.get(TASK):  # each has settings of its own
            names = dict.fromkeys(name for name in before if name in after)
        if before.get(QUALITY, _ABSENT[QUALITY]) != after.get(QUALITY, _ABSENT[QUALITY]):
            names.pop(VIEWS, None)  # it follows from the quality
        return [
            f"{name}: {before.get(name, _absent(name))} before, {after.get(name, _absent(name))} now"
            for name in names
            if before.get(name) != after.get(name)
        ]

    def refuse_others(self, now: Terms, *, what: str, fix: str | Words) -> None:
        """Refuse to go on under other terms, in an error that names each difference."""
        if differences := self.differences(now):
            raise UsageError(what, why="; ".join(differences), fix=fix)


TASK = "the task"
LOOKS = "the network looks at"
VIEWS = "the network sees frames of"
WITH = "each frame is brought together with"
_NTH = {1: "each frame", 2: "every second frame", 3: "every third frame", 4: "every fourth frame"}
QUALITY = "quality"
_ABSENT = {
    "runtime": "torch",
    "damaged": "hold",
    "deinterlace": "auto",
    "range": "all frames",
    "cuts": "off",
    QUALITY: "balanced",
    LOOKS: "each frame",
}


def _absent(name: str) -> str:
    """Say a term that is not in a file: as it was before there was a choice, or none."""
    return _ABSENT.get(name, "none")


def task_in_words(settings: Mapping[str, Any]) -> str:
    """Say which task it is that has these settings."""
    if "prompts" in settings:
        return "following what is shown"
    return "finding several objects" if "objects" in settings else "finding the subject"


def settings_in_words(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return settings in words, under the names that a user knows; each prompt has a name of its own."""
    said: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, list | tuple) and value and all(isinstance(each, Mapping) for each in value):
            # One at a time: of many prompts, those that differ are named.
            one = {"prompts": "prompt", "steer": "steering"}.get(name, name)
            said |= {f"{one} {number}": _prompt_in_words(each) for number, each in enumerate(value, 1)}
        elif name == "apart":
            said[LOOKS] = _NTH.get(value, f"one frame of {value}")
        elif name == "views":
            said[VIEWS] = str(value)
        elif name == "around":
            said[WITH] = f"{value} on each side"
        else:
            said[name.replace("_", " ")] = shown_value(value)
    # The name of a prompter, beside its hash, says in which way it is used; those of these are a file's.
    for name in ("follower", "matte"):
        if isinstance(network := settings.get(name), Mapping):
            said[name] = model_in_words(str(network["sha256"]))
    return said


def _prompt_in_words(said: Mapping[str, Any]) -> str:
    """Say what was shown: ``object 1 on frame 0 by points 320,200 and not 90,60``."""
    rest = dict(said)
    object_id, frame = rest.pop("object", None), rest.pop("frame", None)
    words = [f"object {object_id}"] if object_id is not None else []
    words.append("on all frames" if frame is None else f"on frame {frame}")
    points = rest.pop("points", ())
    signed = [f"{'' if positive else 'not '}{x:g},{y:g}" for x, y, positive in points]
    words += [f"by points {' and '.join(signed)}"] if signed else []
    for name in ("box", "within", "exclude"):
        if name in rest:
            words.append(f"{name} {','.join(f'{edge:g}' for edge in rest.pop(name))}")
    given_as = rest.pop("given_as", "points" if signed else "")
    words += [] if given_as in {"", "points", "box"} else [f"by {given_as}"]
    if "sha256" in rest:
        words.append(f"with pixels {rest.pop('sha256')[:12]}")
    return " ".join([*words, *(f"{name} {shown_value(value)}" for name, value in rest.items())])


def shown_value(value: object) -> str:
    """Say a value of a setting in words."""
    if value is None:
        return "not given"
    if isinstance(value, Mapping):
        said = {
            "weights" if name == "sha256" else name: str(each)[:12] if name == "sha256" else shown_value(each)
            for name, each in value.items()
        }
        return ", ".join(f"{str(name).replace('_', ' ')} {each}" for name, each in said.items())
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def model_in_words(sha256: str) -> str:
    """Say which network it is, by its weights."""
    # Not its name: a file that was renamed is the same model.
    return f"one with weights {sha256[:12]}"
