"""Recipe of a training of COSNet."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import NonNegativeFloat, NonNegativeInt, field_validator, model_validator

from covos.training.recipe import Count, Recipe, check_division, refused


class CosnetRecipe(Recipe):
    """Settings of a training of COSNet, beside those of `Recipe`. The optimiser is SGD.

    Attributes:
        model: The network.
        epochs: Passes over every pair of annotated frames of every training video; 0 counts `steps` instead. Exactly
            one of the two is not 0. An epoch is measured and kept as a file.
        batch: Pairs in a step, or pictures in a step on still pictures.
        size: (height, width) that frames are resized to; also in use, later.
        outputs: 1 for the subject: everything that is annotated. 3 keep objects apart, by the red, green and blue of
            their colour in the palette.
        target: ``"classes"`` asks each output a question of its own, by cross-entropy: 1 output, whether the pixel
            belongs to the subject; 3 outputs, whether the first, second and third bit of its object id are set, which
            are red, green and blue in the DAVIS palette. So 3 outputs tell 7 objects apart; pixels of further ones
            are left out. ``"colours"`` asks for the colours themselves in [0, 1], by their absolute error, in 3
            outputs.
        balanced: Weigh the cross-entropy of each frame's foreground by its share of background and the other way
            round (COSNet, section 3.3): a small subject counts as much as what surrounds it, and a frame without any
            counts nothing.
        alternate: Every second step is one on still pictures, through the encoder and the still-image head.
        momentum: Momentum of SGD.
        new_layers: Factor on the rate of the layers that the encoder's pre-training lacks: co-attention and heads.
        orthogonality: Weight of the penalty on the co-attention's W: the sum of squares of W W' - I. The paper has it
            for its symmetric form, W = P' D P with an orthogonal P; here W is free, and the penalty alone pulls it
            towards an orthogonal matrix.
        frozen_norms: Batch norms keep the statistics that they start with: for small batches on good weights.
    """

    model: Literal["cosnet_resnet50", "cosnet_resnet101"]
    steps: NonNegativeInt
    epochs: NonNegativeInt
    batch: Count
    size: tuple[int, int]
    outputs: Literal[1, 3]
    target: Literal["classes", "colours"]
    balanced: bool
    alternate: bool
    momentum: float
    new_layers: NonNegativeFloat
    orthogonality: NonNegativeFloat
    frozen_norms: bool

    @field_validator("size")
    @classmethod
    def _sides_to_divide(cls, size: tuple[int, int]) -> tuple[int, int]:
        if min(size) < 32:
            raise refused("the encoder divides each side by 8", "use (height, width) of 32 or more")
        return size

    @field_validator("momentum")
    @classmethod
    def _less_than_all(cls, momentum: float) -> float:
        if not 0 <= momentum < 1:
            raise refused("it is the share of the last change in the next", "set it from 0 to below 1")
        return momentum

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if (self.steps == 0) == (self.epochs == 0):
            self.refuse("epochs", f"steps = {self.steps}, and one of them must be 0", "set the other to 0")
        if self.target == "colours" and self.outputs != 3:
            self.refuse("target", "a colour has three channels", "set outputs=3")
        if self.target == "colours" and self.balanced:
            self.refuse("target", "only classes can be balanced", "set balanced=false")
        return self

    def check_division(self, *, processes: int) -> None:
        """Refuse a number of processes that a step's pairs cannot be divided among."""
        check_division("pairs", self.batch, processes=processes, accumulate=self.accumulate)
