"""A step's losses and their gradient: plain, or compiled to a few passes over the memory.

Both run the same lines and draw the same numbers.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Generator, Tensor, nn

from isthmus.errors import IsthmusWarning
from isthmus.models.corruption import Corruption
from isthmus.models.draws import SharedGenerator
from isthmus.models.objectives import Objective
from isthmus.models.scaled import Batch, ScaledNetwork
from isthmus.training.compiling import compiled
from isthmus.training.flat import FlatParameters
from isthmus.training.optimizer import Adam
from isthmus.training.precision import MatmulPrecision
from isthmus.training.samples import Samples

__all__ = ["CompiledSlope", "Slope", "Step", "Steps", "worth_compiling"]

_WORTH_COMPILING = 20_000  # steps: at half a millisecond each they save the compiler's ten seconds

_ALIKE = 0.05  # of the gradient's length; bfloat16 alone is some 0.01 off

_TRACING = {"trace_autograd_ops": True}  # the gradient's are compiled with the loss's


class Step(NamedTuple):
    """What a batch asks for.

    Attributes:
        parts: of the objective, scalars.
        gradient: of all parameters, ``(p,)``.
        numbers: what a compiled step has made of the gradient, see
            :meth:`isthmus.training.optimizer.Adam.judged`.
    """

    parts: Mapping[str, Tensor]
    gradient: Tensor
    numbers: Tensor | None = None


class Steps(Protocol):
    """What a training loop asks of each batch."""

    def __call__(self, samples: Samples, generator: SharedGenerator, epoch: int) -> Step:
        """The step, not yet made."""


@dataclass(frozen=True, eq=False)
class Slope:
    """The objective of a batch, and how it changes with the parameters.

    Args:
        network: which trains.
        objective: its loss.
        corruption: how inputs are damaged.
        precision: of matrix products.
        flat: the network's parameters.
    """

    network: ScaledNetwork
    objective: Objective
    corruption: Corruption | None
    precision: MatmulPrecision
    flat: FlatParameters

    def __call__(self, samples: Samples, generator: Generator, epoch: int) -> Step:
        """The objective's parts, and the gradient."""
        parts = self.parts(samples, generator, epoch)
        gradients = torch.autograd.grad(
            parts["loss"], self.flat.parameters, allow_unused=True, materialize_grads=True
        )
        told = {name: part.detach() for name, part in parts.items()}
        return Step(told, self.flat.gather(gradients))

    def parts(self, samples: Samples, generator: Generator, epoch: int) -> dict[str, Tensor]:
        """The objective's parts, scalars."""
        with self.precision.forward():
            return self.objective(self.network, self.batch(samples, generator), generator, epoch)

    def batch(self, samples: Samples, generator: Generator) -> Batch:
        """Samples scaled, and damaged where the encoder sees them."""
        batch = self.network.batch(*samples)
        if self.corruption is None:
            return batch
        shape = self.network.sample_shape
        return batch._replace(seen=self.corruption(batch.seen, generator, shape))


class CompiledSlope:
    """A slope whose whole batches go through TorchInductor once the objective is the final one.

    So does what Adam makes of the gradient's length. The other batches, of another size or weight,
    would have to be compiled anew. What the compiler made it keeps in its own folder
    (``TORCHINDUCTOR_CACHE_DIR``). Where it fails, there is none, or its first gradient is not the
    plain one, training goes on without and says so.

    Args:
        slope: what to compile.
        adam: which judges its gradients.
        batch_size: samples of a whole batch.
    """

    def __init__(self, slope: Slope, adam: Adam, batch_size: int) -> None:
        self.slope, self.adam, self.batch_size, self.works = slope, adam, batch_size, True
        self._compiled: Any = None

    def __call__(self, samples: Samples, generator: Generator, epoch: int) -> Step:
        """As of the plain one, judged."""
        whole = len(samples.x) == self.batch_size
        if self.works and whole and epoch >= self.slope.objective.settled:
            try:
                if self._compiled is None:
                    return self._first(samples, generator)
                return self._fast(samples, generator)
            except Exception as error:
                self.works = False
                _warn(error)
        return self.slope(samples, generator, epoch)

    def _first(self, samples: Samples, generator: Generator) -> Step:
        """The compiled step, once it has been held against the plain one."""
        self._compiled = compiled(self._whole, fallback_random=True)  # draws as without it
        before, remembered = generator.get_state(), self.adam.memory()
        with warnings.catch_warnings(), torch._dynamo.config.patch(_TRACING):
            warnings.simplefilter("ignore")  # PyTorch's, about its own parts
            step = self._fast(samples, generator)
        step = step._replace(gradient=step.gradient.clone())  # both are written to one place
        after = generator.get_state()
        generator.set_state(before)
        plain = self.slope(samples, generator, self.slope.objective.settled).gradient
        generator.set_state(before)
        error, size = (step.gradient - plain).norm(), plain.norm()
        if not error <= _ALIKE * size:
            self.adam.remember(remembered)
            raise RuntimeError(f"its gradient is {float(error / size):.1%} off")
        generator.set_state(after)
        return step

    def _whole(self, samples: Samples, generator: Any, epoch: int) -> Step:
        step = self.slope(samples, generator, epoch)
        return step._replace(numbers=self.adam.judged(step.gradient))

    def _fast(self, samples: Samples, generator: Generator) -> Step:
        with _lent(generator):
            found: Step = self._compiled(samples, None, self.slope.objective.settled)
        return found


def _warn(error: Exception) -> None:
    cause = next(iter(str(error).splitlines()), type(error).__name__)
    warnings.warn(
        f"the training step was not compiled ({cause}); training goes on without",
        IsthmusWarning,
        stacklevel=3,
    )


@contextmanager
def _lent(generator: Generator) -> Iterator[None]:
    """PyTorch's own generator goes on from this one: compiled functions draw from no other."""
    own = _default_generator(generator.device)
    before = own.get_state()
    own.set_state(generator.get_state())
    try:
        yield
        generator.set_state(own.get_state())
    finally:
        own.set_state(before)


def _default_generator(device: torch.device) -> Generator:
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator


def worth_compiling(network: nn.Module, steps: int, device: torch.device) -> bool:
    """Whether a training is long enough to repay the compiler, on a machine that has one.

    Convolutions gain nothing. On a GPU a small network's time is that of launching its kernels,
    of which there are far fewer then.
    """
    convolves = any(isinstance(module, nn.Conv2d) for module in network.modules())
    return not convolves and steps >= _WORTH_COMPILING and _compiles_for(device)


def _compiles_for(device: torch.device) -> bool:
    """Whether what TorchInductor would call is there."""
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return False
    known = device.type in ("cpu", "cuda")
    return known and shutil.which(os.environ.get("CXX", "g++")) is not None
