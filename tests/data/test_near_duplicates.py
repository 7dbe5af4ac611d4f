"""Near duplicates: copies that were planted are found, what is merely alike is not."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import csr_array

from isthmus import load
from isthmus.data.dataset import Dataset
from isthmus.data.dealing import in_order
from isthmus.data.duplicates import exact_duplicates
from isthmus.data.near_duplicates import NearDuplicates, near_duplicates
from isthmus.data.splits import components, leak, split
from isthmus.errors import UsageError


def jpeg(images: np.ndarray, quality: int) -> np.ndarray:
    def reencoded(image: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return np.stack([reencoded(image) for image in images])


def noisy(images: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(5).integers(-1, 2, images.shape)
    return np.clip(images.astype(int) + noise, 0, 255).astype(np.uint8)


def pictures(n: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A few soft spots each, on a ramp, 8 bits."""
    generator = np.random.default_rng(seed)
    down, across = np.mgrid[: shape[0], : shape[1]]
    centres = generator.uniform(0, shape[0], (2, n, 6, 1, 1))
    spots = np.exp(
        -((down - centres[0]) ** 2 + (across - centres[1]) ** 2)
        / (2 * generator.uniform(0.06, 0.15, (n, 6, 1, 1)) ** 2 * math.prod(shape[:2]))
    )
    colours = generator.uniform(-0.3, 0.3, (n, 6, shape[2] if len(shape) == 3 else 1))
    colours += generator.uniform(-0.8, 0.8, (n, 6, 1))
    images = np.einsum("nshw,nsc->nhwc", spots, colours) * 90 + 110 + 0.5 * down[..., None]
    return np.clip(images, 0, 255).astype(np.uint8).reshape(n, *shape)


def planted(x: np.ndarray, copies: np.ndarray, of: np.ndarray, **settings) -> tuple:
    """What is found with the copies shuffled in, and which copies stand with their originals."""
    order = np.random.default_rng(9).permutation(len(x) + len(copies))
    place = np.argsort(order)
    found = near_duplicates(Dataset(np.concatenate([x, copies])[order]), **settings)
    component = found.component[place]
    return found, component[of] == component[len(x) :]


