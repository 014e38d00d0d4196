"""A small residual network for CIFAR-10: the functional API, augmentation, and one cycle of the learning rate."""

import time

from common import cifar10, options

import minidl as keras
from minidl import augmentation, layers

arguments = options(__doc__, epochs=16)
keras.utils.set_random_seed(42)

# The images stay bytes: each batch is made float by the network itself.
(x, y), (x_test, y_test) = cifar10()
x, y = x[: arguments.images], y[: arguments.images]


def block(x, filters):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def residual(x, filters):
    return layers.Add()([x, block(block(x, filters), filters)])


inputs = keras.Input((32, 32, 3))
z = block(layers.Rescaling(1 / 128, offset=-1)(inputs), 16)
z = residual(layers.MaxPooling2D()(block(z, 32)), 32)
z = layers.MaxPooling2D()(block(z, 64))
z = residual(layers.MaxPooling2D()(block(z, 128)), 128)
outputs = layers.Dense(10, activation="softmax")(layers.GlobalMaxPooling2D()(z))
model = keras.Model(inputs, outputs)
model.summary()

model.compile(
    loss="sparse_categorical_crossentropy",
    optimizer=keras.optimizers.SGD(momentum=0.9, nesterov=True, weight_decay=5e-3),
    metrics=["accuracy"],
)
start = time.perf_counter()
history = model.fit(
    x, y, batch_size=128, epochs=arguments.epochs, validation_split=0.1,
    augment=augmentation.crop_and_flip, callbacks=[keras.callbacks.OneCycle(0.1, rise=0.3)],
)  # fmt: skip
seconds = time.perf_counter() - start
_loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy {accuracy:.4f} after {seconds:.0f} s")

if arguments.output is not None:
    from minidl.saving import write_history_csv

    write_history_csv(arguments.output / "cifar10_residual.csv", history.epoch, history.history)
