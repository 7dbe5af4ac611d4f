"""What the manifold shows: stamps without blur and noise, samples, and Hubble's own galaxies."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

from isthmus.analysis.comparison import median_interval
from isthmus.analysis.morphology import morphology
from isthmus.contracts import Array, FloatArray
from isthmus.data.dataset import Dataset
from isthmus.report.blocks import Table
from isthmus.report.images import example_images
from isthmus.report.look import Look
from isthmus.report.page import Section
from isthmus.report.style import number, styled
from isthmus.studies.galaxies.fits import Effort, Surface, as_seen, manifold, prior_of
from isthmus.studies.galaxies.profiles import Profiles
from isthmus.studies.galaxies.stamps import SEED, Stamps, noisy
from isthmus.studies.notebook import Notebook
from isthmus.studies.simulators.galaxies import stamps as simulate

__all__ = ["CUTOUTS", "hubble", "shapes", "views"]

CUTOUTS = "hubble"
SHARP = 0.09  # arcsec, half the point spread: as near as pixels show what is there
SHOWN = 12
SEEN_AT = 1.2  # deviations of the noise, after smoothing, from which on a pixel is the galaxy's
STATISTICS = {
    "radius": "half-light radius, pixels",
    "ellipticity": "ellipticity",
    "concentration": "concentration",
    "gini": "Gini",
    "m20": "M20",
}

_drawn = styled(example_images)


def views(notebook: Notebook, stamps: Stamps, effort: Effort) -> Section:
    """Held-out stamps as they are seen, denoised, without the point spread, and in truth."""
    seed = notebook.seeds[0]
    deal = stamps.dealt(seed)
    vae = manifold(notebook, f"manifold/seed-{seed}", stamps.x, deal, effort, seed)
    rows = deal.test[:SHOWN]

    def found() -> dict[str, Array]:
        x = stamps.x[rows]
        light = vae.decode(Surface(vae).fit(x).parameters.astype(np.float32))
        whole = simulate(stamps.galaxies, stamps.row, seed=SEED, fwhm=SHARP, only=rows)
        return {
            "stamp": x,
            "manifold, seen": as_seen(light),
            "profile, seen": Profiles().pictures(Profiles().fit(x).parameters),
            "truth, seen": stamps.clean[rows],
            "manifold, sharp": light,
            "truth, sharper": whole,
        }

    kept = notebook.arrays(f"views/seed-{seed}", found)
    high = float(np.percentile(np.arcsinh(kept["truth, sharper"]), 99.9))
    picture = notebook.picture(
        "views",
        _rows(kept, high),
        alt="Held-out stamps beside what the manifold and the best profile make of them",
        caption="Held-out stamps; what the manifold and the best profile say is there, seen "
        "through the same point spread; the truth; and the manifold's galaxy without the point "
        "spread, above the truth through half of it. Grey is the inverse hyperbolic sine of the "
        "light, in deviations of the noise.",
        numbers={name: values.sum((1, 2)) for name, values in kept.items()},
    )
    return Section(
        "Denoised and deconvolved",
        ("The point spread stands between the decoder and the data, so that the decoder itself "
         "gives what is there, without noise and without blur.",),
        (picture,),
    )  # fmt: skip


def shapes(notebook: Notebook, stamps: Stamps, effort: Effort) -> Section:
    """Statistics of shape of samples beside those of held-out stamps, both with noise."""
    seed = notebook.seeds[0]
    deal = stamps.dealt(seed)
    vae = manifold(notebook, f"manifold/seed-{seed}", stamps.x, deal, effort, seed)
    key, surface = f"codes/seed-{seed}", Surface(vae)
    prior = prior_of(notebook, key, surface, stamps, effort, seed)

    def found() -> dict[str, Array]:
        codes = prior.sample(effort.made, np.random.default_rng(seed)).astype(np.float32)
        made = noisy(as_seen(vae.decode(codes)), seed + 7)
        held = stamps.x[deal.test[: effort.made]]
        told = {"samples": made, "stamps": held}
        measured = {
            f"{name} {which}": values
            for which, x in told.items()
            for name, values in morphology(x, threshold=SEEN_AT)._asdict().items()
        }
        return measured | {"made": made[:SHOWN], "held": held[:SHOWN]}

    kept = notebook.arrays(f"shapes/seed-{seed}", found)
    both = {"held-out stamp": kept["held"], "sample": kept["made"]}
    picture = notebook.picture(
        "samples",
        _rows(both, float(np.percentile(np.arcsinh(kept["held"]), 99.9))),
        alt="Held-out stamps above samples of the manifold",
        caption="Held-out stamps, and galaxies that the manifold made up, with noise.",
        numbers={name: values.sum((1, 2)) for name, values in both.items()},
    )
    rows = tuple(
        (words, *(_spread(kept[f"{name} {which}"]) for which in ("stamps", "samples")))
        for name, words in STATISTICS.items()
    )
    table = Table(
        ("statistic", "held-out stamps", "samples"),
        rows,
        "Medians with their 95 % intervals, and the middle half.",
    )
    return Section("Galaxies that it makes up", (), (picture, table))


def hubble(notebook: Notebook, effort: Effort) -> None:
    """A run on the cut-outs of the Hubble deep field: pictures, a map, samples and a path."""
    with np.load(notebook.file("galaxies/hdf_cutouts_32.npz"), allow_pickle=False) as file:
        x = file["X"]
    if notebook.quick:
        x = x[:60, ::2, ::2]
    notebook.run(CUTOUTS, Dataset(x), epochs=effort.cutouts, seed=notebook.seeds[0])


def _rows(kept: Mapping[str, Array], high: float) -> Figure:
    """A row of pictures for each way of seeing them, in grey by asinh of the light."""
    x = np.arcsinh(np.concatenate(list(kept.values())))
    first = np.cumsum([0, *(len(values) for values in kept.values())])
    members = [np.arange(*ends) for ends in pairwise(first)]
    return _drawn(x, Look("image", 0.0, high, "gray"), list(kept), members, "")


def _spread(values: FloatArray) -> str:
    known = values[np.isfinite(values)]
    middle = median_interval(known)
    first, third = (number(float(v), 3) for v in np.percentile(known, (25, 75)))
    ends = f"{number(middle.low, 3)} to {number(middle.high, 3)}"
    return f"{number(middle.estimate, 3)} ({ends}); {first} to {third}"
