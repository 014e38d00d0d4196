"""How a network is doing inside: gradients that vanish or explode, units that are saturated or dead, and what to try.

    watch = minidl.diagnostics.Watch(x_train[:256], y_train[:256])
    model.fit(x_train, y_train, epochs=10, callbacks=[watch])
    print(watch.report())       # a line for every layer
    print(watch.verdict())      # in words
    watch.plot("inside.png")    # every layer and epoch

`diagnose(model, x, y)` takes one look at a model as it is, trained or not. `Hessian(model, x, y)` is the matrix of
second derivatives of its loss, by its products with vectors.
"""

from minidl.diagnostics.curvature import Hessian
from minidl.diagnostics.layer_look import LayerLook
from minidl.diagnostics.look import Look, diagnose
from minidl.diagnostics.watch import Watch

__all__ = ["Hessian", "LayerLook", "Look", "Watch", "diagnose"]
