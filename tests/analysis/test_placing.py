from dataclasses import replace

import numpy as np
import pytest

from isthmus.analysis.maps import latent_map
from isthmus.analysis.placing import place
from isthmus.errors import DataError


def blobs(n, k, seed=0):
    rng = np.random.default_rng(seed)
    return np.repeat(np.eye(4, k) * 9, n // 4, axis=0) + rng.normal(size=(n // 4 * 4, k))


CODES, NEW = blobs(200, 5), blobs(40, 5, seed=1)
TSNE = latent_map(CODES)
DRAWN = {
    "tsne": TSNE,
    "pca": latent_map(CODES, method="pca"),
    "umap": replace(TSNE, method="umap", settings={}),  # any map of which the places are known
}
drawn_by = pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN)


@drawn_by
def test_a_new_code_lands_in_its_own_group(drawn):
    placed = place(NEW, CODES, drawn)
    group = np.repeat(np.arange(4), 50)
    middles = np.stack([np.median(drawn.points[group == g], axis=0) for g in range(4)])
    away = np.linalg.norm(placed[:, None] - middles, axis=2)
    assert (away.argmin(axis=1) == np.repeat(np.arange(4), 10)).mean() > 0.95
    assert (placed.shape, placed.dtype) == ((40, 2), np.float32)


@drawn_by
def test_codes_of_the_map_take_their_places(drawn):
    before = drawn.points.copy()
    assert np.allclose(place(CODES, CODES, drawn), drawn.points, atol=1e-4)
    assert np.array_equal(drawn.points, before)


@drawn_by
def test_each_is_placed_for_itself(drawn):
    together = place(NEW, CODES, drawn)
    order = np.random.default_rng(0).permutation(len(NEW))
    crowd = np.vstack([NEW[:3], np.repeat(NEW[3:4], 50, axis=0), 1e30 * NEW[5:8]])
    alone = np.vstack([place(NEW[[i]], CODES, drawn) for i in range(len(NEW))])
    assert np.allclose(alone, together, atol=1e-3)
    assert np.allclose(place(NEW[order], CODES, drawn), together[order], atol=1e-3)
    assert np.allclose(place(crowd, CODES, drawn)[:4], together[:4], atol=1e-3)


@drawn_by
def test_same_codes_same_bytes(drawn):
    assert place(NEW, CODES, drawn).tobytes() == place(NEW, CODES, drawn).tobytes()


def test_neighbours_of_a_new_code_are_its_neighbours_on_the_map():
    placed = place(NEW, CODES, TSNE)

    def nearest(new, old):
        return np.linalg.norm(new[:, None] - old, axis=2).argsort(axis=1)[:, :15]

    near = zip(nearest(NEW, CODES), nearest(placed, TSNE.points), strict=True)
    assert np.mean([len({*a} & {*b}) / 15 for a, b in near]) > 0.5


def test_on_principal_axes_it_is_the_projection():
    codes, new = CODES[:, :2], NEW[:, :2]
    placed = place(new, codes, latent_map(codes, method="pca"))
    expected = np.linalg.norm(new[:, None] - new, axis=2)
    assert np.allclose(np.linalg.norm(placed[:, None] - placed, axis=2), expected, atol=1e-4)


def test_a_mirrored_map_is_followed():
    drawn = DRAWN["pca"]
    mirrored = replace(drawn, points=-drawn.points)
    assert np.allclose(place(NEW, CODES, mirrored), -place(NEW, CODES, drawn), atol=1e-5)


@pytest.mark.parametrize(
    "codes",
    [
        np.arange(12.0)[:, None],
        np.repeat(np.arange(5.0), 12)[:, None] * np.ones(3),
        np.hstack([blobs(60, 2), np.zeros((60, 4))]),
        1e150 * blobs(60, 3),
        1e-150 * blobs(60, 3),
    ],
    ids=["one latent", "duplicates", "collapsed latents", "huge", "tiny"],
)
def test_degenerate_codes_give_finite_places(codes):
    drawn = latent_map(codes, method="tsne")
    for new in (codes[:1] * 1.01, codes[:1] * 1e3, codes[:1] * 0, np.full_like(codes[:1], 1e300)):
        assert np.isfinite(place(new, codes, drawn)).all()


@pytest.mark.parametrize("n", [1, 2, 9])
def test_few_codes_are_placed_on(n):
    codes = np.arange(n * 3, dtype=float).reshape(n, 3) ** 2
    assert np.allclose(place(codes, codes, latent_map(codes)), latent_map(codes).points, atol=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"new_codes": NEW[:, :3]},
        {"new_codes": NEW[0]},
        {"new_codes": NEW * np.nan},
        {"codes": CODES[:-1]},
        {"codes": CODES * np.inf},
    ],
)
def test_wrong_codes_are_refused(arguments):
    with pytest.raises(DataError):
        place(**{"new_codes": NEW, "codes": CODES, "drawn": TSNE, **arguments})
