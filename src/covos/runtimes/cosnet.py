"""COSNet as stages: encode frames, summarise what they have in common with references, answer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from covos.models.choices import Fusion
from covos.models.coattention import Memory, flatten_positions
from covos.models.cosnet.network import Cosnet, CosnetFeatures, fused_logit
from covos.runtimes.stages import Port, Programs, Stage, share


def cosnet_stages(network: Cosnet) -> tuple[Stage, ...]:
    """Return the stages of a COSNet; its frames have one size."""
    height, width = network.fixed_size
    with torch.no_grad():
        v = network.encode(torch.zeros(1, 3, height, width)).v_BCHW
    channels, rows, columns = v.shape[1:]
    features = Port("v", f"B {channels} {rows} {columns}", "context at stride 8")
    summary = Port("z", f"B {channels} {rows} {columns}", "gated summary")
    # A transposed summary lies on the positions of one reference.
    positions = str(rows * columns) if network.config.transposed else "M"
    return (
        Stage(
            name="encode",
            inputs=(Port("image", f"B 3 {height} {width}", "frames, RGB in [0, 1]", share),),
            outputs=(features,),
            call=lambda network, image: tuple(network.encode(image)),
        ),
        Stage(
            name="summarise",
            inputs=(features, Port("memory", f"1 {positions} {channels}", "positions of the references' context")),
            outputs=(summary,),
            call=lambda network, v, memory: (network.summarise(v, Memory(memory, memory)),),
            exact=True,
        ),
        Stage(
            name="answer",
            inputs=(summary, features),
            outputs=(Port("probability", f"B 1 {height} {width}", "probability of the subject"),),
            call=lambda network, z, v: (network.answer(z, v),),
            exact=True,
        ),
    )


class CosnetProgram:
    """A COSNet whose stages are programs; a `covos.engines.encoding.VideoNetwork`."""

    stride = Cosnet.stride
    uses_motion = Cosnet.uses_motion

    def __init__(self, network: Cosnet, programs: Programs) -> None:
        self.fixed_size = network.fixed_size
        self.fusions = network.fusions
        self._programs = programs

    def encode(self, image_BCHW: Tensor, motion_B4HW: Tensor | None = None) -> CosnetFeatures:
        """See `Cosnet.encode`."""
        return CosnetFeatures(*self._programs["encode"](image_BCHW))

    def memorise(self, features: CosnetFeatures) -> Memory:
        """See `Cosnet.memorise`."""
        v = flatten_positions(features.v_BCHW)
        return Memory(v, v)

    def segment(self, features: CosnetFeatures, memories: Sequence[Memory], *, fusion: Fusion) -> Tensor:
        """See `Cosnet.segment`."""
        return fused_logit(features.v_BCHW, memories, fusion=fusion, summarise=self._summarise, answer=self._answer)

    def _summarise(self, v_BCHW: Tensor, memory: Memory) -> Tensor:
        (summary,) = self._programs["summarise"](v_BCHW, memory.keys_BMK)
        return summary

    def _answer(self, z_BCHW: Tensor, v_BCHW: Tensor) -> Tensor:
        (probability,) = self._programs["answer"](z_BCHW, v_BCHW)
        return probability
