"""A process that imports this sees small frames, and so do its forks: workers, and the processes of the tests' server.

They are large enough for the page to call frames sure, which its words tell.
"""

from __future__ import annotations

from small import make_small

make_small(setattr, area=192 * 256, readiness=3.0)
