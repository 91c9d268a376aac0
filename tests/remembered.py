"""Answers of the package's networks, kept: most tests look at the same few frames, and most of their time went there.

A network computes an input once in a process, and gives the same answer again. Each process that tests computes all of
them anew. Nothing is kept of a network that a test may have changed, nor outside of inference.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

import covos.model
from covos.models.follow import CovosFollow
from covos.models.lite import CovosLite
from covos.models.prompt import CovosPrompt

MOST = 256 << 20
"""Bytes of answers that a process keeps: some hundred small frames."""
KEPT: WeakSet[nn.Module] = WeakSet()
"""Networks that nothing changes."""

METHODS: dict[type[nn.Module], tuple[str, ...]] = {
    CovosLite: ("encode", "segment"),
    CovosFollow: ("share", "memorise", "find"),
    CovosPrompt: ("project", "find"),
}

_answers: dict[tuple[object, ...], Any] = {}
_held = 0
_lock = threading.Lock()


def remembering(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method of a network, whose arguments and answer are tensors, or named tuples and lists of tensors."""

    @functools.wraps(method)
    def answered(network: nn.Module, *given: Any, **named: Any) -> Any:
        if network not in KEPT or not torch.is_inference_mode_enabled():
            return method(network, *given, **named)
        key = (id(network), method.__qualname__, torch.is_autocast_enabled("cpu"), _key(given), _key(named))
        answer = _answers.get(key)
        if answer is None:
            answer = method(network, *given, **named)
            _keep(key, answer)
        return answer

    return answered


def remember_all(put: Callable[[object, str, object], None], *, builders: Sequence[str]) -> None:
    """Let the package's networks of this process remember.

    Args:
        put: Sets an attribute of an object, for as long as that is wanted.
        builders: Functions of `covos.model` that build networks which nothing changes.
    """
    for owner, names in METHODS.items():
        for name in names:
            put(owner, name, remembering(getattr(owner, name)))
    for name in builders:
        put(covos.model, name, _kept(getattr(covos.model, name)))


def _kept(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    @functools.wraps(build)
    def built(*given: Any, **named: Any) -> nn.Module:
        network = build(*given, **named)
        KEPT.add(network)
        return network

    return built


def _keep(key: tuple[object, ...], answer: Any) -> None:
    global _held  # noqa: PLW0603 - the bytes of what is held
    with _lock:
        if key not in _answers:
            _answers[key] = answer
            _held += _bytes(answer)
        while _held > MOST:
            _held -= _bytes(_answers.pop(next(iter(_answers))))


def _key(value: Any) -> object:
    if isinstance(value, Tensor):
        shape = (tuple(value.shape), value.stride(), value.dtype)
        return *shape, hashlib.sha256(_flat(value)).digest()
    if isinstance(value, dict):
        return tuple((name, _key(each)) for name, each in value.items())
    if isinstance(value, list | tuple):
        return tuple(_key(each) for each in value)
    assert value is None or isinstance(value, bool | int | float | str), value
    return value


def _flat(value: Tensor) -> Any:
    if not value.numel():
        return b""
    # A single number may have any stride, and is called contiguous all the same.
    return value.contiguous().as_strided((value.numel(),), (1,)).view(torch.uint8).numpy()


def _bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    return sum(_bytes(each) for each in value) if isinstance(value, list | tuple) else 0
