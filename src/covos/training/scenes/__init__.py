"""Training scenes: groups, clips and frames composed of still pictures and of frames of videos."""
