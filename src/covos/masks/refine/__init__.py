"""Fit soft masks to the picture: probabilities to its edges, and colours to soft masks.

Nothing here loads torch before the dense CRF is used.
"""

from covos.masks.refine.apply import Refinement, check_refinement, refine_probability
from covos.masks.refine.decontaminate import foreground_colours

__all__ = ["Refinement", "check_refinement", "foreground_colours", "refine_probability"]
