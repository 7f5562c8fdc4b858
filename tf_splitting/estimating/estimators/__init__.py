"""One file per way to find the lowest eigenvalues and their directions."""
