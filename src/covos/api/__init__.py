"""The public functions: load a model, segment a source, keep and save the result."""

from covos.api.model import Model, load_model
from covos.api.segment import segment, stream
from covos.api.segmentation import FrameMask, Segmentation

__all__ = ["FrameMask", "Model", "Segmentation", "load_model", "segment", "stream"]
