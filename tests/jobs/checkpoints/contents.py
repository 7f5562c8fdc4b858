"""What the tests save: documents that differ, in every file, from tag to tag."""

import numpy as np


def documents(tag, size=30):
    rng = np.random.default_rng(tag)
    return {
        "job.json": {"tag": tag, "name": "Größe", "loss": float("inf")},
        "model.json": {"layers": rng.integers(0, 9, 20).tolist(), "tag": tag},
        "weights.npz": {
            "block/kernel": rng.normal(size=(3, size)).astype(np.float32),
            "β": np.float64(tag),
        },
        "optimizer.npz": {"step": np.array([tag], np.int64)},
    }


def same_arrays(found, expected):
    """Whether names, order, dtypes, shapes and all bits are the same."""
    expected = {name: np.asarray(value) for name, value in expected.items()}
    return list(found) == list(expected) and all(
        found[name].dtype == value.dtype
        and found[name].shape == value.shape
        and found[name].tobytes() == value.tobytes()
        for name, value in expected.items()
    )


def tag_of(checkpoint, size=30):
    """The tag a checkpoint was saved with; fails unless all of it has that tag."""
    tag = checkpoint.json("job.json")["tag"]
    for name, expected in documents(tag, size).items():
        if name.endswith(".json"):
            assert checkpoint.json(name) == expected, name
        else:
            assert same_arrays(checkpoint.arrays(name), expected), name
    return tag
