"""What a training does with a batch: plainly, or compiled to a few passes over the memory.

Both run the same lines and draw the same numbers.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn

from isthmus.errors import IsthmusWarning
from isthmus.models.draws import SharedGenerator
from isthmus.training.optimizer import Adam
from isthmus.training.samples import Samples
from isthmus.training.slope import Gradient, Slope

__all__ = ["CompiledSteps", "Losses", "Steps", "worth_compiling"]

_WORTH_COMPILING = 20_000  # steps: at a millisecond each they save the compiler's twenty seconds

_ALIKE = 0.05  # of the gradient's length; bfloat16 alone is some 0.01 off

_TRACING = {"trace_autograd_ops": True}  # the gradient's are compiled with the loss's

Losses = tuple[tuple[str, ...], Tensor]
"""The names of an objective's parts, and the parts of a batch, ``(parts,)``."""


class Steps:
    """Down the slope by the optimizer, a batch at a time.

    Args:
        slope: of one process or of several.
        adam: which moves the parameters.
    """

    def __init__(
        self, slope: Callable[[Samples, SharedGenerator, int], Gradient], adam: Adam
    ) -> None:
        self.slope, self.adam = slope, adam

    def __call__(self, samples: Samples, generator: SharedGenerator, epoch: int) -> Losses:
        """Make one step; what the batch cost before it."""
        names, losses, gradients = self.slope(samples, generator, epoch)
        self.adam.step(gradients)
        return names, losses


class CompiledSteps(Steps):
    """The steps of whole batches go through TorchInductor once the objective is the final one.

    The other batches, of another size or weight, would have to be compiled anew. What the compiler
    made it keeps in its own folder (``TORCHINDUCTOR_CACHE_DIR``). Where it fails, there is none,
    or its first gradient is not the plain one, training goes on without and says so.

    Args:
        slope: of one process.
        adam: which moves the parameters.
        batch_size: samples of a whole batch.
    """

    slope: Slope

    def __init__(self, slope: Slope, adam: Adam, batch_size: int) -> None:
        super().__init__(slope, adam)
        self.batch_size, self.works = batch_size, True
        self._compiled: Any = None

    def __call__(self, samples: Samples, generator: SharedGenerator, epoch: int) -> Losses:
        """As the plain ones do."""
        whole = len(samples.x) == self.batch_size
        if not (self.works and whole and epoch >= self.slope.objective.settled):
            return super().__call__(samples, generator, epoch)
        try:
            step = self._fast if self._compiled is not None else self._first
            return step(samples, generator)
        except Exception as error:
            self._give_up(next(iter(str(error).splitlines()), type(error).__name__))
        return super().__call__(samples, generator, epoch)

    def _first(self, samples: Samples, generator: SharedGenerator) -> Losses:
        """The compiled step, held against the plain one; of both only this one is made.

        So that a training which goes on later makes the steps that it would have made.
        """
        from isthmus.training.compiling import compiled  # a second that others need not wait

        self._compiled = compiled(self._whole, fallback_random=True)  # draws as without it
        adam, mean = self.adam, self.adam.mean.clone()
        with self._taken_back(generator):
            super().__call__(samples, generator, self.slope.objective.settled)
            plain = adam.gradient_since(mean)
        with self._taken_back(generator, always=False):
            with warnings.catch_warnings(), torch._dynamo.config.patch(_TRACING):
                warnings.simplefilter("ignore")  # PyTorch's, about its own parts
                losses = self._fast(samples, generator)
            off, length = (adam.gradient_since(mean) - plain).norm(), plain.norm()
            if not off <= _ALIKE * length:  # both are 0 where the first batch was left out
                raise RuntimeError(f"its gradient is {float(off / length):.1%} off")
        return losses

    @contextmanager
    def _taken_back(self, generator: SharedGenerator, *, always: bool = True) -> Iterator[None]:
        """What a step changes is as it was before, always or only after an error."""
        adam, drawn = self.adam, generator.get_state()
        changed = [adam.flat.values, *adam.state().values(), adam.clipping.mean]
        before = [tensor.clone() for tensor in changed]
        made = False
        try:
            yield
            made = True
        finally:
            if always or not made:
                for tensor, known in zip(changed, before, strict=True):
                    tensor.copy_(known)
                adam.flat.refresh()
                generator.set_state(drawn)

    def _give_up(self, cause: str) -> None:
        self.works = False
        warnings.warn(
            f"the training step was not compiled ({cause}); training goes on without",
            IsthmusWarning,
            stacklevel=3,
        )

    def _whole(self, samples: Samples, generator: Any, epoch: int) -> Losses:
        names, losses, gradients = self.slope(samples, generator, epoch)
        self.adam.traced(gradients)
        return names, losses

    def _fast(self, samples: Samples, generator: SharedGenerator) -> Losses:
        with _lent(generator):
            found: Losses = self._compiled(samples, None, self.slope.objective.settled)
        return found


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
