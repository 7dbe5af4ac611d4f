"""Memory that does not suffice, numbers that overflow, solvers that give up, other threads."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from forks import forks
from numpy.testing import assert_allclose
from scipy.sparse.linalg import ArpackNoConvergence

import isthmus
from isthmus.errors import IsthmusWarning, NumericalError
from isthmus.estimators import solvers
from materials import table

FIT = ["fit", "x.npy", "-o", "run", "--latent", "2", "--epochs", "3", "--batch-size", "50"]
PLAIN = ["--architecture", "Dense((512,))", "--map", "pca", "--no-loop", "--resume"]


def test_row_92_out_of_memory_is_told_and_the_run_goes_on_later(tmp_path):
    """Where a library ends the process by itself, what was done is there all the same."""
    rng = np.random.default_rng(0)
    surface = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 64))
    np.save(tmp_path / "x.npy", (surface + rng.normal(size=surface.shape)).astype("f4"))
    with forks() as start:
        for memory in (24, 108):
            code = start(tmp_path, FIT + PLAIN, memory << 20).wait()
            told = (tmp_path / "err.txt").read_text()
            last = told.splitlines()[-1]
            assert (code, last[:20]) == (5, "error: out of memory") or last.startswith("OpenBLAS")
            assert "Traceback" not in told
        assert start(tmp_path, FIT + PLAIN).wait() == 0, (tmp_path / "err.txt").read_text()
    assert isthmus.open_run(tmp_path / "run").card["stages"]["report"] == "done"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        ImportError("libx.so: failed to map segment from shared object"),
        SystemError("error return without exception set"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_row_92_whatever_way_it_is_said(error, run_cli, tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise error

    np.save(tmp_path / "a.npy", table())
    monkeypatch.setattr("isthmus.pipeline.describe", refuse)
    ended, _, stderr = run_cli("fit", "a.npy", "-o", "run")
    assert (ended, stderr.count("\n")) == (5, 1)
    assert stderr.startswith("error: out of memory; ")


def overflowing(rows: list[int]) -> isthmus.Autoencoder:
    """Trains in half precision on samples of which some overflow."""
    x = table(64).astype("f4")
    x[rows] = 1e30
    model = isthmus.Autoencoder(
        1,
        architecture=isthmus.Dense((8,)),
        likelihood=isthmus.Gaussian(1.0),
        scaling="none",
        precision="bfloat16",
        early_stopping=False,
        epochs=1,
        batch_size=4,
        random_state=0,
    )
    return model.fit(x)


def test_row_73_a_half_precision_overflow_is_skipped_and_a_repeated_one_refused():
    with pytest.warns(IsthmusWarning, match="not finite at step .*; that step was skipped"):
        model = overflowing([7])
    assert np.isfinite(model.transform(table().astype("f4"))).all()
    with pytest.raises(NumericalError, match=r"at step .*, nor at \d+ more of this epoch"):
        overflowing([*range(0, 64, 3)])


def test_row_74_where_the_exact_solver_gives_up_another_one_finds_the_same(monkeypatch):
    x, eigh = table(), scipy.linalg.eigh
    expected = isthmus.TruncatedSVD(2, random_state=0).fit(x)

    def gives_up(*matrix: np.ndarray, driver: str | None = None, **_: object) -> object:
        if driver is None:
            raise scipy.linalg.LinAlgError("2 eigenvectors failed to converge")
        return eigh(*matrix, driver=driver)

    def does_not_converge(*_: object, **__: object) -> object:
        raise ArpackNoConvergence("no convergence", np.empty(0), np.empty((0, 0)))

    monkeypatch.setattr(solvers, "eigh", gives_up)
    monkeypatch.setattr(solvers, "svds", does_not_converge)
    for solver, samples in (("gram", x), ("gram", x[:4]), ("arpack", x)):
        fitted = isthmus.TruncatedSVD(2, solver=solver, random_state=0)
        with pytest.warns(IsthmusWarning, match="did not converge"):
            fitted.fit(samples)
        if len(samples) == len(x):
            assert_allclose(fitted.singular_values_, expected.singular_values_)
            assert_allclose(fitted.components_, expected.components_, atol=1e-9)


def test_row_75_a_score_beyond_all_numbers_names_its_row():
    x = table().astype("f4")
    model = isthmus.VariationalAutoencoder(
        1, architecture=isthmus.Dense((8,)), epochs=1, random_state=0
    ).fit(x)
    x[3] *= 1e5
    assert np.isfinite(model.score_samples(x)).all()  # exp of it is far below all numbers
    x[3] *= 1e25
    with pytest.raises(NumericalError, match=r"X\[3\]: log p is -inf \(1 such samples\)"):
        model.score_samples(x)


class _Negative(isthmus.ELBO):
    """An objective whose divergence is wrong."""

    def __call__(self, *args: object) -> dict[str, torch.Tensor]:
        parts = super().__call__(*args)
        return parts | {"kl": parts["kl"] * 0 - 1e-3}


def test_row_72_a_negative_divergence_is_refused():
    model = isthmus.VariationalAutoencoder(
        1, architecture=isthmus.Dense((8,)), objective=_Negative(), epochs=1, random_state=0
    )
    with pytest.raises(NumericalError, match=r"KL divergence -0\.001 < 0 in epoch 1"):
        model.fit(table().astype("f4"))


def test_row_103_one_thread_and_two_agree_to_a_thousandth_of_a_nat():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(300, 4)) @ rng.normal(size=(4, 64))).astype("f4")
    x += rng.normal(size=x.shape).astype("f4")
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            model = isthmus.VariationalAutoencoder(
                4,
                architecture=isthmus.Dense((512, 512)),
                precision="float32",
                epochs=2,
                batch_size=128,
                random_state=0,
            )
            found.append((model.fit(x).transform(x), model.score_samples(x[:50])))
    finally:
        torch.set_num_threads(before)
    (codes, log_p), (again, other) = found
    assert_allclose(codes, again, atol=1e-4)
    assert_allclose(log_p, other, atol=1e-3)
