"""The public functions: load a model, segment a source, keep and save the result."""

from covos.api.answering import ObjectMask
from covos.api.convert import convert
from covos.api.functions import segment, stream
from covos.api.loading import load_result
from covos.api.model import Model, load_model
from covos.api.output import Saved
from covos.api.segmentation import Segmentation
from covos.api.session import Session
from covos.masks.frame_mask import FrameMask

__all__ = [
    "FrameMask",
    "Model",
    "ObjectMask",
    "Saved",
    "Segmentation",
    "Session",
    "convert",
    "load_model",
    "load_result",
    "segment",
    "stream",
]
