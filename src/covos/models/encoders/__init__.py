"""Image encoders: a frame in, a pyramid of features out."""

from covos.models.encoders.efficientnet_lite import EfficientNetLite

__all__ = ["EfficientNetLite"]
