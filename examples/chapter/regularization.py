"""ℓ1 and ℓ2 regularization and max-norm on Fashion-MNIST: what each does to the weights, and to the accuracy."""

import functools

import numpy as np
from common import fashion_mnist, options

import minidl as keras

arguments = options(__doc__)
(X_train, y_train), (X_valid, y_valid), _ = fashion_mnist(arguments)
epochs = 1 if arguments.quick else 10

RESTRICTIONS = {
    "nothing": {},
    "l2(0.001)": {"kernel_regularizer": keras.regularizers.l2(0.001)},
    "l1(0.0001)": {"kernel_regularizer": keras.regularizers.l1(0.0001)},
    "l1_l2(0.0001, 0.001)": {"kernel_regularizer": keras.regularizers.l1_l2(l1=0.0001, l2=0.001)},
    "max_norm(1)": {"kernel_constraint": keras.constraints.max_norm(1.0)},
}

print("| restriction | accuracy in training | validation | norm of a unit's weights, largest | weights below 0.001 |")
print("|---|---|---|---|---|")
for name, restriction in RESTRICTIONS.items():
    keras.utils.set_random_seed(42)
    RegularizedDense = functools.partial(
        keras.layers.Dense, activation="elu", kernel_initializer="he_normal", **restriction
    )
    model = keras.models.Sequential([
        keras.layers.Flatten(input_shape=[28, 28]),
        RegularizedDense(300),
        RegularizedDense(100),
        RegularizedDense(10, activation="softmax", kernel_initializer="glorot_uniform"),
    ])  # fmt: skip
    model.compile(loss="sparse_categorical_crossentropy", optimizer="nadam", metrics=["accuracy"])
    log = model.fit(X_train, y_train, epochs=epochs, validation_data=(X_valid, y_valid), verbose=0).history
    first = model.layers[1].get_weights()[0]
    norm, small = np.linalg.norm(first, axis=0).max(), np.mean(np.abs(first) < 0.001)
    print(f"| {name} | {log['accuracy'][-1]:.4f} | {log['val_accuracy'][-1]:.4f} | {norm:.2f} | {small:.0%} |")
