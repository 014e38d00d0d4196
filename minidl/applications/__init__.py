"""Networks to start from."""

from minidl.applications.networks import NETWORKS, build_network

__all__ = ["NETWORKS", "build_network"]
