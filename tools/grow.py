"""Trains a small model and grows it by splitting neurons, under a MACs budget.

    python tools/grow.py --model=mobilenet_v2 --target_macs=0.2e9

With a saved model and a set of TensorFlow Datasets:

    python tools/grow.py --model=small.keras --target_macs=50e6 \
        --dataset=cifar100 --data_dir=~/tensorflow_datasets --epochs=10

With a network of keras.applications, or a preset of KerasHub or its folder:

    python tools/grow.py --model=MobileNetV3Small --image_size=64 --target_macs=20e6
    python tools/grow.py --model=resnet_18_imagenet --weights=published \
        --image_size=64 --target_macs=0.3e9

Several targets make a family, one model for each, in folders of their own:

    python tools/grow.py --model=mobilenet_v2 --target_macs=0.1e9,0.15e9,0.2e9

Whole experiments are flagfiles, see flags/experiments/README.md:

    python tools/grow.py --flagfile=flags/experiments/mobilenet_v2_splitting_1.flags

Writes to --workdir: grown.keras, saved_model/ (unless --noexport), history.json,
growth.png, report.html (all of the job for a browser), flags.txt, checkpoints/, and
TensorBoard events under logs/. Of a family the models go to stage-0.100G/ and so on, as
each is finished, and family.json and family.png compare them.

A job that was killed goes on with the same command and its --workdir. SIGTERM and
SIGINT stop it after the step it is at, saved, with exit code 75; a second one at once.
"""

import _bootstrap  # noqa: F401
import _program

from flags import (
    adding,
    builtin,
    data,
    devices,
    estimating,
    growing,
    job,
    sampling,
    target,
    training,
    weights,
    widths,
)
from flags import model as model_flags

JOB = "_growing_job"
FLAGS = (
    model_flags,
    target,
    widths,
    growing,
    adding,
    data,
    training,
    estimating,
    sampling,
    job,
    devices,
    builtin,
    weights,
)


def check() -> None:
    """What the flags alone can tell.

    Raises:
        UsageError: a flag is missing, or does not go with another.
    """
    _program.require(
        model_flags.MODEL, "mobilenet_v1, mobilenet_v2, ResNet50 or a .keras file"
    )
    if growing.GROW.value:
        _program.require(target.TARGET_MACS, "MACs per image, such as 0.2e9")
        if growing.BASELINES.value and len(target.targets()) < 2:
            raise _program.UsageError(
                "--baselines: for a family only; give several --target_macs."
            )
    elif target.TARGET_MACS.present:
        raise _program.UsageError("--nogrow does not go with --target_macs.")
    if devices.PROCESSES.value > 1:
        _program.require(job.WORKDIR, "the folder that all processes share")


if __name__ == "__main__":
    _program.run(check, JOB, FLAGS)
