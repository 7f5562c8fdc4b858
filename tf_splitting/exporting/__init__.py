"""What is written for others to use: SavedModel, LiteRT, pictures, tables, a report.

In: a finished model, its history.
Out: files, checked against the model.
Imports from: training, estimating, models, tracing, support.
"""

from tf_splitting.exporting.formats import (
    export_litert,
    export_saved_model,
    is_available,
)
from tf_splitting.exporting.loading import (
    ExportError,
    Served,
    load_litert,
    load_saved_model,
)
from tf_splitting.exporting.report.writing import write_report
from tf_splitting.exporting.reporting import (
    Curve,
    metric_name,
    plot_family,
    plot_growth,
    width_table,
)

__all__ = [
    "Curve",
    "ExportError",
    "Served",
    "export_litert",
    "export_saved_model",
    "is_available",
    "load_litert",
    "load_saved_model",
    "metric_name",
    "plot_family",
    "plot_growth",
    "width_table",
    "write_report",
]
