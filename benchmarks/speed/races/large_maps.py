"""The same maps of six times as many codes, by the two that are fast enough, in one round."""

from __future__ import annotations

import argparse

from speed.heats import Goal, Heat, Race
from speed.races import maps


def run(options: argparse.Namespace) -> list[Heat]:
    return maps.run(argparse.Namespace(**vars(options) | {"samples": options.samples or 60_000}))


RACE = Race("Maps of 60,000 codes", run, (Goal("isthmus-large", "opentsne-large", 1.0),))
