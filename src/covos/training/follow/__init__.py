"""Training of covos-follow: short clips whose first frame is annotated, the rest to be found."""
