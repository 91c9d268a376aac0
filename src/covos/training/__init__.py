"""Training: recipes, data on the fly, the loop and its events, checkpoints, export.

The events of `covos.training.loop.train` are public names of this package.
"""

import lazy_loader

# The stub beside this file lists the names. Each loads its module when it is first used: a recipe is read without
# torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
