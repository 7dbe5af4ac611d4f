"""The command: run the races, print the tables, keep JSON and the documentation's page."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from speed import machine, races, tables

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parent


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no contender is left
    options = _arguments()
    for name in races.RACES if options.race == "all" else (options.race,):
        _run(name, options)


def _run(name: str, options: argparse.Namespace) -> None:
    race, facts = races.load(name), machine.describe()
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
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these contenders")
    parser.add_argument("--rounds", type=int, help="of each contender, where the race has rounds")
    parser.add_argument("--epochs", type=int, help="where the race trains")
    parser.add_argument("--samples", type=int, help="fewer or more than the race's own number")
    parser.add_argument(
        "--data",
        type=lambda path: Path(path).resolve(),
        default=ROOT.parent / "shared" / "data" / "digits",
        help="folder with MNIST's four idx files",
    )
    parser.add_argument("--page", type=Path, help="a Markdown page to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
