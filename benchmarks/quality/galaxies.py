"""How many latents and passes the manifold of galaxies takes, judged on validation galaxies.

    python benchmarks/quality/galaxies.py 16,30 24,60 32,30 32,90 32,180

Each pair is of latents and passes. What the study asks of test galaxies of its first seed is asked
of validation galaxies here, by the study's own functions; the test galaxies are not looked at.
Each pair takes 3 to 15 minutes on one core, and is kept in --out.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from isthmus.runs.folder import FORMAT
from isthmus.runs.ledger import Ledger
from isthmus.studies.galaxies.fits import FULL, Effort, judged
from isthmus.studies.galaxies.stamps import Deal, Stamps, simulated
from isthmus.studies.notebook import Notebook
from isthmus.watch import Silent

SEED = 0


@dataclass(frozen=True, eq=False)
class Validated(Stamps):
    """Stamps of which those of validation galaxies stand in for the test."""

    def dealt(self, seed: int) -> Deal:
        return replace(deal := super().dealt(seed), test=deal.validation)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="+", metavar="LATENTS,PASSES")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("galaxies-study"), help="a folder")
    parser.add_argument("--stamps", type=int, default=FULL.stamps)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| latents | passes | the manifold wins, % | median gain, nats | a tenth gains less than |"
    )
    print("|---|---|---|---|---|")
    for pair in arguments.pairs:
        latents, passes = map(int, pair.split(","))
        effort = replace(FULL, latents=latents, epochs=passes, stamps=arguments.stamps)
        gain = gained(arguments.out / f"{pair}-{arguments.stamps}", arguments.data, effort)
        cells = f"{100 * (gain > 0).mean():.1f} | {np.median(gain):.0f}"
        print(f"| {latents} | {passes} | {cells} | {np.percentile(gain, 10):.0f} |", flush=True)


def gained(folder: Path, data: Path, effort: Effort) -> np.ndarray:
    """Log p by the manifold less that by the profile, of each stamp, nats."""
    folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(folder)
    ledger.open({"format": FORMAT, "effort": repr(effort)})
    notebook = Notebook(folder, False, (SEED,), data, Silent(), ledger)
    stamps = simulated(notebook, effort.stamps, effort.galaxies)
    return judged(notebook, Validated(**vars(stamps)), effort, SEED).gain


if __name__ == "__main__":
    main()
