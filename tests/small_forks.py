"""A process that imports this sees small frames, each once, and so do its forks: workers, and the tests' server's.

They are large enough for the page to call frames sure, which its words tell.
"""

from __future__ import annotations

from remembered import remember_all
from small import make_small

make_small(setattr, area=192 * 256, readiness=3.0)
remember_all(setattr, builders=("build_network", "build_follower", "build_prompter"))
