"""Faster optimizers: the same network on Fashion-MNIST, once with each of them.

Prints a table: the validation loss and accuracy by epoch, and the time of an epoch.
"""

import time

from common import fashion_mnist, options

import minidl as keras

arguments = options(__doc__)
(X_train, y_train), (X_valid, y_valid), _ = fashion_mnist(arguments)
epochs = 1 if arguments.quick else 10

OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(learning_rate=0.001),
    "SGD, momentum 0.9": lambda: keras.optimizers.SGD(learning_rate=0.001, momentum=0.9),
    "SGD, Nesterov 0.9": lambda: keras.optimizers.SGD(learning_rate=0.001, momentum=0.9, nesterov=True),
    "Adagrad": lambda: keras.optimizers.Adagrad(learning_rate=0.001),
    "RMSprop": lambda: keras.optimizers.RMSprop(learning_rate=0.001, rho=0.9),
    "Adam": lambda: keras.optimizers.Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
    "Adamax": lambda: keras.optimizers.Adamax(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
    "Nadam": lambda: keras.optimizers.Nadam(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
    "AdamW": lambda: keras.optimizers.AdamW(learning_rate=0.001, weight_decay=1e-5),
}


def build_model():
    return keras.models.Sequential([
        keras.layers.Flatten(input_shape=[28, 28]),
        keras.layers.Dense(300, activation="relu", kernel_initializer="he_normal"),
        keras.layers.Dense(100, activation="relu", kernel_initializer="he_normal"),
        keras.layers.Dense(10, activation="softmax"),
    ])  # fmt: skip


print(f"| optimizer | loss after 1 | after {epochs} | accuracy after 1 | after {epochs} | best | seconds an epoch |")
print("|---|---|---|---|---|---|---|")
for name, make in OPTIMIZERS.items():
    keras.backend.clear_session()
    keras.utils.set_random_seed(42)
    model = build_model()
    model.compile(loss="sparse_categorical_crossentropy", optimizer=make(), metrics=["accuracy"])
    start = time.perf_counter()
    log = model.fit(X_train, y_train, epochs=epochs, validation_data=(X_valid, y_valid), verbose=0).history
    seconds = (time.perf_counter() - start) / epochs
    loss, accuracy = log["val_loss"], log["val_accuracy"]
    print(
        f"| {name} | {loss[0]:.3f} | {loss[-1]:.3f} | {accuracy[0]:.4f} | {accuracy[-1]:.4f} | {max(accuracy):.4f} "
        f"| {seconds:.1f} |"
    )
