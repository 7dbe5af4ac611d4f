"""The palette as those see it who lack one kind of cone."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from isthmus.report.style import PALETTE

# Machado, Oliveira & Fernandes 2009, table 1, severity 1, on linear RGB
SIGHT = {
    "all cones": np.eye(3),
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
WHITE = XYZ.sum(axis=1)


def lab(colours, sight: str) -> np.ndarray:
    """CIELAB ``(n, 3)`` of sRGB colours, seen so."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.asarray(SIGHT[sight]).T, 0, 1) @ XYZ.T / WHITE
    f = np.where(seen > (6 / 29) ** 3, np.cbrt(seen), seen / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.T
    return np.column_stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(places: np.ndarray) -> float:
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    return float(distance[np.triu_indices(len(places), 1)].min())


def test_the_measure_is_right() -> None:
    np.testing.assert_allclose(lab(["white", "black"], "all cones"), [[100, 0, 0], [0, 0, 0]],
                               atol=1e-3)  # fmt: skip
    np.testing.assert_allclose(lab(["red"], "all cones"), [[53.24, 80.09, 67.20]], atol=0.02)


@pytest.mark.parametrize("sight", SIGHT)
def test_classes_differ_for_everyone(sight: str) -> None:
    # a difference of 2.3 is just noticed side by side; of 15, in small points far apart
    assert nearest(lab(PALETTE, sight)) > 15


@pytest.mark.parametrize("sight", SIGHT)
def test_classes_are_seen_on_white(sight: str) -> None:
    assert (lab(PALETTE, sight)[:, 0] < 80).all()
