"""Runs: the folder of a run, its terms, its journal, its report and its page."""
