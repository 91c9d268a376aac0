"""A change of a recipe's field, as each door takes it. Light: the command line imports it at its start."""

from __future__ import annotations

from covos.core.words import Words


def setting(name: str, value: object) -> Words:
    """Return what gives a field of a recipe another value."""
    return Words(f"--set {name}={value}", python=f"{name}={value}")
