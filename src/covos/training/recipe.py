"""Settings of a training as one frozen record: a `Recipe`, to which each kind of training adds its own fields."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self, TypeAlias

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt, field_validator, model_validator
from pydantic_core import PydanticCustomError

from covos.core.errors import UsageError
from covos.core.records import Record


def refused(why: str, fix: str) -> PydanticCustomError:
    """Return the error of a validator of one field, for `covos.training.registry.load_recipe` to show."""
    return PydanticCustomError("refused", "{why}", {"why": why, "fix": fix})


def _check_crops(crops: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    if any(side < 32 or side % 32 for crop in crops for side in crop):
        raise refused("the encoder halves the frame five times", "use multiples of 32")
    return crops


def _check_zoom(zoom: tuple[float, float]) -> tuple[float, float]:
    if not 0 < zoom[0] <= zoom[1]:
        raise refused("it is a range of positive numbers", "write [least, most]")
    return zoom


Count: TypeAlias = Annotated[int, Field(ge=1)]
Seed: TypeAlias = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Crop: TypeAlias = Annotated[tuple[int, int], AfterValidator(lambda crop: _check_crops((crop,))[0])]
"""(height, width) in pixels."""
Crops: TypeAlias = Annotated[tuple[tuple[int, int], ...], AfterValidator(_check_crops)]
Zoom: TypeAlias = Annotated[tuple[float, float], AfterValidator(_check_zoom)]
"""(least, most)."""


class Recipe(Record, extra="forbid", strict=True):
    """Settings of every training run; each kind of training adds its own. All rates are per step.

    A step is one change of the weights. The number of processes that share it, and of parts that each computes its
    share in, change its cost. They change what it learns only as far as batch norm takes its statistics from one part.

    Attributes:
        model: Kind of training, by its name; most train one network, which has the same name.
        steps: Number of steps in all.
        learning_rate: Peak rate.
        weight_decay: Weight decay of the optimiser.
        warmup: Steps of linear warm-up.
        power: Exponent of the polynomial decay to zero (DeepLab, section 4.1); 0 keeps the rate.
        gradient_norm: The gradient is scaled down to this norm; 0 leaves it.
        accumulate: Parts that a process computes its share of a step in, one after the other, to need less memory.
        ema: Decay of the exponential moving average of the weights, which is what is kept; 0 keeps the last weights.
        validate_every: Steps between measurements on the validation set; 0 leaves it to the ends of epochs and run.
        checkpoint_every: Steps between checkpoints; 0 likewise.
        keep_best: Number of measured weights with the highest J that are kept, as ``step-001000.safetensors``, beside
            the best of all; their mean may be better (``covos models average``). 1 keeps ``best.safetensors`` alone.
        ratio: Share of the videos in a data set's training list that is trained on, where it has no validation list;
            the rest is measured on. 0 trains on the whole list.
        videos: Number of each data set's training videos that are used, at random; 0 uses all. Where a list is divided
            by ``ratio``, or there is no list, those that are measured on are among them.
        overfit: Number of videos, of all data sets together, that are all that is trained on, and that are measured on,
            too: a check that the network can learn them. 0 is a usual run.
        split_seed: Seed of the division by ``ratio``, and of the choice of ``videos`` and of ``overfit``. It is no part
            of ``seed``, so that several trainings measure on the same videos.
        start: Model that a run goes on from unless it is given other weights: a name or a ``.safetensors`` file; empty
            for a fresh start.
        seed: Seed of the initial weights and of everything drawn while it trains.
        name: Name of the weights in their card, in reports and in messages; empty for that of the run's folder.
    """

    divided: ClassVar[tuple[str, str]]
    """Name of the things that a step is divided into, and the field with their number."""
    measures_pictures: ClassVar[bool] = True
    """If the network finds something in a still picture by itself, so that its answer can be scored."""
    measures_videos: ClassVar[bool] = True
    """If the masks of videos say how good the network's answer is."""

    model: str
    steps: Count
    learning_rate: NonNegativeFloat
    weight_decay: NonNegativeFloat
    warmup: NonNegativeInt
    power: NonNegativeFloat
    gradient_norm: NonNegativeFloat
    accumulate: Count = 1
    ema: Share
    validate_every: NonNegativeInt
    checkpoint_every: NonNegativeInt
    keep_best: Count = 1
    ratio: float = 0.0
    videos: NonNegativeInt = 0
    overfit: NonNegativeInt = 0
    split_seed: Seed = 0
    start: str = ""
    seed: Seed
    name: Annotated[str, Field(max_length=100, pattern=r"^[^/\\\x00-\x1f]*$")] = ""

    @field_validator("*", mode="before")
    @classmethod
    def _lists_as_tuples(cls, value: Any) -> Any:
        # TOML has no tuples, and a strict record takes no lists for them.
        return tuple(cls._lists_as_tuples(item) for item in value) if isinstance(value, list) else value

    @field_validator("ratio")
    @classmethod
    def _both_parts_have_videos(cls, ratio: float) -> float:
        if not 0 <= ratio < 1:
            raise refused("both parts need videos", "set it between 0 and 1, or 0 for whole lists")
        return ratio

    def refuse(self, name: str, why: str, fix: str) -> NoReturn:
        """Refuse the value of a field that does not go together with others."""
        raise UsageError(f"recipe: {name} = {getattr(self, name)}", why=why, fix=fix)

    @property
    def units(self) -> tuple[int, ...]:
        """Numbers of things that must stay together when a step is divided."""
        return (1,)

    def check_division(self, *, processes: int) -> None:
        """Refuse a number of processes that a step cannot be divided among evenly."""
        what, field = self.divided
        parts = processes * self.accumulate
        for unit in self.units:
            if getattr(self, field) % (parts * unit):
                together = f", {unit} of which belong together" if unit > 1 else ""
                raise UsageError(
                    f"{getattr(self, field)} {what} a step cannot be divided among {processes} processes in "
                    f"{self.accumulate} parts each",
                    why=f"{parts} equal parts are needed{together}",
                    fix=f"set {field} to a multiple of {math.lcm(*(parts * each for each in self.units))}, or change "
                    "the number of processes or accumulate",
                )


