"""The command: run the races, print the tables, keep JSON and the documentation's page."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch

from speed import machine, races, tables
from speed.task import MNIST

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parent
UNFED = ("start", "memory")  # races that make their data


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no contender is left
    options = _arguments()
    try:
        for name in _asked(options):
            _run(name, options)
    except RuntimeError as error:  # a contender's, with the end of its log
        sys.exit(f"error: {error}")


def _asked(options: argparse.Namespace) -> list[str]:
    """The races to run: of all, that of GPUs only where there is one."""
    if options.race == "epoch" and options.device == "cuda":
        return ["gpu"]
    if options.race != "all":
        return [options.race]
    return [name for name in races.RACES if name != "gpu" or torch.cuda.is_available()]


def _run(name: str, options: argparse.Namespace) -> None:
    """One race; of another number of samples than its own it has a file and a section apart."""
    race, facts = races.load(name), machine.describe()
    if options.samples:
        race = replace(race, title=f"{race.title}, {options.samples:,} samples")
        name = f"{name}-{options.samples}"
    heats = race.run(options)
    record = {"machine": facts, "heats": [heat.to_json() for heat in heats]}
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    told = tables.markdown(race, heats, facts)
    print(told)
    if options.page:
        tables.put(told, options.page)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed of isthmus and its peers.")
    parser.add_argument("race", choices=(*races.RACES, "all"))
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="these contenders; not of logp and start"
    )
    parser.add_argument("--rounds", type=int, help="of each contender, where the race has rounds")
    parser.add_argument("--epochs", type=int, help="where the race trains")
    parser.add_argument("--samples", type=int, help="fewer or more than the race's own number")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="of the races epoch and gpu")
    parser.add_argument(
        "--data",
        type=lambda path: Path(path).resolve(),
        default=ROOT.parent / "shared" / "data" / "digits",
        help="folder with MNIST's four idx files",
    )
    parser.add_argument("--page", type=Path, help="a Markdown page to write")
    options = parser.parse_args()
    if options.race not in UNFED and not (options.data / MNIST[0]).exists():
        parser.error(f"{options.data} has no {MNIST[0]}; name MNIST's folder by --data")
    return options


if __name__ == "__main__":
    main()
