"""covos: cut the moving subject out of a video; train, run and score co-attention segmentation models.

    >>> import covos
    >>> result = covos.segment("clip.mp4")
    >>> result.save("out")

Importing this package loads nothing heavy: a public name brings its module, and torch, when it is first used. The
names are listed in ``__init__.pyi``.
"""

import lazy_loader

from covos._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
