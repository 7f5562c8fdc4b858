"""What a network that `--model` names starts from."""

from tf_splitting_programs.flags.parsers import define_text

NONE, PUBLISHED = "none", ("published", "imagenet")

WEIGHTS = define_text(
    "weights",
    None,
    "Weights of a network that --model names: none, random ones; published (or "
    "imagenet), those of keras.applications or of the preset, downloaded unless they "
    "are in the cache; or the path of a .keras, .weights.h5 or .h5 file. Default: "
    "those in a preset's folder, else none.",
)
