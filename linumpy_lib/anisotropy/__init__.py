"""Structure tensor anisotropy: tensors, eigenvalues, measures and directions."""
