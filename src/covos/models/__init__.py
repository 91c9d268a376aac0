"""Networks, their weights, and the registry that finds both."""

import lazy_loader

# A network's module loads torch: names are loaded when they are first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
