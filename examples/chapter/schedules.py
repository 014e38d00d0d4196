"""Learning-rate scheduling: six ways to lower the rate of SGD with momentum on Fashion-MNIST.

Prints the rate at the beginning of some epochs, and what each schedule reaches.
"""

import math

from common import fashion_mnist, options

import minidl as keras

arguments = options(__doc__)
(X_train, y_train), (X_valid, y_valid), _ = fashion_mnist(arguments)
epochs, batch_size = (2, 32) if arguments.quick else (15, 32)
steps = math.ceil(len(X_train) / batch_size)


def exponential_decay(lr0, s):
    def exponential_decay_fn(epoch):
        return lr0 * 0.1 ** (epoch / s)

    return exponential_decay_fn


def piecewise_constant_fn(epoch):
    if epoch < epochs / 3:
        return 0.01
    if epoch < 2 * epochs / 3:
        return 0.005
    return 0.001


def sgd(learning_rate):
    return keras.optimizers.SGD(learning_rate=learning_rate, momentum=0.9)


callbacks, schedules = keras.callbacks, keras.optimizers.schedules
# By name: the optimizer's learning rate, and callbacks that change it.
SCHEDULES = {
    "constant 0.01": (0.01, []),
    "power": (schedules.InverseTimeDecay(0.01, decay_steps=10_000, decay_rate=1.0), []),
    "exponential, by epoch": (0.01, [callbacks.LearningRateScheduler(exponential_decay(lr0=0.01, s=20))]),
    "exponential, by step": (schedules.ExponentialDecay(0.01, decay_steps=20 * steps, decay_rate=0.1), []),
    "piecewise constant": (0.01, [callbacks.LearningRateScheduler(piecewise_constant_fn)]),
    "performance": (0.01, [callbacks.ReduceLROnPlateau(factor=0.5, patience=2)]),
    "cosine": (schedules.CosineDecay(0.01, decay_steps=epochs * steps), []),
    "1cycle": (0.02, [callbacks.OneCycle(0.02)]),
}


class Rates(keras.callbacks.Callback):
    """Writes down the rate at the end of every epoch."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


print("| schedule | rate after epoch 1 | half-way | at the end | validation accuracy | best | validation loss |")
print("|---|---|---|---|---|---|---|")
for name, (learning_rate, changes) in SCHEDULES.items():
    keras.utils.set_random_seed(42)
    model = keras.models.Sequential([
        keras.layers.Flatten(input_shape=[28, 28]),
        keras.layers.Dense(300, activation="selu", kernel_initializer="lecun_normal"),
        keras.layers.Dense(100, activation="selu", kernel_initializer="lecun_normal"),
        keras.layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(loss="sparse_categorical_crossentropy", optimizer=sgd(learning_rate), metrics=["accuracy"])
    watch = Rates()
    log = model.fit(
        X_train, y_train, batch_size, epochs, validation_data=(X_valid, y_valid), callbacks=[*changes, watch], verbose=0
    ).history
    rates = watch.rates[0], watch.rates[epochs // 2], watch.rates[-1]
    shown = " | ".join(f"{rate:.2g}" for rate in rates)
    accuracy = log["val_accuracy"]
    print(f"| {name} | {shown} | {accuracy[-1]:.4f} | {max(accuracy):.4f} | {log['val_loss'][-1]:.3f} |")
