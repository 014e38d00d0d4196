"""Names that layers and models get by themselves: "dense", "dense_1", … as in Keras."""

from __future__ import annotations

_counts: dict[str, int] = {}


def unique_name(base: str) -> str:
    """`base`, and after that base_1, base_2, …"""
    count = _counts.get(base, 0)
    _counts[base] = count + 1
    return f"{base}_{count}" if count else base


def reset_names() -> None:
    """Start counting anew: the next Dense is "dense" again."""
    _counts.clear()
