"""Networks to start from."""

from minidl.applications.networks import NETWORKS, Network, Recipe, build_network

__all__ = ["NETWORKS", "Network", "Recipe", "build_network"]
