"""Width-configurable MobileNets and the seeds that growing starts from."""

from tf_splitting.models.application_weights import (
    WeightReport,
    load_application_weights,
)
from tf_splitting.models.registry import build, names
from tf_splitting.models.v1 import mobilenet_v1
from tf_splitting.models.v2 import mobilenet_v2

__all__ = [
    "WeightReport",
    "build",
    "load_application_weights",
    "mobilenet_v1",
    "mobilenet_v2",
    "names",
]
