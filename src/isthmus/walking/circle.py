"""The closed path that every run shows."""

from __future__ import annotations

from isthmus.errors import DataError
from isthmus.evaluation import Evaluation
from isthmus.report.movies import write_movie
from isthmus.runs.folder import Run, write_arrays
from isthmus.storage import write_json
from isthmus.walking.ground import Ground
from isthmus.walking.route import Route
from isthmus.walking.walk import film, kept
from isthmus.walking.waypoints import usual_label

__all__ = ["walk_in_a_circle"]

_STEPS = 40  # frames from one sample to the next


def walk_in_a_circle(run: Run, evaluation: Evaluation) -> None:
    """Lay a straight and a geodesic loop through samples of the commonest class, and film them.

    Writes ``paths.npz``, ``paths.json`` and ``movies/loop.mp4``; where the run has too few
    samples for that, ``paths.json`` alone says so.
    """
    label = usual_label(evaluation.data.labels)
    route = Route(label=label, closed=True, compare=True, steps=_STEPS, seed=evaluation.seed)
    try:
        ground = Ground.of(run, evaluation, route.rows(run))
    except DataError as error:
        write_json(
            run.path / "paths.json", {"kinds": {}, "notes": [f"There is no path: {error}."]}
        )
        return
    walks = ground.walks(route)
    write_arrays(run.path / "paths.npz", kept(walks))
    write_json(run.path / "paths.json", ground.facts(walks))
    write_movie([film(walk, run) for walk in walks], run.path / "movies" / "loop.mp4")
