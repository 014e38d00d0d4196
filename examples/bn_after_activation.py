"""Batch normalization before every dense layer, that is, after the activation of the one below."""

from common import fashion_mnist, options, train

import minidl as keras

arguments = options(__doc__)
keras.utils.set_random_seed(42)

model = keras.models.Sequential([
    keras.layers.Flatten(input_shape=[28, 28]),
    keras.layers.BatchNormalization(),
    keras.layers.Dense(300, activation="relu", kernel_initializer="he_normal"),
    keras.layers.BatchNormalization(),
    keras.layers.Dense(100, activation="relu", kernel_initializer="he_normal"),
    keras.layers.BatchNormalization(),
    keras.layers.Dense(10, activation="softmax"),
])
model.summary()
print([(variable.name, variable.trainable) for variable in model.layers[1].variables])

train("bn_after_activation", model, fashion_mnist(arguments.images), arguments)
