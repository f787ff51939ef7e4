"""CPU backend: compiled kernels over batch-last blocks of lanes."""
