"""Every figure of the report: arrays in, a Matplotlib figure or its bytes out.

``charts``, ``histograms`` and ``scatter`` draw numbers, ``grids`` draws samples (``images`` as
tiles, tables as ``lines``), ``style`` holds the common look.
"""

from isthmus.report.charts import ModelRow, active_units, model_comparison, training_curves
from isthmus.report.grids import (
    data_examples,
    gaps,
    reconstructions,
    residual_reach,
    samples,
    traversals,
)
from isthmus.report.histograms import log_prob_histogram, rank_histogram
from isthmus.report.scatter import latent_map
from isthmus.report.style import data_uri, to_png, to_svg
from isthmus.report.thumbnails import sprite_columns, thumbnails

__all__ = [
    "ModelRow",
    "active_units",
    "data_examples",
    "data_uri",
    "gaps",
    "latent_map",
    "log_prob_histogram",
    "model_comparison",
    "rank_histogram",
    "reconstructions",
    "residual_reach",
    "samples",
    "sprite_columns",
    "thumbnails",
    "to_png",
    "to_svg",
    "training_curves",
    "traversals",
]
