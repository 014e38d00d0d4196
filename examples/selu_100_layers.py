"""SELU through 100 hidden layers: activations keep mean 0 and standard deviation 1; with ReLU they do not."""

from common import fashion_mnist, options, train

import minidl as keras

arguments = options(__doc__, epochs=5)
# Self-normalization needs standardized inputs and LeCun initialization.
data = fashion_mnist(arguments.images, standardize=True)

for activation, initializer in (("selu", "lecun_normal"), ("relu", "he_normal")):
    keras.utils.set_random_seed(42)
    model = keras.models.Sequential([keras.layers.Flatten(input_shape=[28, 28])])
    model.add(keras.layers.Dense(300, activation=activation, kernel_initializer=initializer))
    for _ in range(99):
        model.add(keras.layers.Dense(100, activation=activation, kernel_initializer=initializer))
    model.add(keras.layers.Dense(10, activation="softmax"))

    outputs = data[0][0][:500]
    for depth, layer in enumerate(model.layers[:-1]):
        outputs = layer(outputs).numpy()
        if depth in (1, 25, 50, 75, 100):
            print(f"{activation}, untrained, layer {depth:3}: mean {outputs.mean():6.2f}, std {outputs.std():5.2f}")

    train(f"{activation}_100_layers", model, data, arguments)
