"""COSNet: the network, the conversion of its published checkpoints, and its dense CRF."""