class LiteRecipe(Recipe):
    """Settings of a training of covos-lite, beside those of `Recipe`. All sizes in pixels.

    The optimiser is AdamW; norms, biases and the temperature are not decayed.

    Attributes:
        frames_per_step: Frames in a batch; divided into groups of frames of one video.
        group_sizes: Each step draws its group size from these; the frames of a group are each other's references.
        video_share: Share of the groups that come from videos; the others are views of one still picture. Within a
            share, a data set is drawn in proportion to the square root of its number of videos or pictures.
        paste_share: Share of the groups that show a small subject of a still picture moving over a background.
        motion_share: Share of the groups whose motion is known; in the others the network sees pictures alone.
        motion_gap: Frames to the neighbour that the motion is found by, at most: videos have 15 to 60 a second.
        distractor_share: Share of the pasted groups whose background keeps its own subject: it moves with the scene,
            and only the motion shows that the pasted one is meant.
        bystanders: Up to so many others of the subject's kind stand in such a background.
        scatter_share: Share of the pasted groups each of whose frames has another background, with its own subject:
            the subject that the frames share is meant, and only the references show it.
        herd_share: Share of the groups with such a background in which copies of the subject stand instead, in other
            shades: of several of a kind only one moves.
        parallax_share: Share of the groups of still pictures and pasted subjects, of those whose motion is known, in
            which something near the camera, or a nearer part of the ground, moves further than the scene.
        graphics_share: Share of the groups over which graphics lie, fixed to the screen: scoreboards, banners, logos
            and subtitles. They are not the subject, and they hide it.
        shake: Share of the groups whose camera shakes: its step from the neighbour is several times as large.
        spoil_share: Share of the frames that are too blurred, dim, noisy or coarse to be understood by themselves.
        crops: (height, width) that the frames of a step may have; the middle of their range is the size in use.
        crop_chances: Chance of each; they sum to 1.
        zoom: Range of the window's width over that of the largest window that fits the picture.
        edge_weight: Weight of a cell of the contour beyond that of one of the inside, at most; see
            `covos.training.losses.contour_weight`.
        encoder_learning_rate: Peak rate for the encoder, which starts from ImageNet weights.
        still_weight: Weight of the still-image head's loss.
        match_weight: Weight of the loss on the subject mask as read from the references through the attention.
    """

    divided = "frames", "frames_per_step"

    frames_per_step: Count
    group_sizes: tuple[int, ...]
    video_share: Share
    paste_share: Share
    motion_share: Share
    motion_gap: Count
    distractor_share: Share
    bystanders: NonNegativeInt
    scatter_share: Share
    herd_share: Share
    parallax_share: Share
    graphics_share: Share
    shake: Share
    spoil_share: Share
    crops: Crops
    crop_chances: tuple[float, ...]
    zoom: Zoom
    edge_weight: NonNegativeFloat
    encoder_learning_rate: float
    still_weight: float
    match_weight: float

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if len(self.crop_chances) != len(self.crops) or abs(sum(self.crop_chances) - 1) > 1e-6 or not self.crops:
            self.refuse("crop_chances", f"there are {len(self.crops)} crops", "give one each, 1 in all")
        frames, sizes = self.frames_per_step, self.group_sizes
        if not sizes or min(sizes) < 2 or any(frames % size for size in sizes):
            whole = [size for size in range(2, frames + 1) if frames % size == 0]
            fixes = [f"choose group_sizes among {', '.join(map(str, whole[:6]))}"] if whole else []
            if sizes and min(sizes) >= 2:
                fixes.append(f"set frames_per_step to a multiple of {math.lcm(*sizes)}")
            self.refuse(
                "group_sizes",
                f"frames_per_step = {frames}, and these frames must divide into whole groups of 2 or more",
                "; or ".join(fixes) or "set frames_per_step to 2 or more, and group_sizes to sizes that divide it",
            )
        return self

    @property
    def units(self) -> tuple[int, ...]:
        """Sizes of groups."""
        return self.group_sizes


