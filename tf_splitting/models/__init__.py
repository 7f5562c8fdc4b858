"""Models that growing starts from: MobileNets of any widths, named networks, files.

In: a name and widths, the name of a network or a preset, or a file.
Out: a Keras model.
Imports from: support.
"""

from tf_splitting.models.application_weights import (
    WeightReport,
    load_application_weights,
)
from tf_splitting.models.applications import (
    application_name,
    application_names,
    build_application,
)
from tf_splitting.models.hub import (
    HUB_INSTALL,
    build_preset,
    explain_hub_name,
    hub_is_installed,
    image_presets,
    is_preset,
    is_preset_folder,
)
from tf_splitting.models.lookup import unknown_name
from tf_splitting.models.published import load_published
from tf_splitting.models.registry import build, names
from tf_splitting.models.saved_models import UNREADABLE, read_model
from tf_splitting.models.v1 import mobilenet_v1
from tf_splitting.models.v2 import mobilenet_v2

__all__ = [
    "HUB_INSTALL",
    "UNREADABLE",
    "WeightReport",
    "application_name",
    "application_names",
    "build",
    "build_application",
    "build_preset",
    "explain_hub_name",
    "hub_is_installed",
    "image_presets",
    "is_preset",
    "is_preset_folder",
    "load_application_weights",
    "load_published",
    "mobilenet_v1",
    "mobilenet_v2",
    "names",
    "read_model",
    "unknown_name",
]
