"""The prompts that a data set gives: what the annotations of a video show of the objects to follow."""

from __future__ import annotations

import numpy as np

from covos.data import Layout, Video, read_labels
from covos.masks import NAMELESS, objects_in
from covos.prompts.values import MaskPrompt


def annotated_prompts(video: Video, *, layout: Layout) -> tuple[MaskPrompt, ...]:
    """Return the first annotation of a video; of YouTube-VOS, each object as its own first annotation shows it.

    Raises:
        AnnotationError: An annotation cannot be read.
    """
    prompts: list[MaskPrompt] = []
    seen: set[int] = set()
    for index, record in enumerate(video.frames):
        if record.annotation is None or (seen and layout != "youtube-vos"):
            continue
        labels = read_labels(video, record)
        labels[np.isin(labels, list(seen))] = 0
        if objects := objects_in(labels):
            prompts.append(MaskPrompt(labels=labels, frame=index))
            # A 0/255 mask has no id: it gets the next free one.
            seen |= {max(seen, default=0) + 1 if identity == NAMELESS else identity for identity in objects}
    return tuple(prompts)
