"""New samples of runs: from each density, of one label, around a sample, and as files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.analysis.densities import Mixture
from isthmus.data.readers import load
from isthmus.detection import Detector
from isthmus.errors import DataError, UsageError
from isthmus.products import write_samples
from isthmus.runs.folder import Run, read_arrays
from isthmus.sampling import Wanted, density_of, draw, prior_of

N = 160
SHAPE = isthmus.Dense((16,))


def two_kinds() -> tuple[np.ndarray, np.ndarray]:
    """Samples ``(n, 6)`` of two kinds far apart near a plane, in columns of different units."""
    rng = np.random.default_rng(0)
    labels = np.array(["low", "high"])[np.arange(N) % 2]
    z = rng.normal(size=(N, 2)) + np.where(labels == "high", 6, -6)[:, None] * [1, 0]
    plane = np.array([[1.0, 1, 1, 0, 0, 0], [0, 1, -1, 1, 1, 1]])
    x = z @ plane + 0.2 * rng.normal(size=(N, 6))
    return x * [1, 10, 1, 1, 1000, 1], labels


def pictures() -> np.ndarray:
    """Spots on pictures of 8 x 8 bytes."""
    rng = np.random.default_rng(0)
    row, column = np.exp(-0.5 * (np.arange(8) - rng.uniform(1, 6, (2, N, 1))) ** 2)
    return (200 * row[:, :, None] * column[:, None, :] + 4 * rng.random((N, 8, 8))).astype("u1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sampling")


def analysed(data: Path, out: Path, **plan: object) -> Run:
    options = {"labels": "y"} if data.suffix == ".npz" else {}
    isthmus.analyse(data, out, latent_dim=2, seed=3, loop=False, options=options, **plan)
    return isthmus.open_run(out)


@pytest.fixture(scope="module")
def linear(folder: Path) -> Run:
    """Truncated SVD of a table with labels."""
    x, labels = two_kinds()
    np.savez(folder / "table.npz", X=x, y=labels)
    return analysed(folder / "table.npz", folder / "linear", model="svd")


@pytest.fixture(scope="module")
def certain(folder: Path) -> Run:
    """An autoencoder of 8-bit pictures."""
    np.save(folder / "bytes.npy", pictures())
    plan = {"model": "autoencoder", "architecture": SHAPE, "epochs": 1}
    return analysed(folder / "bytes.npy", folder / "certain", **plan)


def test_a_mixture_is_spread_by_its_temperature():
    mixture = Mixture(
        np.array([0.25, 0.75]),
        np.array([[-50.0, 0], [50, 0]]),
        np.array([np.eye(2), 4 * np.eye(2)]),
    )
    rng = np.random.default_rng(0)
    z = mixture.sample(40_000, rng, temperature=0.5)
    left, right = z[z[:, 0] < 0], z[z[:, 0] > 0]
    assert len(left) / len(z) == pytest.approx(0.25, abs=0.01)
    assert left.std(axis=0) == pytest.approx(0.5, rel=0.03)
    assert right.std(axis=0) == pytest.approx(1.0, rel=0.03)
    still = mixture.sample(100, rng, temperature=0.0)
    assert set(map(tuple, still.tolist())) == {(-50.0, 0.0), (50.0, 0.0)}


def test_priors_have_their_moments(linear, certain):
    rng = np.random.default_rng(0)
    for run in (linear, certain):
        codes = run.latents[run.splits == "train"]
        drawn = prior_of(run.model).sample(20_000, rng)
        np.testing.assert_allclose(drawn.std(axis=0), codes.std(axis=0), rtol=0.05)
    vae = isthmus.VariationalAutoencoder(2, architecture=SHAPE, epochs=1, random_state=0)
    standard = prior_of(vae.fit(two_kinds()[0]))
    z = standard.sample(20_000, rng, temperature=2.0)
    assert z.mean(axis=0) == pytest.approx(0, abs=0.06)
    assert z.std(axis=0) == pytest.approx(2, rel=0.03)
    assert standard.log_density(np.zeros((1, 2))) == pytest.approx(-np.log(2 * np.pi))


def test_the_mixture_is_the_one_that_the_run_has_kept(linear):
    name, density = density_of(linear, Wanted())
    kept = Detector.load(linear.path / "anomaly.npz", linear.model).mixture
    assert name == "mixture"
    assert np.array_equal(density.means, kept.means)
    made = draw(linear, Wanted(n=5, temperature=0.0))
    distance = np.abs(made.codes[:, None] - kept.means).max(axis=2).min(axis=1)
    assert distance == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(made.code_log_p, kept.log_density(made.codes))


def test_the_mixture_leaves_the_hole_empty_that_the_prior_fills(linear):
    def in_the_hole(density: str) -> float:
        return float((np.abs(draw(linear, Wanted(n=1_000, density=density)).x[:, 0]) < 2).mean())

    assert in_the_hole("mixture") < 0.01
    assert in_the_hole("prior") > 0.15


def test_without_codes_a_run_has_its_prior(linear, tmp_path):
    shutil.copytree(linear.path, tmp_path / "run")
    for name in ("latents.npy", "anomaly.npz"):
        (tmp_path / "run" / name).unlink()
    bare = isthmus.open_run(tmp_path / "run")
    assert draw(bare, Wanted(n=3)).density == "prior"
    with pytest.raises(isthmus.errors.RunCorruptError, match="unfinished"):
        draw(bare, Wanted(n=3, density="mixture"))


def test_without_its_density_kept_a_run_fits_one(linear, tmp_path):
    shutil.copytree(linear.path, tmp_path / "run")
    (tmp_path / "run" / "anomaly.npz").unlink()
    made = draw(isthmus.open_run(tmp_path / "run"), Wanted(n=200))
    codes = linear.latents[linear.splits == "train"]
    assert made.codes.std(axis=0) == pytest.approx(codes.std(axis=0), rel=0.2)


@pytest.mark.parametrize("density", ["mixture", "flow"])
def test_samples_of_a_label_look_like_it(density, linear):
    if density == "flow":
        pytest.importorskip("zuko", reason="needs isthmus[flow]")
    x, labels = two_kinds()
    for label in ("low", "high"):
        made = draw(linear, Wanted(n=200, density=density, label=label))
        to = [np.abs(made.x[:, 0] - x[labels == each, 0].mean()) for each in ("low", "high")]
        assert ((to[0] < to[1]) == (label == "low")).all()
        codes = linear.latents[(linear.splits == "train") & (labels == label)]
        np.testing.assert_allclose(made.codes.std(axis=0), codes.std(axis=0), rtol=0.25)


@pytest.mark.parametrize("radius", [0.0, 1.0, 3.0])
def test_around_a_sample_codes_come_from_its_posterior(radius, linear):
    data = load(linear.card["data"], labels="y")
    made = draw(linear, Wanted(n=4_000, around="7", radius=radius), data)
    mean, scale = linear.model.posterior(data[[7]])
    assert made.density == "posterior"
    codes, error = made.codes.astype(np.float64), radius * scale[0] / np.sqrt(4_000)
    assert (np.abs(codes.mean(axis=0) - mean[0]) < 4 * error + 1e-5).all()
    np.testing.assert_allclose(codes.std(axis=0), radius * scale[0], rtol=0.06, atol=1e-5)
    if radius == 0:
        np.testing.assert_allclose(made.x[0], linear.model.decode(mean)[0], rtol=1e-4)


def test_an_autoencoder_has_nothing_around_a_sample(certain):
    with pytest.raises(UsageError, match="an autoencoder has no posterior to draw from; ask"):
        draw(certain, Wanted(around="7"), load(certain.card["data"]))


def test_noise_has_the_spread_of_the_likelihood(linear):
    quiet, noisy = (draw(linear, Wanted(n=4_000, noise=noise)) for noise in (False, True))
    assert np.array_equal(quiet.codes, noisy.codes)
    model = linear.model
    expected = np.sqrt(model.noise_variance_) * model.scale_
    np.testing.assert_allclose((noisy.x - quiet.x).std(axis=0), expected, rtol=0.05)


def test_neighbours_are_of_the_training_part_in_units_of_the_columns(linear):
    data = load(linear.card["data"], labels="y")
    made = draw(linear, Wanted(n=9, neighbours=True), data)
    training = data[linear.splits == "train"]
    scale = linear.model.scale_
    distance = np.linalg.norm((made.x[:, None] - training.x) / scale, axis=2)
    nearest = distance.argmin(axis=1)
    assert made.neighbours.ids.tolist() == training.ids[nearest].tolist()
    np.testing.assert_allclose(made.neighbours.distance, distance.min(axis=1), rtol=1e-5)
    assert np.array_equal(made.neighbours.x, training.x[nearest])


@pytest.mark.parametrize("out", ["a.npz", "a.npy", "a.csv", "a.parquet", "a.png", "a"])
def test_same_seed_same_bytes(out, linear, certain, tmp_path):
    run = linear if out.endswith((".csv", ".parquet")) else certain
    found = []
    for place in ("one", "two"):
        write_samples(run, 4, tmp_path / place / out, neighbours=True, noise=True, seed=5)
        made = tmp_path / place / out
        files = [made] if made.is_file() else sorted(made.iterdir())
        found.append({file.name: file.read_bytes() for file in files})
    assert found[0] == found[1]


def test_an_npz_holds_everything(linear, tmp_path):
    facts = write_samples(linear, 4, tmp_path / "a.npz", label="low", neighbours=True, seed=5)
    arrays = read_arrays(tmp_path / "a.npz")
    assert arrays["x"].shape == (4, 6)
    assert arrays["codes"].shape == (4, 2)
    assert arrays["neighbour_distance"].shape == arrays["code_log_p"].shape == (4,)
    plain = {name: arrays[name].item() for name in ("density", "label", "temperature", "seed")}
    assert plain == {"density": "mixture", "label": "low", "temperature": 1.0, "seed": 5}
    assert facts["mean_code_log_p"] == pytest.approx(arrays["code_log_p"].mean())
    assert facts["n"] == 4


def test_a_table_is_read_again(linear, tmp_path):
    write_samples(linear, 4, tmp_path / "a.csv")
    write_samples(linear, 4, tmp_path / "a.npy")
    back = load(tmp_path / "a.csv")
    np.testing.assert_allclose(back.x, np.load(tmp_path / "a.npy"), rtol=1e-6)
    assert back.feature_names == tuple(f"x{i}" for i in range(6))


def test_a_folder_of_bytes_holds_what_rounding_leaves(certain, tmp_path):
    write_samples(certain, 12, tmp_path / "made", seed=1)
    write_samples(certain, 12, tmp_path / "a.npy", seed=1)
    files = sorted((tmp_path / "made").glob("*.png"))
    assert [file.name for file in files][:2] == ["sample-01.png", "sample-02.png"]
    found = np.stack([np.asarray(Image.open(file)) for file in files])
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.clip(np.rint(np.load(tmp_path / "a.npy")), 0, 255))
    rows = (tmp_path / "made" / "samples.csv").read_text().splitlines()
    assert rows[0] == "file,code_log_p,z0,z1"
    assert rows[1].startswith("sample-01.png,")


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_a_folder_of_other_values_holds_them(dtype, certain, tmp_path):
    run = isthmus.open_run(certain.path)
    run.card["facts"]["dtype"] = dtype
    write_samples(run, 3, tmp_path / "made", seed=1)
    write_samples(run, 3, tmp_path / "a.npy", seed=1)
    back, values = load(tmp_path / "made").x, np.load(tmp_path / "a.npy")
    assert back.dtype == dtype
    assert np.array_equal(back, values if dtype == "float32" else np.rint(values))


def test_a_folder_of_a_table_is_one_table(linear, tmp_path):
    write_samples(linear, 3, tmp_path / "made")
    assert sorted(f.name for f in (tmp_path / "made").iterdir()) == [
        "manifest.json",
        "samples.csv",
    ]
    header = (tmp_path / "made" / "samples.csv").read_text().splitlines()[0]
    assert header == "x0,x1,x2,x3,x4,x5,code_log_p,z0,z1"


def test_what_lies_in_a_folder_stays(certain, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file"):
        with pytest.raises(UsageError, match=f"{name}: is there already; choose another -o"):
            write_samples(certain, 2, tmp_path / name)
    assert (tmp_path / "full" / "mine").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    write_samples(certain, 2, tmp_path / "empty")
    assert len(list((tmp_path / "empty").glob("*.png"))) == 2


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"density": "kde"}, "density should be one of prior, mixture, flow, but got 'kde'"),
        ({"temperature": -1.0}, "temperature should be 0 or more, but got -1.0"),
        ({"radius": float("nan")}, "radius should be 0 or more, but got nan"),
        ({"radius": 2.0}, "radius has no meaning without around; leave it out"),
        ({"around": "7", "label": "low"}, "label has no meaning with around; leave it out"),
        ({"around": "7", "temperature": 2.0}, "temperature has no meaning with around"),
        ({"density": "prior", "label": "low"}, "the prior knows no labels; choose the mixture"),
    ],
)
def test_what_contradicts_itself_is_refused(how, told):
    with pytest.raises(UsageError, match=told):
        Wanted(**how)


def test_what_is_not_there_is_named(linear, certain, tmp_path):
    with pytest.raises(DataError, match=r"0 training sample\(s\) with the label 'red'; labels of "
                       "two or more are high, low"):  # fmt: skip
        write_samples(linear, 2, tmp_path / "a.npy", label="red")
    with pytest.raises(DataError, match="its data have no labels; leave out --label"):
        write_samples(certain, 2, tmp_path / "a.npy", label="red")
    with pytest.raises(DataError, match="no sample has the id 'x'; ids are such as 0, 1, 2"):
        write_samples(linear, 2, tmp_path / "a.npy", around="x")
    with pytest.raises(DataError, match=r"are not the data of "):
        write_samples(linear, 2, tmp_path / "a.npy", around="7", data=isthmus.Dataset(np.eye(6)))
    with pytest.raises(UsageError, match=r"a.csv: pictures do not fit a table; choose a .npz"):
        write_samples(certain, 2, tmp_path / "a.csv")
    assert not (tmp_path / "a.npy").exists()
