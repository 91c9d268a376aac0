"""Engines: a network and a source of frames in, results a frame at a time out, at constant memory."""
