"""Fixed regions: boxes that a user gives for all frames. The server's own process applies them, so torch stays out."""

from __future__ import annotations

from collections.abc import Sequence

from covos.engines.steering_rule import SteeringRule
from covos.prompts.values import RegionPrompt


def fixed_rule(regions: Sequence[RegionPrompt]) -> SteeringRule:
    """Return the rule of regions that are fixed: boxes of all frames."""
    boxes = {role: tuple(each.box for each in regions if each.role == role) for role in ("within", "exclude")}
    return SteeringRule(within=boxes["within"], exclude=boxes["exclude"])
