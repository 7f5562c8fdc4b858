"""How the model is trained."""

from absl import flags

from tf_splitting_programs.flags.parsers import define_choice, define_number

LEARNING_RATES = {"sgd": 0.05, "adam": 2e-3, "adamw": 2e-3, "rmsprop": 1e-3}

OPTIMIZER = define_choice(
    "optimizer",
    "adam",
    tuple(LEARNING_RATES),
    "Optimizer; sgd has Nesterov momentum 0.9. A compiled saved model keeps its own "
    "unless --optimizer, --learning_rate or --weight_decay is given.",
)
LEARNING_RATE = define_number(
    "learning_rate",
    None,
    "Rate of the growing rounds, where the final phase starts to decay. Default: "
    + ", ".join(f"{rate:g} for {name}" for name, rate in LEARNING_RATES.items())
    + ".",
    above=0,
)
WEIGHT_DECAY = define_number(
    "weight_decay", 0.0, "Decoupled weight decay of the optimizer.", at_least=0
)
TRAINING_EPOCHS = define_number(
    "training_epochs",
    None,
    "Training compute of the whole job, as epochs of a model of --target_macs; "
    "estimates count at what they cost. It takes the place of --epochs and "
    "--final_epochs. With --nogrow, epochs of the model as it is.",
    above=0,
)
DECAY = define_choice(
    "decay",
    "last",
    ("last", "every"),
    "Phases in which the learning rate falls to zero along half a cosine: the last "
    "alone, or every one, each from the first rate on.",
)
EPOCHS = flags.DEFINE_integer(
    "epochs", 1, "Epochs before widths change.", lower_bound=0
)
FINAL_EPOCHS = flags.DEFINE_integer(
    "final_epochs",
    2,
    "Epochs after the last one, while the learning rate decays to zero.",
    lower_bound=0,
)
AUGMENT = flags.DEFINE_bool(
    "augment", False, "Crop training images from a margin and flip half of them."
)

OF_OPTIMIZER = (OPTIMIZER, LEARNING_RATE, WEIGHT_DECAY)


def learning_rate() -> float:
    """The rate given, or the optimizer's usual one."""
    given = LEARNING_RATE.value
    return LEARNING_RATES[OPTIMIZER.value] if given is None else given
