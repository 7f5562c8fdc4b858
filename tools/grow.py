"""Trains a small model and grows it by splitting neurons, under a MACs budget.

    python tools/grow.py --model=mobilenet_v2 --target_macs=0.2e9

With a saved model and a set of TensorFlow Datasets:

    python tools/grow.py --model=small.keras --target_macs=50e6 \
        --dataset=cifar100 --data_dir=~/tensorflow_datasets --epochs=10

Whole experiments are flagfiles, see flags/experiments/README.md:

    python tools/grow.py --flagfile=flags/experiments/mobilenet_v2_splitting_1.flags

Writes to --workdir: grown.keras, saved_model/ (unless --noexport), history.json,
growth.png, flags.txt, and TensorBoard events under logs/.
"""

import _bootstrap  # noqa: F401
import _program

from flags import (
    builtin,
    data,
    estimating,
    growing,
    job,
    training,
)
from flags import model as model_flags

FLAGS = (model_flags, growing, data, training, estimating, job, builtin)


def main() -> None:
    """Checks what can be checked cheaply, then trains, grows and writes."""
    _program.require(model_flags.MODEL, "mobilenet_v1, mobilenet_v2 or a .keras file")
    if growing.GROW.value:
        _program.require(growing.TARGET_MACS, "MACs per image, such as 0.2e9")
    elif growing.TARGET_MACS.present:
        raise _program.UsageError("--nogrow does not go with --target_macs.")
    # These import TensorFlow, which `--help` and mistyped flags need not wait for.
    import _growing_job

    _growing_job.run()


if __name__ == "__main__":
    _program.run(main, FLAGS)
