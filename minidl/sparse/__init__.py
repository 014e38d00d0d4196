"""Sparse models: weights that are mostly zero, made so by pruning, and the layers that leave the zeros out."""

from minidl.sparse.inference import SparseDense, to_sparse
from minidl.sparse.pruning import Masks, PolynomialPruning, prune, sparsity

__all__ = ["Masks", "PolynomialPruning", "SparseDense", "prune", "sparsity", "to_sparse"]