class FollowRecipe(Recipe):
    """Settings of a training of covos-follow, beside those of `Recipe`. All sizes in pixels.

    The optimiser is AdamW; norms, biases and the temperature are not decayed. The encoder is not trained.

    Attributes:
        encoder: The covos-lite whose features it works on: a name, or a .safetensors file.
        encoder_sha256: Hash of the encoder's weights. Left empty, it is filled in; the card then says which it was.
        clips_per_step: Clips in a batch.
        clip_sizes: Each step draws the number of frames in its clips from these.
        most_objects: Objects that are followed in a clip, at most.
        video_share: Share of the clips whose scene is a video; the scene of the others is a still picture that a
            camera moves over.
        crowd_share: Share of the video clips over which further objects, cut out of still pictures, are moved. Over
            still pictures they always are.
        twin_share: Share of the clips in which another instance of one of the objects, half of them a copy, moves about
            near it, in front of everything or behind. In half of them both are followed, in the others the original
            alone; a third of the twins cross their original.
        merge_share: Share of the clips over which the objects of another training video move, cut out frame by frame.
        hide_share: Share of the clips in which an object is hidden for some frames, by a thing before it or out of the
            view, and comes back, now and then at another place. Not in clips of fewer than three frames.
        motion_share: Share of the clips whose motion is known (see `covos.engines.motion`).
        flow_share: Share of the clips whose flow from each frame to the one before is known. The clips of
            the smaller of the two shares are among those of the larger.
        cue_share: Share of the clips for which the network sees covos-lite's own answer.
        max_gap: Most annotated frames from one frame of a video clip to the next.
        crop: (height, width) of the training frames.
        zoom: Range of the window's width over that of the largest window that fits the picture.
        read_weight: Weight of the loss on the masks as read from the memory.
        judge_weight: Weight of the loss on presence and expected quality.
    """

    divided = "clips", "clips_per_step"
    measures_pictures = False

    encoder: str = "covos-lite"
    encoder_sha256: str = ""
    clips_per_step: Count
    clip_sizes: tuple[int, ...]
    most_objects: Count
    video_share: Share
    crowd_share: Share
    twin_share: Share
    merge_share: Share
    hide_share: Share
    motion_share: Share
    flow_share: Share
    cue_share: Share
    max_gap: Count
    crop: Crop
    zoom: Zoom
    read_weight: float
    judge_weight: float

    @field_validator("clip_sizes")
    @classmethod
    def _frames_to_find(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if not sizes or min(sizes) < 2:
            raise refused("the first frame is given and at least one is to be found", "use 2 or more")
        return sizes


class PromptRecipe(Recipe):
    """Settings of a training of covos-prompt, beside those of `Recipe`. All sizes in pixels.

    The optimiser is AdamW; norms, biases and the scales are not decayed. The encoder is not trained.

    Attributes:
        encoder: The covos-lite whose features it works on: a name, or a .safetensors file.
        encoder_sha256: Hash of the encoder's weights. Left empty, it is filled in; the card then says which it was.
        frames_per_step: Frames in a batch; in each, one object is asked for.
        rounds: Each step draws from these how often the network is asked; between two rounds a click is put where it
            was most wrong.
        most_clicks: Clicks before the first round, at most.
        box_share: Share of the frames on which a box is drawn round the object, half of them without clicks.
        previous_share: Share of the frames on which a mask is to be corrected, with one click, and no box.
        video_share: Share of the frames that come from videos; the others are still pictures.
        crowd_share: Share of the frames over which further objects, cut out of still pictures, are laid.
        most_objects: Objects that are laid over a frame, at most.
        twin_share: Share of the frames that show another instance of one of the objects near it.
        mates_share: Share of the frames that show further things of its kind in a row with one of the objects, up to
            ``most_objects``.
        component_share: Share of the masks in several pieces of which one piece is asked for.
        spoil_share: Share of the frames that are blurred, coarse, dim or noisy.
        motion_share: Share of the frames whose motion is known (see `covos.engines.motion`).
        crop: (height, width) of the training frames.
        zoom: Range of the window's width over that of the largest window that fits the picture.
        edge_weight: Weight of a cell of the contour beyond that of one of the inside, at most; see
            `covos.training.losses.contour_weight`.
    """

    divided = "frames", "frames_per_step"
    measures_pictures = False

    encoder: str = "covos-lite"
    encoder_sha256: str = ""
    frames_per_step: Count
    rounds: tuple[int, ...]
    most_clicks: Count
    box_share: Share
    previous_share: Share
    video_share: Share
    crowd_share: Share
    most_objects: Count
    twin_share: Share
    mates_share: Share
    component_share: Share
    spoil_share: Share
    motion_share: Share
    crop: Crop
    zoom: Zoom
    edge_weight: NonNegativeFloat

    @field_validator("rounds")
    @classmethod
    def _asked_at_least_once(cls, rounds: tuple[int, ...]) -> tuple[int, ...]:
        if not rounds or min(rounds) < 1:
            raise refused("the network is asked at least once", "use 1 or more")
        return rounds

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if self.box_share + self.previous_share > 1:
            self.refuse("box_share", "with previous_share it is more than all frames", "lower one of them")
        return self


class MatteRecipe(Recipe):
    """Settings of a training of covos-matte, beside those of `Recipe`.

    The optimiser is AdamW; norms and biases are not decayed. Data sets of pictures whose masks have many levels are
    taken for mattes; those with hard masks are solid things, and backgrounds. Shares are those of the clips.

    Attributes:
        clips_per_step: Clips in a batch.
        frames: Frames of a clip.
        new_share: Share of the clips of a step that are drawn anew; the others are of earlier steps, changed a little.
        kept: Clips that others are taken from; each takes a megabyte of memory.
        drawn_share: Share of things that are drawn: strands, spokes, mesh, leaves.
        drawn_side: Side of what is drawn, in pixels.
        hard_share: Share of things with a hard mask, from which a rim is taken off.
        texture_share: Share of the things with a matte that get the colours of another picture.
        alike_share: Share whose background has the colours of the thing.
        motion_blur_share: Share that is blurred by its motion.
        defocus_share: Share that is out of focus.
        trimap_share: Share that starts from a trimap; the others start from a mask that is moved, coarse and blurred,
            or from a smaller picture's alpha.
        smaller_share: Share that starts from an alpha as it is found in a smaller picture.
        alone_share: Share whose frames do not see the frame before.
        time_weight: Weight of the error of changes from frame to frame.
    """

    divided = "clips", "clips_per_step"
    measures_pictures = False
    measures_videos = False  # the edges of masks say nothing about opacity

    clips_per_step: Count
    frames: Count
    new_share: Share
    kept: NonNegativeInt
    drawn_share: Share
    drawn_side: Count
    hard_share: Share
    texture_share: Share
    alike_share: Share
    motion_blur_share: Share
    defocus_share: Share
    trimap_share: Share
    smaller_share: Share
    alone_share: Share
    time_weight: NonNegativeFloat


class CosnetRecipe(Recipe):
    """Settings of a training of COSNet, beside those of `Recipe`. The optimiser is SGD.

    Attributes:
        model: The network, which is the kind of training, too.
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
        balance: Weighting of the cross-entropy. ``"none"``: all pixels alike. ``"classes"``: the foreground of a frame
            weighs its share of background and the other way round (COSNet, section 3.3), so a small subject counts as
            much as what surrounds it, and a frame without any counts nothing. ``"area"``: the whole is divided by the
            foreground's share of the batch, at least 0.01 (COSNet's released trainer), so a batch of small subjects
            counts as much as one of large ones; a process takes the share of its part of the batch.
        absolute: Weight of the mean absolute error of the probabilities, which is added to the cross-entropy.
        still_every: Every so many steps, the first of them on, one is on still pictures, through the encoder and the
            still-image head; the others are on pairs. 0 leaves still pictures out.
        still_weight: Weight of the loss of the steps on still pictures.
        crop_share: Share of the height and of the width that is cut out of each frame of a pair, at a random place of
            its own; 1 takes the whole frame. Still pictures are taken as they are.
        flip_share: Share of the frames of pairs that are mirrored, each by itself.
        resample: Range of the factor that the frames of pairs are reduced or enlarged by before they are resized to
            ``size``: they show the same, less or more sharply.
        stretch: Stretch the values of each frame of a pair, all colours together, so that its darkest is 0 and its
            brightest 255, as COSNet's released trainer does; still pictures, and frames to segment, are as they are.
        momentum: Momentum of SGD.
        new_layers: Factor on the rate of the layers that are new to the pre-trained encoder: the co-attention and the
            heads of both branches.
        encoder_on_pairs: Factor on the rate of all other layers, in the steps on pairs.
        orthogonality: Weight of the penalty on the co-attention's W: the sum of squares of W W' - I. The paper has it
            for its symmetric form, W = P' D P with an orthogonal P; here W is free, and the penalty alone pulls it
            towards an orthogonal matrix.
        frozen_norms: Batch norms keep the statistics that they start with: for small batches on good weights.
    """

    divided = "pairs", "batch"

    steps: NonNegativeInt
    epochs: NonNegativeInt
    batch: Count
    size: tuple[int, int]
    outputs: Literal[1, 3]
    target: Literal["classes", "colours"]
    balance: Literal["none", "classes", "area"]
    absolute: NonNegativeFloat
    still_every: NonNegativeInt
    still_weight: NonNegativeFloat
    crop_share: Share
    flip_share: Share
    resample: Zoom
    stretch: bool = False
    momentum: float
    new_layers: NonNegativeFloat
    encoder_on_pairs: NonNegativeFloat
    orthogonality: NonNegativeFloat
    frozen_norms: bool

    @field_validator("size")
    @classmethod
    def _sides_to_divide(cls, size: tuple[int, int]) -> tuple[int, int]:
        if min(size) < 32:
            raise refused("the encoder divides each side by 8", "use (height, width) of 32 or more")
        return size

    @field_validator("still_every")
    @classmethod
    def _some_on_pairs(cls, every: int) -> int:
        if every == 1:
            raise refused("then no step is on pairs", "use 2 or more, or 0 for no still pictures")
        return every

    @field_validator("crop_share")
    @classmethod
    def _something_left(cls, share: float) -> float:
        if share < 0.1:
            raise refused("that leaves nothing to learn from", "set it from 0.1 to 1")
        return share

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
        if self.target == "colours" and self.balance != "none":
            self.refuse("target", "only classes can be balanced", "set 'balance=\"none\"'")
        if self.target == "colours" and self.absolute:
            self.refuse("target", "the absolute error is the loss of colours already", "set absolute=0.0")
        return self
