"""Scoring of video object segmentation: measures, protocols, reports.

:func:`evaluate` scores a folder of predictions by the rules of a protocol. The measures also work on arrays:
:func:`jaccard` (region similarity J), :func:`boundary_f` (contour accuracy F), :func:`flicker`, and
:func:`statistics` (mean, recall and decay over a sequence).
"""

import lazy_loader

# The stub beside this file lists the names. Each loads its module when it is first used: the measures must not bring
# readers of video and data sets with them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
