"""covos: cut the moving subject out of a video; train, run and score co-attention segmentation models.

    >>> import covos
    >>> result = covos.segment("clip.mp4")
    >>> result.save("out")

Importing this package loads nothing heavy: a public name brings its module, and torch, when it is first used. The
names are listed in ``__init__.pyi``.
"""

import os as _os

import lazy_loader as _lazy_loader

# Torch's threads sleep while they wait for one another. Else they spin for a while, which takes the processor from the
# threads that decode and write, and from other programs: on a busy machine of two processors a session took five times
# as long. It has no effect once torch is imported, and what the user has set is kept.
_os.environ.setdefault("OMP_WAIT_POLICY", "passive")
__getattr__, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
