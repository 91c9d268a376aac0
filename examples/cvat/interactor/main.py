"""The entry for nuclio: the function itself is in covos."""

from covos.serve.cvat import handler, init_context

__all__ = ["handler", "init_context"]
