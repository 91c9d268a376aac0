"""Training of COSNet: pairs of frames of one video, and still pictures in turn."""
