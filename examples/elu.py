"""ELU: smooth, with negative outputs that push the mean activation towards 0."""

from common import fashion_mnist, options, train

import minidl as keras

arguments = options(__doc__)
keras.utils.set_random_seed(42)

model = keras.models.Sequential([
    keras.layers.Flatten(input_shape=[28, 28]),
    keras.layers.Dense(300, activation="elu", kernel_initializer="he_normal"),
    keras.layers.Dense(100, activation="elu", kernel_initializer="he_normal"),
    keras.layers.Dense(10, activation="softmax"),
])

train("elu", model, fashion_mnist(arguments.images), arguments)
