"""PReLU: the slope for negative inputs is learned, one for each unit."""

from common import fashion_mnist, options, train

import minidl as keras

arguments = options(__doc__)
keras.utils.set_random_seed(42)

model = keras.models.Sequential([
    keras.layers.Flatten(input_shape=[28, 28]),
    keras.layers.Dense(300, kernel_initializer="he_normal"),
    keras.layers.PReLU(),
    keras.layers.Dense(100, kernel_initializer="he_normal"),
    keras.layers.PReLU(),
    keras.layers.Dense(10, activation="softmax"),
])

train("prelu", model, fashion_mnist(arguments.images), arguments)

for layer in model.layers:
    if isinstance(layer, keras.layers.PReLU):
        slopes = layer.alpha.numpy()
        print(f"{layer.name}: learned slopes from {slopes.min():.3f} to {slopes.max():.3f}")
