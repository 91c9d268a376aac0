"""Fleet: thousands of clips on all processors of a machine, or of a cluster."""
