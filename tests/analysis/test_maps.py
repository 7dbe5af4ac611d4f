import logging
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from isthmus.analysis import tsne
from isthmus.analysis.map_quality import quality
from isthmus.analysis.maps import latent_map
from isthmus.errors import DataError, IsthmusWarning, UsageError


def blobs(n, k, seed=0):
    rng = np.random.default_rng(seed)
    return np.repeat(np.eye(4, k) * 9, n // 4, axis=0) + rng.normal(size=(n // 4 * 4, k))


@pytest.mark.parametrize("k", [1, 2, 5, 20])
def test_neighbours_in_the_codes_are_neighbours_on_the_map(k):
    codes = blobs(200, k)
    drawn = latent_map(codes, seed=0)
    assert drawn.method == "tsne"
    assert drawn.points.shape == (200, 2)
    assert drawn.points.dtype == np.float32
    assert quality(codes, drawn.points).trustworthiness > 0.93


@pytest.mark.parametrize("threads", [1, 2])
def test_same_seed_same_bytes_on_any_number_of_threads(monkeypatch, threads):
    short = tuple(replace(phase, iterations=50) for phase in tsne.phases(tsne.GRID_FROM))
    monkeypatch.setattr(tsne, "phases", lambda n: short)
    monkeypatch.setattr(tsne, "GRID_FROM", 100)
    first = latent_map(blobs(400, 3), seed=4)
    monkeypatch.setattr(tsne, "available_threads", lambda: threads)
    second = latent_map(blobs(400, 3), seed=4)
    assert first.points.tobytes() == second.points.tobytes()
    assert first.kl_divergence == second.kl_divergence
    assert first.settings["negative_gradient"] == ["fft", "fft", "bh"]


def test_another_seed_another_map():
    codes = blobs(40, 3)
    assert not np.array_equal(latent_map(codes, seed=0).points, latent_map(codes, seed=1).points)


def test_global_random_state_and_the_caller_are_left_alone():
    codes = blobs(40, 3)
    codes.setflags(write=False)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    level = logging.getLogger("openTSNE").level
    latent_map(codes, seed=1)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert logging.getLogger("openTSNE").level == level


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e30, 1e150])
def test_a_common_unit_changes_nothing_but_rounding(scale):
    codes = blobs(80, 3)
    assert quality(codes, latent_map(codes * scale).points).trustworthiness > 0.93


@pytest.mark.parametrize(
    "codes",
    [
        np.repeat(np.arange(5.0), 12)[:, None] * np.ones(3),
        np.vstack([np.zeros((59, 3)), np.ones((1, 3))]),
        np.hstack([blobs(60, 2), np.zeros((60, 4))]),
        blobs(60, 3).astype(np.float16),
        np.asfortranarray(blobs(60, 3).astype(">f4")),
    ],
    ids=["duplicates", "all but one equal", "collapsed latents", "float16", "foreign"],
)
def test_degenerate_codes_give_finite_points(codes):
    drawn = latent_map(codes)
    assert np.isfinite(drawn.points).all()
    assert drawn.kl_divergence is not None
    assert np.isfinite(drawn.kl_divergence)


def test_equal_codes_are_one_point_with_a_warning():
    with pytest.warns(IsthmusWarning, match="one point"):
        drawn = latent_map(np.full((50, 4), 0.1))
    assert drawn.method == "pca"
    assert not drawn.points.any()


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("k", [1, 3])
def test_few_samples_are_drawn_on_their_principal_axes(n, k):
    drawn = latent_map(np.arange(n * k, dtype=float).reshape(n, k) ** 2)
    assert (drawn.method, drawn.kl_divergence) == ("pca", None)
    assert drawn.points.shape == (n, 2)


def test_ten_samples_are_enough_for_tsne():
    drawn = latent_map(np.arange(10.0)[:, None])
    assert drawn.method == "tsne"
    assert drawn.settings["perplexity"] == 3.0


