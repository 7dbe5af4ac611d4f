"""Every figure of the report: arrays in, a Matplotlib figure or its bytes out.

``charts``, ``histograms``, ``matrices`` and ``scatter`` draw numbers, ``grids`` and
``strangeness`` draw samples (``images`` as tiles, tables as ``lines``), ``style`` holds the
common look.
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
from isthmus.report.histograms import log_prob_histogram, p_value_histogram, rank_histogram
from isthmus.report.matrices import Matrix, confusion_matrices
from isthmus.report.scatter import latent_map
from isthmus.report.strangeness import Side, score_sides, strange_samples
from isthmus.report.style import data_uri, to_png, to_svg
from isthmus.report.thumbnails import sprite_columns, thumbnails

__all__ = [
    "Matrix",
    "ModelRow",
    "Side",
    "active_units",
    "confusion_matrices",
    "data_examples",
    "data_uri",
    "gaps",
    "latent_map",
    "log_prob_histogram",
    "model_comparison",
    "p_value_histogram",
    "rank_histogram",
    "reconstructions",
    "residual_reach",
    "samples",
    "score_sides",
    "sprite_columns",
    "strange_samples",
    "thumbnails",
    "to_png",
    "to_svg",
    "training_curves",
    "traversals",
]
