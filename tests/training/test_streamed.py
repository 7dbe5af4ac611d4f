"""Data read by windows: every sample once an epoch, in an order that a seed repeats."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from test_training import trainer, weights

from isthmus.models.draws import SharedGenerator
from isthmus.training.checkpoint import Checkpoints
from isthmus.training.loop import Hooks
from isthmus.training.samples import Chosen, Samples, Source, Streamed

pytestmark = pytest.mark.usefixtures("forked_random")

N = 203


def resident() -> Samples:
    return Samples(torch.randn((N, 8), generator=torch.Generator().manual_seed(3)))


class Reader:
    """Reads samples and remembers how many at a time."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, rows: np.ndarray) -> Samples:
        self.asked.append(len(rows))
        return resident().take(torch.from_numpy(rows))


def streamed(read: Reader | None = None, *, together: int = 10, window: int = 45) -> Streamed:
    places = np.random.default_rng(0).permutation(2 * N)[:N]  # some of a file's, in any order
    return Streamed(places, read or Reader(), together, window, torch.device("cpu"))


def batches(source: Source, seed: int = 0, size: int = 16, rows=None, done: int = 0):
    generator = SharedGenerator()
    generator.manual_seed(seed)
    chosen = torch.arange(N) if rows is None else rows
    return [batch.x for batch in source.batches(chosen, size, generator, done)]


@pytest.mark.parametrize("window", [1, 16, 45, 1000])
@pytest.mark.parametrize("size", [1, 16, 64, 300])
def test_every_sample_comes_once_in_batches_of_one_size(size, window):
    got = batches(streamed(window=window), size=size)
    assert [len(x) for x in got[:-1]] == [size] * ((N - 1) // size)
    in_order = torch.cat(got).sort(dim=0).values
    assert torch.equal(in_order, resident().x.sort(dim=0).values)


def test_the_order_is_random_and_belongs_to_the_generator():
    first, same, other = (torch.cat(batches(streamed(), seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_rows_may_be_some_and_repeated():
    rows = torch.tensor([5, 5, 9, 200])
    got = torch.cat(batches(streamed(), rows=rows)).sort(dim=0).values
    assert torch.equal(got, resident().x[rows].sort(dim=0).values)


def lent() -> Chosen:
    many = Samples(torch.cat([torch.zeros(7, 8), resident().x]))
    return Chosen(many, torch.arange(7, 7 + N))


def test_chosen_samples_come_as_if_they_were_all():
    assert all(map(torch.equal, batches(lent()), batches(resident())))
    rows = torch.tensor([5, 5, 9, 200])
    assert all(map(torch.equal, batches(lent(), rows=rows), batches(resident(), rows=rows)))


@pytest.mark.parametrize(
    "source", [resident(), lent(), streamed()], ids=["resident", "lent", "streamed"]
)
@pytest.mark.parametrize("done", [0, 1, 5, 12, 13])
def test_batches_that_are_done_are_left_out(source, done):
    whole, rest = batches(source), batches(source, done=done)
    assert len(rest) == len(whole) - done
    assert all(torch.equal(a, b) for a, b in zip(rest, whole[done:], strict=True))


def test_windows_that_are_done_are_not_read():
    whole, rest = Reader(), Reader()
    batches(streamed(whole))
    batches(streamed(rest), done=10)
    assert rest.asked == whole.asked[-len(rest.asked) :]
    assert len(rest.asked) < len(whole.asked)


def test_no_more_is_read_at_a_time_than_a_window_and_a_stretch():
    read = Reader()
    batches(streamed(read, together=10, window=45))
    assert max(read.asked) <= 45 + 10
    assert sum(read.asked) == N


def test_what_goes_wrong_in_reading_comes_to_the_one_who_trains():
    def broken(rows: np.ndarray) -> Samples:
        raise OSError("the disk is gone")

    source = Streamed(np.arange(N), broken, 10, 45, torch.device("cpu"))
    with pytest.raises(OSError, match="the disk is gone"):
        batches(source)


@pytest.mark.parametrize("make", [resident, streamed])
@pytest.mark.parametrize("asked_before", [1, 7, 8, 20])
def test_a_run_stopped_within_an_epoch_goes_on_as_if_it_had_not(
    tmp_path, monkeypatch, make, asked_before
):
    whole = trainer(data=make(), epochs=3)
    whole.run()
    monkeypatch.setattr("isthmus.training.loop._REMEMBERED", 0.0)
    monkeypatch.setattr("isthmus.training.loop._SAVED", 0.0)
    asked, checkpoints = itertools.count(1), Checkpoints(tmp_path, every=10)
    hooks = Hooks(checkpoints, interrupted=lambda: next(asked) > asked_before)
    stopped = trainer(data=make(), epochs=3, hooks=hooks)
    assert stopped.run().stopped == "interrupted"
    monkeypatch.undo()
    resumed = trainer(data=make(), epochs=3, hooks=Hooks(checkpoints))
    resumed.run()
    assert weights(resumed) == weights(whole)
    assert resumed.history == whole.history
    assert len(list(tmp_path.iterdir())) <= 2


def test_streamed_samples_train_as_well_as_resident_ones():
    losses = []
    for data in (resident(), streamed()):
        run = trainer(data=data, epochs=8)
        losses.append(run.run().rows[-1]["train"]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
