"""Leaky ReLU: a small slope for negative inputs, so that no unit dies."""

from common import fashion_mnist, options, train

import minidl as keras

arguments = options(__doc__)
keras.utils.set_random_seed(42)

model = keras.models.Sequential([
    keras.layers.Flatten(input_shape=[28, 28]),
    keras.layers.Dense(300, kernel_initializer="he_normal"),
    keras.layers.LeakyReLU(),
    keras.layers.Dense(100, kernel_initializer="he_normal"),
    keras.layers.LeakyReLU(),
    keras.layers.Dense(10, activation="softmax"),
])

train("leaky_relu", model, fashion_mnist(arguments.images), arguments)
