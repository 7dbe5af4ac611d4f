"""The training loop: known answers, exact resumption, and who is told what."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.linalg import subspace_angles

from isthmus.errors import IsthmusWarning, NumericalError, RunCorruptError, UsageError
from isthmus.estimators import Autoencoder, TruncatedSVD
from isthmus.models.corruption import GaussianNoise
from isthmus.models.likelihoods import Gaussian
from isthmus.models.networks import Dense
from isthmus.models.objectives import ELBO, Objective, Reconstruction
from isthmus.models.variational import VariationalNetwork
from isthmus.training.checkpoint import Checkpoints
from isthmus.training.history import Progress
from isthmus.training.loop import Hooks, Samples, Trainer, evaluate
from isthmus.training.settings import Settings, resolve_device

pytestmark = pytest.mark.usefixtures("forked_random")


def samples(n: int = 90, d: int = 8, seed: int = 0) -> Samples:
    rng, mixing = np.random.default_rng(seed), np.random.default_rng(99).normal(size=(3, d))
    x = rng.normal(size=(n, 3)) @ mixing + 0.1 * rng.normal(size=(n, d))
    return Samples(torch.from_numpy(x.astype(np.float32)))


def trainer(
    *,
    data: Samples | None = None,
    rows: torch.Tensor | None = None,
    validation: Samples | None = None,
    objective: Objective = ELBO(),  # noqa: B008 - frozen
    hooks: Hooks = Hooks(),  # noqa: B008 - frozen
    corruption: Any = None,
    width: int = 12,
    **settings: Any,
) -> Trainer:
    torch.manual_seed(0)
    network = VariationalNetwork(
        (8,), 2, architecture=Dense((width,)), likelihood=Gaussian("learned")
    )
    defaults = {"epochs": 6, "batch_size": 16, "learning_rate": 1e-2, "precision": "float32"}
    return Trainer(
        network,
        objective,
        samples() if data is None else data,
        rows=rows,
        validation=validation,
        corruption=corruption,
        settings=Settings(**(defaults | settings)),
        hooks=hooks,
    )


def weights(of: Trainer) -> bytes:
    return b"".join(p.detach().numpy().tobytes() for p in of.network.parameters())


def spectrum(n: int, d: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(d, d)))
    return (rng.normal(size=(n, d)) * 0.75 ** np.arange(d) @ basis.T).astype(np.float32)


@pytest.mark.parametrize("k", [2, 5])
def test_a_linear_autoencoder_finds_the_truncated_svd(k):
    x = spectrum(400, 30)
    svd = TruncatedSVD(k, center=False, random_state=0).fit(x)
    autoencoder = Autoencoder(
        k,
        architecture=Dense((), "linear", bias=False),
        likelihood=Gaussian(1.0),
        scaling="none",
        epochs=1200,
        batch_size=len(x),
        learning_rate=0.05,
        schedule="cosine",
        early_stopping=False,
        clip=None,
        precision="float32",
        random_state=0,
    ).fit(x)
    best, reached = (np.square(x - m.reconstruct(x)).sum() for m in (svd, autoencoder))
    assert best * (1 - 1e-6) <= reached <= best * 1.001
    decoder = autoencoder.network_.decoder[0].weight.detach().numpy()
    assert subspace_angles(decoder, svd.components_.T).max() < 0.05


@pytest.mark.parametrize("corruption", [None, GaussianNoise(0.2)])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "staged", "plateau"])
def test_a_resumed_run_is_the_same_run_byte_for_byte(tmp_path, schedule, corruption):
    options = {
        "schedule": schedule,
        "corruption": corruption,
        "validation": samples(30, seed=1),
        "patience": 5,
        "epochs": 6,
    }
    whole = trainer(**options)
    whole.run()
    checkpoints = Checkpoints(tmp_path)
    asked = itertools.count(1)
    stopped = trainer(**options, hooks=Hooks(checkpoints, interrupted=lambda: next(asked) > 3))
    assert stopped.run().stopped == "interrupted"
    assert len(stopped.history.rows) == 3
    assert weights(stopped) != weights(whole)
    resumed = trainer(**options, hooks=Hooks(checkpoints))
    resumed.run()
    assert weights(resumed) == weights(whole)
    assert resumed.history == whole.history
    assert torch.equal(resumed.generator.get_state(), whole.generator.get_state())
    again = trainer(**options, hooks=Hooks(checkpoints))  # nothing is left to do
    assert again.run() == whole.history
    assert weights(again) == weights(whole)


def kept(tmp_path: Any, **options: Any) -> tuple[Trainer, list[Any]]:
    run = trainer(hooks=Hooks(Checkpoints(tmp_path)), **options)
    run.run()
    return run, sorted(tmp_path.glob("step-*"))


def flip(path: Any) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_the_last_two_checkpoints_are_kept_and_hold_nothing_executable(tmp_path):
    _, folders = kept(tmp_path)
    assert [f.name for f in folders] == ["step-000030", "step-000036"]
    names = {p.name for folder in folders for p in folder.iterdir()}
    assert names == {"state.safetensors", "state.json", "manifest.json"}


def test_checkpoints_are_kept_as_often_as_asked_and_at_the_end(tmp_path):
    trainer(hooks=Hooks(Checkpoints(tmp_path, every=4))).run()
    assert sorted(f.name for f in tmp_path.iterdir()) == ["step-000024", "step-000036"]
    asked = itertools.count(1)
    hooks = Hooks(Checkpoints(tmp_path / "other", every=4), interrupted=lambda: next(asked) > 3)
    assert trainer(hooks=hooks).run().stopped == "interrupted"
    assert [f.name for f in (tmp_path / "other").iterdir()] == ["passing-000018"]
    trainer(hooks=Hooks(Checkpoints(tmp_path / "other", every=4))).run()
    for step in ("step-000024", "step-000036"):
        whole, resumed = (tmp_path / name / step for name in ("", "other"))
        assert {p.name: p.read_bytes() for p in whole.iterdir()} == {
            p.name: p.read_bytes() for p in resumed.iterdir()
        }
    assert len(list((tmp_path / "other").iterdir())) == 2


def test_what_was_trained_since_the_last_checkpoint_is_saved_when_the_process_ends(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("isthmus.training.loop._WORTH_REMEMBERING", 0.0)
    asked = itertools.count(1)

    def ended() -> bool:
        if next(asked) > 3:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        trainer(hooks=Hooks(Checkpoints(tmp_path, every=4), interrupted=ended)).run()
    assert [f.name for f in tmp_path.iterdir()] == ["passing-000018"]


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "manifest.json"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, name):
    run, (before, last) = kept(tmp_path)
    flip(last / name)
    with pytest.warns(IsthmusWarning, match=f"{last.name} is damaged"):
        state = Checkpoints(tmp_path).newest()
    assert state is not None
    assert state.step == 30
    resumed = trainer(hooks=Hooks(Checkpoints(tmp_path)))
    with pytest.warns(IsthmusWarning, match="damaged"):
        resumed.run()
    assert weights(resumed) == weights(run)
    assert before.exists()


def test_a_truncated_checkpoint_gives_way_to_the_one_before(tmp_path):
    _, (_, last) = kept(tmp_path)
    (last / "state.safetensors").write_bytes(b"\x08")
    with pytest.warns(IsthmusWarning, match="another size"):
        state = Checkpoints(tmp_path).newest()
    assert state is not None
    assert state.step == 30


def test_no_whole_checkpoint_left_is_an_error(tmp_path):
    _, folders = kept(tmp_path)
    for folder in folders:
        flip(folder / "state.safetensors")
    with (
        pytest.warns(IsthmusWarning, match="damaged"),
        pytest.raises(RunCorruptError, match="no whole checkpoint"),
    ):
        Checkpoints(tmp_path).newest()


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    kept(tmp_path)
    other = trainer(hooks=Hooks(Checkpoints(tmp_path)), width=13)
    with pytest.raises(RunCorruptError, match="step 36 is of another network"):
        other.run()


def test_half_written_and_foreign_folders_are_no_checkpoints(tmp_path):
    _, folders = kept(tmp_path)
    folders[-1].rename(tmp_path / "step-000036.tmp")
    (tmp_path / "step-notes").mkdir()
    state = Checkpoints(tmp_path).newest()
    assert state is not None
    assert state.step == 30
    assert Checkpoints(tmp_path / "none").newest() is None


def test_the_best_weights_are_restored():
    validation = samples(30, seed=1)
    run = trainer(validation=validation, epochs=40, learning_rate=0.05, patience=40)
    history = run.run()
    losses = [row["validation"]["loss"] for row in history.rows]
    assert history.best_epoch == int(np.argmin(losses)) + 1
    assert history.best_epoch < len(losses)
    assert history.best_loss == min(losses)
    judged = evaluate(run.network, run.objective, validation, seed=run.settings.seed)
    assert judged["loss"] == pytest.approx(history.best_loss, rel=1e-6)


def test_patience_ends_training():
    history = trainer(
        validation=samples(30, seed=1), epochs=500, learning_rate=0.05, patience=4
    ).run()
    assert history.stopped == "no better held-out loss for 4 epochs"
    assert len(history.rows) == history.best_epoch + 4


def test_warm_up_is_no_reason_to_stop_and_its_epochs_are_not_the_best():
    history = trainer(
        validation=samples(30, seed=1), objective=ELBO(warm_up=12), epochs=14, patience=2,
        learning_rate=0.05,
    ).run()  # fmt: skip
    assert len(history.rows) > 12
    assert history.best_epoch >= 12


def test_held_out_data_are_judged_by_the_same_draws_whatever_the_epoch():
    run = trainer(corruption=GaussianNoise(0.2), validation=samples(30, seed=1), epochs=0)
    run.run()
    judged = [evaluate(run.network, run.objective, samples(30, seed=1), seed=3) for _ in range(2)]
    assert judged[0] == judged[1]
    assert run.history.stopped == "all epochs done"
    assert run.history.rows == []


def test_evaluation_is_a_mean_over_samples_whatever_the_batches(monkeypatch):
    run = trainer(objective=Reconstruction())
    one = evaluate(run.network, run.objective, samples(), seed=0)
    monkeypatch.setattr("isthmus.training.loop._EVALUATION_BATCH", 7)
    assert evaluate(run.network, run.objective, samples(), seed=0) == pytest.approx(one, rel=1e-6)


def rates(**options: Any) -> list[float]:
    return [row["learning_rate"] for row in trainer(**options).run().rows]


def test_schedules():
    assert rates(schedule="constant") == [1e-2] * 6
    cosine = rates(schedule="cosine", batch_size=90)
    assert_allclose(cosine, [0.5e-2 * (1 + math.cos(math.pi * e / 6)) for e in range(6)])
    staged = rates(schedule="staged")  # 1, then 3, then 9 epochs
    assert_allclose(staged, [1e-2 * 10 ** (-stage / 7) for stage in (0, 1, 1, 1, 2, 2)])
    validation = samples(30, seed=1)
    plateau = rates(
        schedule="plateau", validation=validation, patience=6, epochs=60, learning_rate=0.05
    )
    steps = [b / a for a, b in itertools.pairwise(plateau) if b != a]
    assert steps
    assert_allclose(steps, 1 / 3)


def first_step(clip: Any, growth: float) -> float:
    """How far one step of plain size moves the weights, for a loss ``growth`` times as great."""

    class Scaled(Reconstruction):
        def __call__(self, network: Any, batch: Any, *args: Any) -> dict[str, Any]:
            return {"loss": super().__call__(network, batch, *args)["loss"] * growth}

    run = trainer(objective=Scaled(), clip=clip, epochs=1, batch_size=90, adam_epsilon=1.0)
    before = [p.detach().clone() for p in run.network.parameters()]
    run.run()
    moved = [
        (p.detach() - b).square().sum()
        for p, b in zip(run.network.parameters(), before, strict=True)
    ]
    return float(torch.stack(moved).sum().sqrt())


def test_clipping_bounds_the_gradient():
    """With an epsilon as great as the gradient, Adam's step tells the gradient's size."""
    free, bound = (first_step(clip, 1e3) for clip in (None, 1e-2))
    assert bound < 1e-2 * 1.01 * 1e-2
    assert free > 10 * bound
    assert first_step(1e9, 1.0) == pytest.approx(first_step(None, 1.0), rel=1e-6)


def test_bfloat16_follows_float32():
    losses = {}
    for precision in ("float32", "bfloat16"):
        run = trainer(precision=precision, epochs=8, objective=Reconstruction())
        losses[precision] = np.array([row["train"]["loss"] for row in run.run().rows])
        assert all(p.dtype == torch.float32 for p in run.network.parameters())
    assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.01)
    assert (losses["bfloat16"] != losses["float32"]).any()


def test_the_interrupted_hook_is_asked_after_every_epoch():
    asked = itertools.count(1)
    run = trainer(hooks=Hooks(interrupted=lambda: next(asked) > 2))
    history = run.run()
    assert history.stopped == "interrupted"
    assert len(history.rows) == 2
    assert not run.network.training


def test_the_watch_is_told_of_the_progress(monkeypatch):
    ticks = itertools.count(1)
    monkeypatch.setattr("isthmus.training.loop.time.monotonic", lambda: float(next(ticks)))
    told: list[Progress] = []
    trainer(hooks=Hooks(watch=told.append), epochs=2).run()
    assert len(told) == 2 * math.ceil(90 / 16)
    assert told[-1].samples == told[-1].total == 180
    assert (told[0].epoch, told[-1].epoch, told[0].epochs) == (0, 1, 2)
    assert [t.samples for t in told] == sorted(t.samples for t in told)
    assert not told[0].parts
    assert set(told[-1].parts) == {"loss", "reconstruction", "kl"}


def test_rows_are_means_in_nats_per_sample():
    run = trainer(objective=Reconstruction(), epochs=1, learning_rate=1e-30)
    (row,) = run.run().rows
    judged = evaluate(run.network, run.objective, samples(), seed=0)
    assert row["train"]["loss"] == pytest.approx(judged["loss"], rel=1e-5)
    assert (row["epoch"], row["step"]) == (1, math.ceil(90 / 16))


@pytest.mark.parametrize(("n", "batch_size"), [(17, 16), (1, 16), (5, 1)])
def test_a_last_batch_of_one(n, batch_size):
    history = trainer(data=samples(n), batch_size=batch_size, epochs=2).run()
    assert all(math.isfinite(row["train"]["loss"]) for row in history.rows)


def test_a_loss_that_leaves_the_finite_numbers_names_its_step(tmp_path):
    run, folders = kept(tmp_path, epochs=2)
    data = samples()
    data.x[7] = 1e30
    worse = trainer(data=data, epochs=4, hooks=Hooks(Checkpoints(tmp_path)))
    with pytest.raises(NumericalError, match=r"not finite at step (1[3-9])\b.*learning rate"):
        worse.run()
    assert sorted(tmp_path.glob("step-*")) == folders
    assert not torch.isnan(torch.cat([p.flatten() for p in run.network.parameters()])).any()


def test_a_single_bad_step_in_half_precision_is_skipped_with_a_warning():
    data = samples()
    data.x[7] = 1e30
    run = trainer(data=data, epochs=1, precision="bfloat16", objective=Reconstruction())
    with pytest.warns(IsthmusWarning, match="not finite at step"):
        (row,) = run.run().rows
    assert math.isfinite(row["train"]["loss"])
    assert all(torch.isfinite(p).all() for p in run.network.parameters())


def test_training_leaves_the_flushing_of_denormals_as_it_was():
    torch.set_flush_denormal(True)
    try:
        trainer(epochs=1).run()
        assert np.float64(5e-324) * np.float64(1.0) == 0
    finally:
        torch.set_flush_denormal(False)
    trainer(epochs=1).run()
    assert np.float64(5e-324) * np.float64(1.0) != 0


def test_masked_values_and_their_noise_reach_the_loss():
    x = samples().x
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) > 0.3
    runs = []
    for hidden in (0.0, 50.0):
        run = trainer(data=Samples(x.where(mask, torch.tensor(hidden)), mask), epochs=2)
        run.run()
        runs.append(weights(run))
    assert runs[0] == runs[1]


def test_rows_make_up_an_epoch():
    """Rows named twice are as the samples given twice; all rows, or none named, are one thing."""
    data, rows = samples(), torch.cat([torch.arange(90), torch.arange(20)])
    pairs = [
        (trainer(data=data, rows=rows), trainer(data=data.take(rows))),
        (trainer(data=data, rows=torch.arange(90)), trainer(data=data)),
    ]
    for named, given in pairs:
        assert named.run() == given.run()
        assert weights(named) == weights(given)
    assert pairs[0][0].history.rows[0]["step"] == math.ceil(110 / 16)


def test_rows_that_are_not_named_are_not_seen():
    data = samples()
    data.x[60:] = math.nan
    history = trainer(data=data, rows=torch.arange(60)).run()
    assert all(math.isfinite(row["train"]["loss"]) for row in history.rows)


def test_the_part_that_left_the_finite_numbers_is_named():
    data = samples()
    data.x[7] = 3e38
    data.x[8] = -3e38
    with pytest.raises(NumericalError, match=r"at step \d+ \(first in encoder\.0 \(Linear\)\)"):
        trainer(data=data, objective=Reconstruction()).run()


def test_unobserved_values_are_shown_as_the_fill_and_cost_nothing():
    network = trainer().network
    network.fill.copy_(torch.arange(8.0))
    x, mask = samples(4).x, torch.ones(4, 8, dtype=torch.bool)
    mask[:, 3] = False
    batch = network.batch(x, mask, torch.full((4, 8), math.nan).where(~mask, 0.25))
    assert (batch.seen[:, 3] == 3).all()
    assert torch.equal(batch.seen[mask], x[mask])
    assert torch.isfinite(batch.variance).all()
    z = torch.zeros(4, 2)
    assert torch.isfinite(network.log_likelihood(z, batch)).all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": -1}, "epochs should be >= 0"),
        ({"batch_size": 0}, "batch_size >= 1"),
        ({"learning_rate": 0.0}, r"learning_rate should be in \(0, inf\) but got 0.0"),
        ({"learning_rate": math.nan}, "learning_rate should be in"),
        ({"patience": 0}, "patience should be at least 1 but got 0"),
        ({"schedule": "step"}, "schedule should be one of .* but got 'step'"),
        ({"precision": "float16"}, "precision should be one of .* but got 'float16'"),
        ({"clip": 0.0}, "clip should be"),
        ({"clip": "often"}, "clip should be"),
    ],
)
def test_settings_are_refused_with_the_rule_and_the_value(setting, message):
    with pytest.raises(UsageError, match=message):
        Settings(**setting)


def test_devices():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda")
    with pytest.raises(UsageError, match="use device='auto'"):
        resolve_device("abacus")
