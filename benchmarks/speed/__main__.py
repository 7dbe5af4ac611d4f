"""The command: run the races, print the tables, keep JSON and the documentation's page."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from speed import evidence, machine, race, tables
from speed.task import CONTENDERS

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parent

EPOCH = (
    "pythae",
    "lightning",
    "scvi",
    "resident",
    "resident-tuned",
    "isthmus-float32",
    "isthmus-float32-compiled",
    "isthmus-auto",
    "isthmus-auto-compiled",
    "isthmus-auto-512",
)
FIT = ("resident", "isthmus-float32-kept", "isthmus-auto-kept")


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no contender is left
    options = _arguments()
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    for kind in ("epoch", "fit", "logp") if options.kind == "all" else (options.kind,):
        record = {"machine": machine.describe(), "results": _run(kind, options)}
        (results / f"{kind}.json").write_text(json.dumps(record, indent=1) + "\n")
        told = evidence.markdown(record) if kind == "logp" else tables.markdown(kind, record)
        print(told)
        if options.page:
            tables.put(told, options.page)


def _run(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    data = options.data.resolve()
    if kind == "logp":
        return evidence.race(options)
    if kind == "epoch":
        return race.epochs_in_turn(options.only or EPOCH, data, options.epochs or 2)
    return race.fits_in_turn(options.only or FIT, data, options.epochs or 10, options.rounds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Training speed of isthmus and its peers.")
    parser.add_argument("kind", choices=("epoch", "fit", "logp", "all"))
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, help="these contenders")
    parser.add_argument("--epochs", type=int, help="2 for epoch and 10 for fit, unless given")
    parser.add_argument("--rounds", type=int, default=3, help="whole fits of each")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "digits")
    parser.add_argument("--images", type=int, default=10_000, help="that logp scores")
    parser.add_argument("--page", type=Path, help="a Markdown page to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
