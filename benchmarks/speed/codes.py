"""Codes of MNIST's images that need no training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speed.task import digits


def main_axes(folder: Path | str, n: int, k: int = 20) -> np.ndarray:
    """The first ``n`` images, training before test, along their ``k`` main axes: float32.

    Not whitened: the distances are those of truncated SVD's codes, largest axis first.
    """
    images = np.concatenate([part.numpy() for part in digits(Path(folder))])[:n]
    x = images.astype(np.float32) / 255
    x -= x.mean(axis=0)
    axes = np.linalg.eigh(x.T @ x)[1][:, : -k - 1 : -1]
    return np.ascontiguousarray(x @ axes)