def test_principal_axes_keep_distances_of_planar_codes():
    codes = np.random.default_rng(0).normal(size=(30, 2))
    points = latent_map(codes, method="pca").points
    expected = np.linalg.norm(codes[:, None] - codes, axis=2)
    assert np.allclose(np.linalg.norm(points[:, None] - points, axis=2), expected, atol=1e-5)


def test_perplexity_too_large_names_the_largest():
    with pytest.raises(DataError, match=r"perplexity 30 .* 40 samples; use at most 13"):
        latent_map(blobs(40, 2), perplexity=30)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"method": "isomap"}, UsageError),
        ({"start": "middle"}, UsageError),
        ({"perplexity": 0.5}, UsageError),
        ({"perplexity": 5, "method": "pca"}, UsageError),
        ({"codes": np.zeros((9, 2)), "method": "umap"}, DataError),
        ({"perplexity": float("nan")}, UsageError),
        ({"codes": np.zeros((9, 2)), "method": "tsne"}, DataError),
        ({"codes": np.zeros((0, 2))}, DataError),
        ({"codes": np.zeros((4, 0))}, DataError),
        ({"codes": np.zeros(4)}, DataError),
    ],
)
def test_wrong_arguments_are_refused(arguments, error):
    with pytest.raises(error):
        latent_map(**{"codes": blobs(40, 2), **arguments})


def test_a_value_that_is_not_finite_is_named():
    codes = blobs(40, 2)
    codes[3, 1] = np.nan
    with pytest.raises(DataError, match=r"codes\[3, 1\]: 1 values of the codes are not finite"):
        latent_map(codes)


def test_progress_rises_to_its_total():
    seen = []
    latent_map(blobs(80, 3), progress=lambda done, total: seen.append((done, total)))
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert seen[-1] == (750, 750)


def test_the_map_stops_when_it_stands_still():
    assert latent_map(blobs(120, 3)).settings["iterations"][1] < 500


def test_approximate_neighbours_give_as_good_a_map(monkeypatch):
    monkeypatch.setattr(tsne, "APPROXIMATE_FROM", 100)
    codes = blobs(300, 5)
    drawn = latent_map(codes)
    assert drawn.settings["neighbours"] == "annoy"
    assert quality(codes, drawn.points).trustworthiness > 0.93


def test_a_random_start_is_another_map_of_the_same_neighbours():
    codes = blobs(120, 3)
    drawn = latent_map(codes, start="random")
    assert drawn.settings["initialisation"] == "random"
    assert not np.array_equal(drawn.points, latent_map(codes).points)
    assert quality(codes, drawn.points).trustworthiness > 0.93


def test_umap_is_asked_for_one_reproducible_thread(monkeypatch):
    asked = []

    class Umap:
        def __init__(self, **settings):
            asked.append(settings)

        def fit_transform(self, codes):
            return codes[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Umap))
    drawn = latent_map(blobs(40, 3), method="umap", seed=7, start="random")
    expected = {"n_neighbors": 15, "min_dist": 0.1, "init": "random", "random_state": 7}
    assert asked == [{**expected, "n_jobs": 1}]
    assert (drawn.method, drawn.kl_divergence) == ("umap", None)
    assert (drawn.points.shape, drawn.points.dtype) == ((40, 2), np.float32)
    assert drawn.settings["initialisation"] == "random"


def test_umap_without_umap_learn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UsageError, match=r"pip install 'isthmus\[umap\]'"):
        latent_map(blobs(40, 3), method="umap")


@pytest.mark.slow
@pytest.mark.parametrize("start", ["axes", "random"])
def test_umap_keeps_neighbours_and_is_the_same_for_a_seed(start):
    pytest.importorskip("umap", reason="umap-learn is not installed")
    codes = blobs(200, 5)
    drawn = latent_map(codes, method="umap", seed=1, start=start)
    assert quality(codes, drawn.points).trustworthiness > 0.9
    again = latent_map(codes, method="umap", seed=1, start=start)
    assert drawn.points.tobytes() == again.points.tobytes()
