"""Arguments that are lists, tuples and dictionaries of tensors, nested as one likes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def leaves(tree: Any) -> list[Any]:
    """What stands in the nested lists, tuples and dictionaries, from left to right."""
    if isinstance(tree, (list, tuple)):
        return [leaf for branch in tree for leaf in leaves(branch)]
    if isinstance(tree, dict):
        return [leaf for branch in tree.values() for leaf in leaves(branch)]
    return [tree]


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`function` of each leaf, and of those in the same place of the `others`, nested as `tree` is."""
    if isinstance(tree, (list, tuple)):
        branches = [map_leaves(function, *parts) for parts in zip(tree, *others, strict=True)]
        return branches if isinstance(tree, list) else tuple(branches)
    if isinstance(tree, dict):
        return {key: map_leaves(function, tree[key], *(other[key] for other in others)) for key in tree}
    return function(tree, *others)
