"""Training of covos-prompt: frames of which one object is asked for by clicks, a box or a mask to be corrected."""
