"""The layers of `own_layer.md`; tests/site runs this file."""

# [layers]
import keras
import numpy as np

import tf_splitting


@keras.saving.register_keras_serializable("guide")
class Gate(keras.layers.Layer):
    """Scales every channel."""

    def build(self, shape):
        self.scale = self.add_weight(
            shape=(shape[-1],), initializer="ones", name="scale"
        )

    def call(self, x):
        return x * self.scale

    def trace_channels(self, tracer, x):
        # One entry for each channel of x; that of a fresh neuron starts at 1.
        tracer.carry(self.scale, 0, x, initial=1.0)
        return tracer.channelwise(self.call, x, linear_part=self.call)


@keras.saving.register_keras_serializable("guide")
class Mix(keras.layers.Layer):
    """Mixes channels, and bends what comes out."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x):
        return keras.ops.tanh(keras.ops.matmul(x, self.kernel))

    def trace_channels(self, tracer, x):
        u = tracer.linear(x, self.kernel, keras.ops.matmul)
        tracer.config("units", u)  # the constructor is told the new width
        return tracer.channelwise(keras.ops.tanh, u)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


# [end]

# [check]
inputs = keras.Input((8,))
hidden = Gate(name="gate")(Mix(6, name="mix")(inputs))
model = keras.Model(inputs, keras.layers.Dense(3)(hidden))

x = np.random.default_rng(0).normal(size=(5, 8)).astype("float32")
plan = tf_splitting.SplitPlan({"mix": [0, 2, 2]})  # one neuron once, another twice
wider = tf_splitting.split(model, plan, epsilon=0.0, verify=x)

assert wider.get_layer("mix").units == 9
np.testing.assert_allclose(wider(x), model(x), atol=1e-6)
# [end of check]
