"""Which model."""

from absl import flags

from tf_splitting_programs.flags.parsers import define_text

BUILTIN_IMAGE_SIZE = 224

MODEL = define_text(
    "model",
    None,
    "mobilenet_v1, mobilenet_v2, a network of keras.applications such as ResNet50, a "
    "preset of KerasHub or its folder, or the path of a saved model.",
)
IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    f"Pixels of the input of models by name (default: {BUILTIN_IMAGE_SIZE}; of "
    "presets, their own), and of the images for a saved model without a fixed input "
    "size.",
    lower_bound=1,
    upper_bound=8192,
)
