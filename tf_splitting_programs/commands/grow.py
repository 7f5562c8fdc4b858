"""`grow`."""

from tf_splitting_programs.commands.training_jobs import GOING_ON, check_folder
from tf_splitting_programs.flags import (
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
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.running import Example, Program, UsageError, require


def check() -> None:
    """What the flags alone can tell.

    Raises:
        UsageError: a flag is missing, or does not go with another.
    """
    require(model_flags.MODEL, "mobilenet_v1, mobilenet_v2, ResNet50 or a .keras file")
    if growing.GROW.value:
        require(target.TARGET_MACS, "MACs per image, such as 0.2e9")
        if growing.BASELINES.value and len(target.targets()) < 2:
            raise UsageError(
                "--baselines: for a family only; give several --target_macs."
            )
    elif target.TARGET_MACS.present:
        raise UsageError("--nogrow does not go with --target_macs.")
    check_folder()


PROGRAM = Program(
    summary=(
        "Trains a small model and grows it by splitting neurons, under a MACs budget."
    ),
    examples=(
        Example("--model=mobilenet_v2 --target_macs=0.2e9"),
        Example(
            "--model=small.keras --target_macs=50e6 --dataset=cifar100 "
            "--data_dir=~/tensorflow_datasets --epochs=10",
            "With a saved model and a set of TensorFlow Datasets:",
        ),
        Example(
            "--model=MobileNetV3Small --image_size=64 --target_macs=20e6",
            "With a network of keras.applications, or a preset of KerasHub or its "
            "folder:",
        ),
        Example(
            "--model=resnet_18_imagenet --weights=published --image_size=64 "
            "--target_macs=0.3e9"
        ),
        Example(
            "--model=mobilenet_v2 --target_macs=0.1e9,0.15e9,0.2e9",
            "Several targets make a family, one model for each, in folders of "
            "their own:",
        ),
        Example(
            "--flagfile=flags/experiments/mobilenet_v2_splitting_1.flags",
            "Whole experiments are flagfiles, see flags/experiments/README.md of "
            "the repository:",
        ),
    ),
    notes=f"""
Writes to --workdir: grown.keras, saved_model/ (unless --noexport), history.json,
growth.png, report.html (all of the job, for a browser), flags.txt, checkpoints/, and
TensorBoard events under logs/. Of a family the models go to stage-0.100G/ and so on,
as each is finished, and family.json and family.png compare them.
{GOING_ON}""",
    check=check,
    job="tf_splitting_programs.jobs.growing_job",
    topics=(
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
    ),
    most_used=(
        model_flags.MODEL,
        target.TARGET_MACS,
        data.DATASET,
        training.EPOCHS,
        training.FINAL_EPOCHS,
        widths.ROUNDS,
        job.WORKDIR,
    ),
)
