"""`History`: the numbers of every epoch. What `fit` returns is tested with it."""

import minidl as keras
from minidl.callbacks import History


def test_one_that_is_handed_over_is_filled_too(model, x, y):
    history = History()
    returned = model.fit(x, y, epochs=2, callbacks=[history], verbose=0)
    assert history.history == returned.history
    assert history.epoch == [0, 1]


def test_it_starts_anew_with_every_fit(model, x, y):
    history = History()
    for epochs in (3, 1):
        model.fit(x, y, epochs=epochs, callbacks=[history], verbose=0)
    assert history.epoch == [0]
    assert len(history.history["loss"]) == 1


def test_values_are_what_the_logs_hold(model, x, y):
    class Extra(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["squared"] = epoch**2

    history = History()
    model.fit(x, y, epochs=3, callbacks=[Extra(), history], verbose=0)
    assert history.history["squared"] == [0, 1, 4]
