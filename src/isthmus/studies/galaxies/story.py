"""What the study asks, in order, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isthmus.analysis.comparison import Interval, mean_interval
from isthmus.contracts import Array, FloatArray, IntArray
from isthmus.report.blocks import Table
from isthmus.report.intervals import interval_numbers, intervals
from isthmus.report.page import Section
from isthmus.report.story.maps import latent_map
from isthmus.report.story.paths import paths
from isthmus.report.style import number
from isthmus.studies.galaxies.fits import FULL, QUICK, Judged, control, judged
from isthmus.studies.galaxies.pictures import CUTOUTS, hubble, shapes, views
from isthmus.studies.galaxies.stamps import FILE, Stamps, simulated
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Comparison, Outcome, Study
from isthmus.studies.words import percent, told

__all__ = ["STUDY"]

PUBLISHED = "97 %"
BINS = 3


def _run(notebook: Notebook) -> Outcome:
    effort = QUICK if notebook.quick else FULL
    stamps = simulated(notebook, effort.stamps, effort.galaxies)
    found = tuple(judged(notebook, stamps, effort, seed) for seed in notebook.seeds)
    own = control(notebook, stamps, effort, notebook.seeds[0])
    hubble(notebook, effort)
    story = _Story(notebook, stamps, found, own)
    return Outcome(
        story.sentences(),
        story.comparisons(),
        summary=story.summary(),
        sections=(
            story.shares(),
            views(notebook, stamps, effort),
            shapes(notebook, stamps, effort),
            Section(
                "Hubble's own galaxies",
                (
                    "Galaxies cut out of the Hubble deep field, 32 x 32 pixels in three colours, "
                    "8 bits each: their noise is not known, so that they serve for a map and a "
                    "path, and for no probability.",
                ),
            ),
            *notebook.told(CUTOUTS, latent_map),
            *notebook.told(CUTOUTS, paths),
        ),
        warnings=story.warnings(),
    )


@dataclass(frozen=True, eq=False)
class _Story:
    notebook: Notebook
    stamps: Stamps
    found: tuple[Judged, ...]
    own: Judged

    def pooled(self, value: Callable[[Judged], Array]) -> Array:
        return np.concatenate([value(each) for each in self.found])

    @property
    def rows(self) -> IntArray:
        return self.pooled(lambda each: each.rows)

    @property
    def galaxy(self) -> IntArray:
        return self.stamps.ident[self.rows]

    @property
    def gain(self) -> FloatArray:
        return self.pooled(lambda each: each.gain)

    @property
    def over_best(self) -> FloatArray:
        return self.pooled(lambda each: each.manifold - each.maximum)

    def share(self, gain: FloatArray, galaxy: IntArray) -> Interval:
        return mean_interval((gain > 0).astype(float), groups=galaxy)

    def of_family(self) -> Interval:
        return mean_interval((self.own.gain > 0).astype(float))

    def sentences(self) -> tuple[str, ...]:
        share, own = self.share(self.gain, self.galaxy), self.of_family()
        middle = _median(self.gain, self.galaxy)
        best = self.share(self.over_best, self.galaxy)
        return (
            f"To {percent(share)} of held-out stamps the manifold gives more probability "
            f"than a profile whose parameters are integrated out alike; half of them gain more "
            f"than {told(middle, 1, unit=' nats')}.",
            f"Of stamps of the profile's own family, on which a manifold was trained alike, it "
            f"wins {percent(own)}"
            + (": it does not win where it should not." if own.estimate <= 0.5 else "."),
            f"Against the best profile's likelihood, which pays for no parameter, it wins "
            f"{percent(best)}.",
        )

    def comparisons(self) -> tuple[Comparison, ...]:
        share = self.share(self.gain, self.galaxy)
        seeds = [100 * float((each.gain > 0).mean()) for each in self.found]
        return (
            Comparison(
                "held-out stamps to which the manifold gives more probability",
                f"{PUBLISHED} of SDSS stamps (Regier et al. 2015)",
                f"{percent(share)}; by seed {', '.join(f'{each:.1f}' for each in seeds)}",
                "their stamps are not public: ours are simulated from fits of COSMOS galaxies, "
                "with spirals, knots and companions; both sides are marginalised, theirs was not",
            ),
            Comparison(
                "median gain",
                "not given",
                told(_median(self.gain, self.galaxy), 1, unit=" nats"),
                "it grows with the square of a stamp's brightness",
            ),
            Comparison(
                "the same against the best profile's likelihood",
                "not given",
                percent(self.share(self.over_best, self.galaxy)),
                "a likelihood at its maximum pays for no parameter, and favours the profile",
            ),
            Comparison(
                "control: stamps drawn from the profile's family",
                "not done",
                percent(self.of_family()),
                "no model can beat the law that data were drawn from, on average",
            ),
        )

    def summary(self) -> tuple[tuple[str, str], ...]:
        return (
            ("manifold wins", percent(self.share(self.gain, self.galaxy))),
            ("median gain", told(_median(self.gain, self.galaxy), 1, unit=" nats")),
            ("of the profile's own family", percent(self.of_family())),
            ("stamps", f"{len(self.stamps.x):,}"),
        )

    def warnings(self) -> tuple[str, ...]:
        unsure = self.pooled(lambda each: each.unsure)
        if not unsure.any():
            return ()
        return (
            f"The manifold's log p of {unsure.sum()} of {len(unsure)} stamps has an effective "
            f"sample size below 50: it is rather too low than too high.",
        )

    def shares(self) -> Section:
        parts = self.parts()
        rows = {name: self.share(self.gain[of], self.galaxy[of]) for name, of in parts.items()}
        table = Table(
            (
                "held-out stamps",
                "number",
                "manifold wins",
                "median gain",
                "a tenth gain less than",
            ),
            tuple(
                (
                    name,
                    str(of.sum()),
                    percent(rows[name]),
                    told(_median(self.gain[of], self.galaxy[of]), 1, unit=" nats"),
                    f"{number(float(np.percentile(self.gain[of], 10)))} nats",
                )
                for name, of in parts.items()
            ),
            "Intervals are of 95 %, by resampling galaxies of the catalogue.",
        )
        drawn = {name: {"manifold wins": each} for name, each in rows.items()}
        picture = self.notebook.picture(
            "shares",
            intervals(
                drawn,
                "stamps to which the manifold gives more probability, %",
                marks={"published: 97 %": 0.97},
                scale=100,
            ),
            alt="The share of stamps that the manifold wins, by magnitude, size and bulge",
            caption="Where the manifold wins: of all held-out stamps, and by the galaxy's "
            "magnitude, the half-light radius of its disc, and its bulge's share of the light.",
            numbers=interval_numbers(drawn),
        )
        size = self.pooled(lambda each: each.size)
        return Section(
            "Whose probability is higher",
            (
                "Both descriptions know the point spread and the noise, and both are integrated "
                "out alike: the manifold's code and the profile's seven parameters are drawn from "
                "Student's t about the best fit and weighted by their prior, N(0, 1) of the code "
                "and a mixture fitted to training galaxies' best profiles. No galaxy has stamps "
                "in training and in test. "
                f"The effective sample size of the profile's integral is "
                f"{number(float(np.median(size)))} in the median and at least "
                f"{number(float(size.min()))}.",
            ),
            (picture, table),
        )

    def parts(self) -> dict[str, Array]:
        """Which stamps are in a bin, by its name."""
        galaxies, row = self.stamps.galaxies, self.stamps.row[self.rows]
        bins: dict[str, Array] = {"all": np.ones(len(row), bool)}
        for name, values in (
            ("magnitude", galaxies.magnitude[row]),
            ("disc radius, arcsec:", galaxies.radii[row, 0]),
            ("bulge share", galaxies.bulge_share[row]),
        ):
            edges = np.quantile(values, np.linspace(0, 1, BINS + 1))
            place = np.clip(np.searchsorted(edges, values, "right") - 1, 0, BINS - 1)
            for i in np.unique(place):
                bins[f"{name} {edges[i]:.2f} to {edges[i + 1]:.2f}"] = place == i
        return bins


def _median(values: FloatArray, groups: IntArray, repeats: int = 1000) -> Interval:
    """The median, and the interval that resampled galaxies give."""
    names, index = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(0)
    members = [values[index == i] for i in range(len(names))]
    found = [
        np.median(np.concatenate([members[i] for i in rng.integers(0, len(names), len(names))]))
        for _ in range(repeats)
    ]
    low, high = np.percentile(found, (2.5, 97.5))
    return Interval(float(np.median(values)), float(low), float(high), 0.95)


STUDY = Study(
    "galaxies",
    "Galaxies: a manifold against the profile of an ellipse",
    "Does a manifold learned from images describe galaxies better than one elliptical profile?",
    (FILE, "galaxies/hdf_cutouts_32.npz"),
    _run,
    ("galsim",),
)
