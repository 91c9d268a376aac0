"""Work: the task of a plan, done on an open source by the networks."""