def table(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


COPIES = {
    "quality 75": lambda x: jpeg(x, 75),
    "quality 80": lambda x: jpeg(x, 80),
    "quality 90": lambda x: jpeg(x, 90),
    "noise": noisy,
}
OTHERS = {
    "turned": lambda x: np.rot90(x, 1, (1, 2)),
    "mirrored": lambda x: x[:, :, ::-1],
    "upside down": lambda x: x[:, ::-1],
    "negative": lambda x: 255 - x,
}
SHAPES = [(16, 16), (28, 20, 3), (33, 47), (96, 96, 3)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("copy", COPIES)
def test_reencoded_images_are_found(shape, copy):
    x, of = pictures(300, shape), np.arange(40)
    found, together = planted(x, COPIES[copy](x[of]), of)
    assert together.all()
    assert found.repeats == len(of)
    assert found.largest == 2


@pytest.mark.parametrize("change", OTHERS)
def test_turned_and_mirrored_images_are_others(change):
    x, of = pictures(300, (32, 32, 3)), np.arange(300)
    found, together = planted(x, OTHERS[change](x), of)
    assert not together.any()
    assert found.repeats == 0


def test_every_image_twice():
    x, of = pictures(200, (28, 28)), np.arange(200)
    found, together = planted(x, jpeg(x, 85), of)
    assert together.all()
    assert (found.repeats, found.pairs, found.largest) == (200, 200, 2)


def test_images_of_floats_and_of_any_unit():
    x, of = pictures(300, (24, 24)), np.arange(30)
    copies = noisy(x[of])
    plain, _ = planted(x, copies, of)
    for scale, offset in ((1e30, 0.0), (1e-30, 0.0), (1 / 255, -0.5)):
        changed = [(scale * part.astype(np.float64) + offset) for part in (x, copies)]
        found, together = planted(*changed, of)
        assert together.all()
        np.testing.assert_allclose(found.threshold, scale * plain.threshold, rtol=1e-3)


def test_blank_images_are_not_one_thing():
    dark = np.random.default_rng(1).integers(3, 6, (40, 28, 28)).astype(np.uint8)
    found = near_duplicates(Dataset(np.concatenate([pictures(300, (28, 28)), dark])))
    assert found.repeats == 0


@pytest.mark.parametrize("shape", [(4, 4), (5, 64), (8, 8, 2), (3, 1)], ids=str)
def test_noise_has_no_near_duplicates_at_any_size(shape):
    x = np.random.default_rng(0).normal(size=(200, *shape))
    assert near_duplicates(Dataset(x)).repeats == 0


@pytest.mark.parametrize(
    ("n", "d"), [(8, 3), (300, 1), (2000, 2), (1500, 5), (1000, 20), (600, 100), (300, 400)]
)
@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_table_has_none(n, d, seed):
    assert near_duplicates(Dataset(table(n, d, seed)), seed=seed).pairs == 0


@pytest.mark.parametrize("d", [3, 6, 20, 300])
def test_rounded_rows_are_found(d):
    x, of = table(800, d) * np.geomspace(1e-3, 1e3, d) + 5, np.arange(60)
    rounded = np.round(x[of] / np.geomspace(1e-3, 1e3, d), 5 if d == 3 else 2)
    found, together = planted(x, rounded * np.geomspace(1e-3, 1e3, d), of)
    assert together.all()
    assert found.repeats == 60


def test_single_precision_copies_are_found_beside_constant_columns():
    x = np.hstack([table(500, 4), np.full((500, 3), 0.1)])
    found, together = planted(x, x[:50].astype(np.float32).astype(float), np.arange(50))
    assert together.all()
    assert found.repeats == 50


@pytest.mark.parametrize("levels", [2, 5, 30])
def test_a_coarse_table_has_exact_duplicates_only(levels):
    x = np.random.default_rng(0).integers(0, levels, (600, 8))
    found = near_duplicates(Dataset(x))
    np.testing.assert_array_equal(found.component, exact_duplicates(x))
    assert found.pairs == 0


def test_a_sparse_table_has_exact_duplicates_only():
    x = csr_array(np.random.default_rng(0).poisson(0.1, (100, 5)))
    found = near_duplicates(Dataset(x))
    np.testing.assert_array_equal(found.component, exact_duplicates(x))
    assert (found.candidates, found.threshold, found.cut) == (0, 0.0, 0)


@pytest.mark.parametrize("n", [1, 2, 6])
def test_few_samples_have_exact_duplicates_only(n):
    x = np.repeat(table(n, 3), 2, axis=0)
    found = near_duplicates(Dataset(x))
    assert found.component.tolist() == np.repeat(np.arange(n), 2).tolist()
    assert (found.repeats, found.largest) == (n, 2)


def test_what_is_hidden_does_not_count():
    generator = np.random.default_rng(0)
    x = table(600, 12)
    x[:50] = x[-50:] + 1e-3 * table(50, 12, 1)
    mask = generator.random(x.shape) < 0.9
    x[~mask] = generator.uniform(-50, 50, (~mask).sum())
    component = near_duplicates(Dataset(x, mask=mask)).component
    assert (component[:50] == component[-50:]).mean() > 0.9
    assert component.max() + 1 >= 550


def test_images_with_dead_pixels():
    generator = np.random.default_rng(0)
    x = pictures(330, (24, 24)).astype(float)
    x[:30] = x[-30:] + generator.uniform(-1, 1, (30, 24, 24))
    mask = generator.random(x.shape) < 0.98
    component = near_duplicates(Dataset(np.where(mask, x, np.nan), mask=mask)).component
    assert (component[:30] == component[-30:]).all()
    assert component.max() + 1 == 300


def test_little_in_common_is_no_evidence():
    x = table(400, 10)
    x[:100] = x[100:200]
    mask = np.ones(x.shape, np.bool_)
    mask[:100, 4:] = False  # four of ten values left
    x[:100, 4:] = 0
    assert near_duplicates(Dataset(x, mask=mask)).pairs == 0


@pytest.mark.parametrize("d", [3, 10, 64])
def test_a_burst_of_copies_hides_no_other(d):
    x = table(1000, d)
    burst = x[:1] + 1e-5 * table(15, d, 1)
    of = np.r_[np.zeros(15, int), np.arange(900, 950)]
    found, together = planted(x, np.concatenate([burst, x[900:950] + 1e-5]), of)
    assert together.all()
    assert (found.largest, found.cut, found.repeats) == (16, 0, 65)


def chain(length: int) -> np.ndarray:
    """1,500 points, and a path from the last of them in steps that grow."""
    x = table(1500, 10)
    steps = 1e-3 * (1 + np.arange(length) / length)[:, None] * table(length, 10, 2)
    return np.concatenate([x, x[-1] + np.cumsum(steps, axis=0)])


def test_a_chain_is_cut_where_it_is_weak():
    x = chain(60)
    whole = near_duplicates(Dataset(x), cap=61)
    assert (whole.largest, whole.cut, whole.repeats) == (61, 0, 60)
    parts = near_duplicates(Dataset(x))  # the cap is 20
    assert parts.cut == 1
    assert 2 <= parts.largest <= 20
    assert parts.pairs == whole.pairs
    sizes = np.bincount(parts.component[1499:])
    assert sizes[sizes > 1].sum() > 30  # cut to pieces, not to dust


def test_equal_samples_stay_together_whatever_the_cap():
    x = np.concatenate([table(200, 5), np.repeat(table(1, 5, 3), 70, axis=0)])
    found = near_duplicates(Dataset(x), cap=1)
    np.testing.assert_array_equal(found.component, exact_duplicates(x))
    assert (found.largest, found.cut, found.repeats) == (70, 0, 69)


def test_a_cap_of_nothing_is_refused():
    with pytest.raises(UsageError, match="cap: should be at least 1, got 0"):
        near_duplicates(Dataset(table(10, 2)), cap=0)


KINDS = {
    "images": lambda: np.concatenate([(x := pictures(300, (28, 28))), noisy(x[:40]), x[7:12]]),
    "table": lambda: np.concatenate([(x := table(400, 8)), x[:40] + 1e-4, x[9:14]]),
    "wide table": lambda: np.concatenate([(x := table(200, 300)), x[:40] + 1e-4, x[9:14]]),
}


@pytest.fixture(params=KINDS)
def x(request) -> np.ndarray:
    return KINDS[request.param]()


def test_the_same_seed_gives_the_same(x):
    one, other = (near_duplicates(Dataset(x), seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.component, other.component)
    for name in ("candidates", "pairs", "threshold", "largest", "cut"):
        assert getattr(one, name) == getattr(other, name)


def test_the_order_of_samples_does_not_matter(x):
    order = np.random.default_rng(1).permutation(len(x))
    found, shuffled = near_duplicates(Dataset(x)), near_duplicates(Dataset(x[order]))
    np.testing.assert_array_equal(in_order(found.component[order]), shuffled.component)


def test_components_are_counted_in_order(x):
    before = x.copy()
    found = near_duplicates(Dataset(x))
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(in_order(found.component), found.component)
    assert found.repeats == 45
    exact = exact_duplicates(x)
    for number in exact[-5:]:
        assert len(set(found.component[exact == number].tolist())) == 1
    assert isinstance(found, NearDuplicates)
    assert found.candidates >= found.pairs >= 40


def test_no_near_duplicate_straddles_a_split(x):
    data = Dataset(x)
    near = near_duplicates(data).component
    parts = split(data, seed=0, component=components(data, near))
    assert leak(parts, near) == 0


@pytest.fixture(scope="module")
def digits(data_folder) -> np.ndarray:
    return load(data_folder / "digits" / "t10k-images-idx3-ubyte.gz").x


def average_hash(images: np.ndarray) -> np.ndarray:
    """64 bits: which of 8 x 8 cells are lighter than their mean."""
    small = [Image.fromarray(each).resize((8, 8), Image.Resampling.LANCZOS) for each in images]
    cells = np.stack([np.asarray(each) for each in small]).reshape(-1, 64)
    return np.packbits(cells > cells.mean(axis=1, keepdims=True), axis=1).view(np.uint64)[:, 0]


def test_collisions_of_a_crude_hash_are_not_duplicates(digits):
    hashes = average_hash(digits)
    assert len(hashes) - len(np.unique(hashes)) > 1000
    assert near_duplicates(Dataset(digits)).repeats == 0


@pytest.mark.parametrize("copy", COPIES)
def test_planted_digits(digits, copy):
    x, of = digits[:3000], np.arange(0, 3000, 10)
    found, together = planted(x, COPIES[copy](x[of]), of)
    assert together.mean() >= 0.99
    assert found.repeats == together.sum()


def test_turned_digits(digits):
    x, of = digits[:3000], np.arange(3000)
    assert not planted(x, np.rot90(x, 1, (1, 2)), of)[1].any()


def test_frames_of_a_film(data_folder):
    x = np.load(data_folder / "faces" / "freyfaces.npz")["X"]
    found = near_duplicates(Dataset(x))
    assert 3 <= found.repeats <= 30
    for number in np.flatnonzero(np.bincount(found.component) > 1):
        assert np.ptp(np.flatnonzero(found.component == number)) <= 3  # neighbouring frames
    of = np.arange(0, len(x), 40)
    assert planted(x, jpeg(x[of], 85), of)[1].all()


def test_a_cell_that_was_labelled_twice(data_folder):
    data = load(data_folder / "cells" / "ucsf_neuron_if_28.npz", key="X")
    found = near_duplicates(data)
    (number,) = np.flatnonzero(np.bincount(found.component) > 1)
    assert np.flatnonzero(found.component == number).tolist() == [65, 103]
    of = np.arange(0, 844, 20)
    assert planted(data.x, jpeg(data.x[of], 85), of)[1].mean() > 0.95
    assert not planted(data.x, data.x[of, :, ::-1], of)[1].any()
