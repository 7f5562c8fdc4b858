"""The costs of `own_cost.md`; tests/site runs this file."""

# [function]
from dataclasses import replace

import keras

import tf_splitting
from tf_splitting import costs

# What reading a weight from memory takes, in multiply-accumulates.
READ = 140


def energy(graph, widths):
    """Of one image: computing, and reading every weight once."""
    return costs.MACS(graph, widths) + READ * costs.PARAMS(graph, widths)


# [end]

model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(8, 3, strides=2, activation="swish", name="conv1"),
        keras.layers.Conv2D(8, 3, strides=2, activation="swish", name="conv2"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, name="logits"),
    ]
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
images = tf_splitting.data.load("fashion_mnist_small", channels=1, train_limit=256)

# [use]
graph = tf_splitting.trace(model)
scores = tf_splitting.estimate(model, images, sample_size=256)
plan = tf_splitting.select(
    scores,
    graph,
    target_macs=2 * tf_splitting.count_macs(model),
    cost=energy,
    target_cost=1.5 * energy(graph, graph.widths),
)
print(plan)
# [end of use]

# [terms]


def energy_terms(graph):
    """The products that add up to the same."""
    read = [
        replace(term, factor=READ * term.factor) for term in costs.params_terms(graph)
    ]
    return (*costs.macs_terms(graph), *read)


ENERGY = costs.TermCost("energy", energy_terms)
# [end of terms]

assert ENERGY(graph, graph.widths) == energy(graph, graph.widths)
assert energy(graph, plan.widths(graph)) <= 1.5 * energy(graph, graph.widths)
