"""Scenes: training clips composed of still pictures and of frames of videos."""
