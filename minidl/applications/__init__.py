"""Networks to start from, and small trained ones."""

from minidl.applications.networks import NETWORKS, Network, Recipe, build_network
from minidl.applications.zoo import fashion_mnist_cnn, fashion_mnist_dense

__all__ = ["NETWORKS", "Network", "Recipe", "build_network", "fashion_mnist_cnn", "fashion_mnist_dense"]
