"""Media: video and images are read and written here. PyAV is used here and nowhere else.

`covos.media.opening.open_source` is the way in, `covos.media.writer.VideoWriter` the way out.
"""
