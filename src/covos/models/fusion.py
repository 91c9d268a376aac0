"""How the answers of several references become one."""

from __future__ import annotations

from typing import Literal

Fusion = Literal["summary", "prediction", "group"]
"""How a query is compared with several references.

- ``summary``: the mean of the attention summaries, then the head once (COSNet, section 3.3).
- ``prediction``: the head for each reference, then the mean of the probabilities (COSNet's released code).
- ``group``: one attention over the positions of all references (the journal version, Lu et al., PAMI 2020).
"""
