"""covos: cut the moving subject out of a video; train, run and score co-attention segmentation models.

    >>> import covos
    >>> result = covos.segment("clip.mp4")
    >>> result.save("out")

Importing this package loads nothing heavy: a public name brings its module, and torch, when it is first used. The
names are listed in ``__init__.pyi``.
"""

import lazy_loader as _lazy_loader

__getattr__, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
