"""The data as the training loop has them: on the device, or read from the disk by windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from isthmus.contracts import IntArray

__all__ = ["Chosen", "Samples", "Source", "Streamed"]


class Samples(NamedTuple):
    """Data in data units: ``(n, d)`` each.

    Attributes:
        x: the values.
        mask: True where one was observed.
        variance: known noise variance of each.
        aux: what a response needs to know of each sample, ``(n,)`` each.
    """

    x: Tensor
    mask: Tensor | None = None
    variance: Tensor | None = None
    aux: Mapping[str, Tensor] = MappingProxyType({})

    @property
    def n(self) -> int:
        """How many samples there are."""
        return len(self.x)

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.x.device

    def take(self, index: Tensor | slice) -> Samples:
        """Some of the rows."""
        return self._each(lambda field: _picked(field, index))

    def to(self, device: torch.device) -> Samples:
        """The same, there."""
        return self._each(lambda field: field.to(device))

    def joined(self, other: Samples) -> Samples:
        """These, and the others after them."""
        pairs = zip(self[1:3], other[1:3], strict=True)
        mask, variance = (
            None if one is None or two is None else torch.cat([one, two]) for one, two in pairs
        )
        aux = {name: torch.cat([field, other.aux[name]]) for name, field in self.aux.items()}
        return Samples(torch.cat([self.x, other.x]), mask, variance, aux)

    def batches(
        self, rows: Tensor, size: int, generator: Generator, done: int = 0
    ) -> Iterator[Samples]:
        """The rows in random order, ``size`` at a time; the last batch may be smaller.

        Args:
            rows: perhaps some repeatedly.
            size: of a batch.
            generator: of the order, which is drawn at once.
            done: batches left out, as they were given already.
        """
        device = self.x.device
        order = rows[torch.randperm(len(rows), generator=generator, device=device)]
        starts = range(done * size, len(rows), size)
        return (self.take(order[start : start + size]) for start in starts)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Samples:
        mask, variance = (f if f is None else change(f) for f in self[1:3])
        aux = {name: change(field) for name, field in self.aux.items()}
        return Samples(change(self.x), mask, variance, aux)


class Source(Protocol):
    """Whence batches come: :class:`Samples`, :class:`Chosen` or :class:`Streamed`."""

    @property
    def n(self) -> int:
        """How many samples there are."""

    @property
    def device(self) -> torch.device:
        """Where the batches are."""

    def take(self, index: Tensor | slice, /) -> Samples:
        """Some of the rows, on the device."""

    def to(self, device: torch.device, /) -> Source:
        """The same, with batches there."""

    def batches(
        self, rows: Tensor, size: int, generator: Generator, done: int = 0, /
    ) -> Iterator[Samples]:
        """The rows in random order, on the device."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """Some of many samples, which stay where they are.

    Attributes:
        samples: of which they are some.
        rows: which, ``(n,)``.
    """

    samples: Samples
    rows: Tensor

    @property
    def n(self) -> int:
        """How many samples are chosen."""
        return len(self.rows)

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.samples.device

    def take(self, index: Tensor | slice) -> Samples:
        """Some of the rows."""
        return self.samples.take(self.rows[index])

    def to(self, device: torch.device) -> Chosen:
        """The same, there."""
        return Chosen(self.samples.to(device), self.rows.to(device))

    def batches(
        self, rows: Tensor, size: int, generator: Generator, done: int = 0
    ) -> Iterator[Samples]:
        """As of :class:`Samples`."""
        return self.samples.batches(self.rows[rows], size, generator, done)


@dataclass(frozen=True, eq=False)
class Streamed:
    """Data on the disk, read by windows: many stretches of rows that lie together.

    An epoch goes through the stretches in random order; as many as fill a window are read
    together, and their rows shuffled. While one window is trained on, the next is read. The order
    belongs to the generator's state alone.

    Attributes:
        places: where each sample lies, ``(n,)``.
        read: the samples of some numbers, on the host.
        together: places that are read in one go.
        window: samples held at a time.
        device: where batches are wanted.
    """

    places: IntArray
    read: Callable[[IntArray], Samples]
    together: int
    window: int
    device: torch.device

    @property
    def n(self) -> int:
        """How many samples there are."""
        return len(self.places)

    def take(self, index: Tensor | slice) -> Samples:
        """Some of the rows, read anew."""
        if isinstance(index, slice):
            return self.read(np.arange(*index.indices(self.n))).to(self.device)
        return self.read(index.cpu().numpy()).to(self.device)

    def batches(
        self, rows: Tensor, size: int, generator: Generator, done: int = 0
    ) -> Iterator[Samples]:
        """As of :class:`Samples`; what was given already is not read again."""
        seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
        rng = np.random.default_rng(int(seed))
        return self._batches(self._windows(rows.cpu().numpy(), rng), size, rng, done * size)

    def to(self, device: torch.device) -> Streamed:
        """The same, with batches there."""
        return replace(self, device=device)

    def _batches(
        self, windows: list[IntArray], size: int, rng: np.random.Generator, done: int
    ) -> Iterator[Samples]:
        while windows and done >= len(windows[0]):
            done -= len(rng.permutation(len(windows.pop(0))))
        left: Samples | None = None  # of the window before, too few for a batch
        for window in self._read_ahead(windows):
            order = torch.from_numpy(rng.permutation(window.n))[done:]
            begun = done = 0
            if left is not None:
                begun = size - left.n
                left = left.joined(window.take(order[:begun]))
                if left.n < size:
                    continue
                yield left.to(self.device)
            whole = begun + (len(order) - begun) // size * size
            for start in range(begun, whole, size):
                yield window.take(order[start : start + size]).to(self.device)
            left = window.take(order[whole:]) if whole < len(order) else None
        if left is not None:
            yield left.to(self.device)

    def _windows(self, rows: IntArray, rng: np.random.Generator) -> list[IntArray]:
        """The samples of each window."""
        sorted_rows = rows[np.argsort(self.places[rows], kind="stable")]
        stretch = self.places[sorted_rows] // self.together
        parts = np.split(sorted_rows, np.flatnonzero(np.diff(stretch)) + 1)
        shuffled = [parts[i] for i in rng.permutation(len(parts))]
        ends = np.cumsum([len(part) for part in shuffled]) // max(1, self.window)
        cuts = np.flatnonzero(np.diff(ends)) + 1
        groups = np.split(np.arange(len(shuffled)), cuts)
        return [np.concatenate([shuffled[i] for i in group]) for group in groups]

    def _read_ahead(self, windows: list[IntArray]) -> Iterator[Samples]:
        if not windows:
            return
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self.read, windows[0])
            for following in windows[1:]:
                window = coming.result()
                coming = reader.submit(self.read, following)
                yield window
            yield coming.result()


def _picked(field: Tensor, index: Tensor | slice) -> Tensor:
    return field[index] if isinstance(index, slice) else field.index_select(0, index)
