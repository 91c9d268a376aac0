"""Image encoders: a frame in, features out."""

from covos.models.encoders.efficientnet_lite import EfficientNetLite
from covos.models.encoders.resnet import DilatedResNet

__all__ = ["DilatedResNet", "EfficientNetLite"]
