"""Batch normalization between each dense layer and its activation; its β does what a bias would do."""

from common import fashion_mnist, options, train

import minidl as keras

arguments = options(__doc__)
keras.utils.set_random_seed(42)

model = keras.models.Sequential([
    keras.layers.Flatten(input_shape=[28, 28]),
    keras.layers.BatchNormalization(),
    keras.layers.Dense(300, kernel_initializer="he_normal", use_bias=False),
    keras.layers.BatchNormalization(),
    keras.layers.Activation("relu"),
    keras.layers.Dense(100, kernel_initializer="he_normal", use_bias=False),
    keras.layers.BatchNormalization(),
    keras.layers.Activation("relu"),
    keras.layers.Dense(10, activation="softmax"),
])

train("bn_before_activation", model, fashion_mnist(arguments.images), arguments)
