"""covos-matte as a stage: tiles in, alpha out."""

from __future__ import annotations

from torch import Tensor

from covos.models.matte import INPUTS, CovosMatte
from covos.runtimes.stages import Port, Programs, Stage, share


def matte_stages(network: CovosMatte) -> tuple[Stage, ...]:
    """Return the one stage of a covos-matte."""
    return (
        Stage(
            name="solve",
            inputs=(Port("tiles", f"B {INPUTS} H W", "tiles, as covos.engines.band makes them", share),),
            outputs=(Port("alpha", "B 1 H W", "opacity in [0, 1], which means something in the band alone"),),
            call=lambda network, tiles: (network(tiles),),
        ),
    )


class MatteProgram:
    """A covos-matte whose stage is a program; a `covos.engines.matting.MatteNetwork`."""

    def __init__(self, network: CovosMatte, programs: Programs) -> None:
        self._programs = programs

    def __call__(self, x_BCHW: Tensor) -> Tensor:
        """See `CovosMatte.forward`."""
        (alpha,) = self._programs["solve"](x_BCHW)
        return alpha
