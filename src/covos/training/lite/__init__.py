"""Training of covos-lite: groups of frames of one video, or views of one picture, each other's references."""
