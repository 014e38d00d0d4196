"""Data sets as NumPy arrays of bytes: from a folder you have, or downloaded once and checked.

    from minidl.datasets import fashion_mnist
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()

Every data set has a file that says what it is; `finding` says where it is looked for.
"""

from minidl.datasets import cifar10, fashion_mnist, mnist

__all__ = ["cifar10", "fashion_mnist", "mnist"]
