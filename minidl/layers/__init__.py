"""Layers: functions with weights, one file a family."""

from minidl.layers.activations import ELU, LeakyReLU, PReLU, ReLU, RReLU, Softmax
from minidl.layers.core import Activation, Dense, Input, InputLayer
from minidl.layers.layer import Layer
from minidl.layers.normalization import BatchNormalization
from minidl.layers.regularization import Dropout
from minidl.layers.reshaping import Flatten, Reshape
from minidl.layers.variable import Variable

__all__ = [
    "ELU", "Activation", "BatchNormalization", "Dense", "Dropout", "Flatten", "Input", "InputLayer", "Layer",
    "LeakyReLU", "PReLU", "RReLU", "ReLU", "Reshape", "Softmax", "Variable",
]  # fmt: skip
