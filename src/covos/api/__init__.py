"""The public functions: load a model, segment a source, keep and save the result."""

from covos.api.functions import segment, stream
from covos.api.model import Model, load_model
from covos.api.output import Saved
from covos.api.segmentation import Segmentation
from covos.outputs import FrameMask

__all__ = ["FrameMask", "Model", "Saved", "Segmentation", "load_model", "segment", "stream"]
