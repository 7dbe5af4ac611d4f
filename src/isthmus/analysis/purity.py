"""How pure what is selected is, when so much of the signal is to be kept."""

from __future__ import annotations

import numpy as np

from isthmus.contracts import Array, FloatArray
from isthmus.errors import DataError, UsageError

__all__ = ["purity"]


def purity(
    signal: Array, background: Array, efficiency: Array, *, share: float = 0.5
) -> FloatArray:
    """The share of signal in what scores at least as high as that part of the signal.

    Args:
        signal: scores of signal samples, ``(s,)``; high ones are kept.
        background: scores of the others, ``(b,)``.
        efficiency: parts of the signal to keep, in (0, 1], ``(m,)``.
        share: of signal among all samples before the selection.

    Returns:
        The purity at each efficiency, ``(m,)``; where scores are equal, more of the signal is
        kept than was asked for.

    Raises:
        DataError: there is no signal or no background, or a score is NaN.
        UsageError: an efficiency or the share is out of its range.

    Example:
        >>> purity([3.0, 2.0, 1.0, 0.0], [1.5, -1.0], [0.5, 1.0]).round(3).tolist()
        [1.0, 0.667]
    """
    signal, background = np.sort(np.asarray(signal, float)), np.sort(np.asarray(background, float))
    efficiency = np.asarray(efficiency, float)
    if not len(signal) or not len(background) or np.isnan([*signal, *background]).any():
        raise DataError(f"scores of {len(signal)} signal and {len(background)} other samples")
    if not ((efficiency > 0) & (efficiency <= 1)).all() or not 0 < share < 1:
        raise UsageError("efficiencies should be in (0, 1] and the share in (0, 1)")
    kept = np.ceil(efficiency * len(signal) - 1e-9).astype(int)
    threshold = signal[len(signal) - kept]
    true = share * (1 - np.searchsorted(signal, threshold) / len(signal))
    false = (1 - share) * (1 - np.searchsorted(background, threshold) / len(background))
    return np.asarray(true / (true + false))
