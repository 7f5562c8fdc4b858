"""Width-configurable MobileNets and the seeds that growing starts from.

In: a name and widths, or a file.
Out: a Keras model.
Imports from: support.
"""

from tf_splitting.models.application_weights import (
    WeightReport,
    load_application_weights,
)
from tf_splitting.models.lookup import unknown_name
from tf_splitting.models.registry import build, names
from tf_splitting.models.saved_models import UNREADABLE, read_model
from tf_splitting.models.v1 import mobilenet_v1
from tf_splitting.models.v2 import mobilenet_v2

__all__ = [
    "UNREADABLE",
    "WeightReport",
    "build",
    "load_application_weights",
    "mobilenet_v1",
    "mobilenet_v2",
    "names",
    "read_model",
    "unknown_name",
]
