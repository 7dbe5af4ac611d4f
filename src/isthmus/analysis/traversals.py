"""What each latent does: move it alone, and see the decoded sample change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from isthmus.contracts import Array, BoolArray, FloatArray, IntArray, LatentModel
from isthmus.errors import DataError, UsageError

__all__ = ["ActiveUnits", "Traversal", "active_units", "traverse"]


@dataclass(frozen=True)
class Traversal:
    """Decoded walks along single latents, the most effective latent first.

    Attributes:
        latents: ``(m,)`` which latent each walk moves.
        values: ``(m, steps)`` the values it takes.
        images: ``(m, steps, *sample_shape)`` decoded means, in data units.
        effect: ``(m,)`` root-mean-square change of the decoded mean along the walk, in data units.
    """

    latents: IntArray
    values: FloatArray
    images: FloatArray
    effect: FloatArray


class ActiveUnits(NamedTuple):
    """Which latents carry information about x, and how much they vary with it."""

    active: BoolArray
    variance: FloatArray


def traverse(
    model: LatentModel,
    codes: Array,
    *,
    latents: Sequence[int] | None = None,
    steps: int = 7,
    span: float = 2.5,
    at: Array | None = None,
) -> Traversal:
    """Move each latent through the quantiles of its codes, the others held still, and decode.

    Step s of latent j is the quantile Phi(t_s) of column j of ``codes``, with t_s in ``steps``
    equal steps from ``-span`` to ``span`` and Phi the normal distribution function: where codes
    are normal these are standard deviations, and elsewhere the walk stays among the codes.

        effect_j = sqrt(mean over s and features of (image_js - mean_s image_js)^2)

    Args:
        model: decodes.
        codes: ``(n, k)``, the aggregated codes of the data.
        latents: which to move, all by default.
        steps: at least 2.
        span: largest t, above 0.
        at: ``(k,)``, where the others are held; by default the median code.

    Raises:
        DataError: the codes are not ``(n, k)``, or ``at`` is not ``(k,)``.
        UsageError: fewer than 2 steps, a span not above 0, or no such latent.
    """
    codes = np.asarray(codes, dtype=np.float64)
    if codes.ndim != 2 or not len(codes):
        raise DataError(f"codes should be (n, k) with n >= 1 but have shape {codes.shape}")
    moved = _chosen(latents, codes.shape[1])
    if steps < 2 or not span > 0:
        raise UsageError(f"steps should be >= 2 and span > 0 but got {steps} and {span:g}")
    levels = ndtr(np.linspace(-span, span, steps))
    values = np.quantile(codes[:, moved], levels, axis=0).T
    z = _walks(_centre(codes, at), moved, values)
    decoded = np.asarray(model.decode(z.reshape(-1, z.shape[-1])))
    images = decoded.reshape(len(moved), steps, *decoded.shape[1:])
    effect = _change(images)
    order = np.argsort(-effect, kind="stable")
    return Traversal(moved[order], values[order], images[order], effect[order])


def active_units(posterior_means: Array, threshold: float = 1e-2) -> ActiveUnits:
    """Tell which latents depend on x: A_u = Var_x(E[z_u | x]) > 0.01.

    Args:
        posterior_means: ``(n, k)``.
        threshold: smallest variance of an active latent.

    Returns:
        ``active (k,)`` and ``variance (k,)``; of a single sample, no variance and none active.

    Raises:
        DataError: the means are not ``(n, k)`` with n >= 1.

    Source: Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, section 5.

    Example:
        >>> active_units(np.array([[0.0, 1.0], [0.1, 3.0]])).active.tolist()
        [False, True]
    """
    means = np.asarray(posterior_means, dtype=np.float64)
    if means.ndim != 2 or not len(means):
        raise DataError(f"posterior means should be (n, k) but have shape {means.shape}")
    variance = means.var(axis=0)
    return ActiveUnits(variance > threshold, variance)


def _chosen(latents: Sequence[int] | None, k: int) -> IntArray:
    moved = np.arange(k) if latents is None else np.asarray(latents, dtype=np.intp)
    outside = moved[(moved < 0) | (moved >= k)]
    if outside.size:
        raise UsageError(f"latents should be from 0 to {k - 1} but got {int(outside[0])}")
    return moved


def _centre(codes: FloatArray, at: Array | None) -> FloatArray:
    centre = np.median(codes, axis=0) if at is None else np.asarray(at, dtype=np.float64)
    if centre.shape != codes.shape[1:]:
        raise DataError(f"at should have shape {codes.shape[1:]} but has {centre.shape}")
    return centre


def _walks(centre: FloatArray, moved: IntArray, values: FloatArray) -> FloatArray:
    """Codes ``(m, steps, k)``: the centre, with one latent a walk replaced by its values."""
    z = np.tile(centre, (*values.shape, 1))
    z[np.arange(len(moved)), :, moved] = values
    return z


def _change(images: FloatArray) -> FloatArray:
    flat = images.reshape(*images.shape[:2], -1).astype(np.float64)
    return np.asarray(np.sqrt(flat.var(axis=1).mean(axis=1)))
