"""What is asked for: which samples a path leads through, and how."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.analysis.paths import KINDS
from isthmus.contracts import IntArray
from isthmus.errors import UsageError
from isthmus.runs.folder import Run
from isthmus.walking.waypoints import at_random, by_id

__all__ = ["Route"]


@dataclass(frozen=True)
class Route:
    """What is asked for.

    Attributes:
        through: ids of samples, in order; None: random ones.
        random: how many of those, from the training part.
        label: which they have; None: any.
        kind: one of :data:`isthmus.analysis.paths.KINDS`.
        closed: whether the path leads back to the first.
        compare: whether a straight one through the same samples stands beside.
        steps: frames from one sample to the next, on average.
        seed: of the random samples.
    """

    through: tuple[str, ...] | None = None
    random: int = 5
    label: str | None = None
    kind: str = "geodesic"
    closed: bool = False
    compare: bool = False
    steps: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse an unknown kind, and what contradicts itself."""
        if self.kind not in KINDS:
            raise UsageError(f"kind should be one of {', '.join(KINDS)}, but got {self.kind!r}")
        if self.through is not None and self.label is not None:
            raise UsageError("a label chooses random samples", remedy="leave out --through")
        if self.compare and self.kind == "linear":
            raise UsageError("a straight path is compared with another", remedy="choose --kind")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The paths to lay, the straight one first."""
        return ("linear", self.kind) if self.compare else (self.kind,)

    def rows(self, run: Run) -> IntArray:
        """Rows of the samples that the path leads through.

        Raises:
            DataError: there are no such samples.
            UsageError: fewer than two are named.
        """
        if self.through is not None:
            return by_id(run.ids, self.through)
        training = (run.splits == "train").nonzero()[0]
        return at_random(training, run.labels, self.label, self.random, self.seed)

    def frames(self, waypoints: int) -> int:
        """Frames of a path through so many samples."""
        return self.steps * waypoints if self.closed else self.steps * (waypoints - 1) + 1
