"""Learning rate over the steps."""

from __future__ import annotations


def rate_at(step: int, *, steps: int, warmup: int, power: float) -> float:
    """Factor on the peak learning rate: linear warm-up, then (1 - progress) ** power (DeepLab, section 4.1).

    Args:
        step: 0-based.
        steps: In all.
        warmup: Steps until the peak.
        power: Exponent of the decay.

    Returns:
        In (0, 1].
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return float((1 - (step - warmup) / max(steps - warmup, 1)) ** power)
