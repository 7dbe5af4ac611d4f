"""One closed path through the run's samples: straight, and along the surface."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from isthmus.analysis.latent_grid import legible
from isthmus.analysis.meter import OFF
from isthmus.contracts import Array
from isthmus.report.blocks import Block, Code, Movie, Picture, Table
from isthmus.report.latent_paths import Trip, path_frames, path_map, path_meters
from isthmus.report.page import Section
from isthmus.report.story.maps import in_small, method
from isthmus.report.story.teller import Teller
from isthmus.report.story.words import listed, percent
from isthmus.report.style import counted, number, shorten
from isthmus.runs.folder import read_arrays
from isthmus.storage import read_json

__all__ = ["paths"]

_TITLE = "A path through the samples"
_FILM = "movies/loop.mp4"
_MORE = "The command below draws such paths through other samples."
_AGAIN = "isthmus walk RUN --random 5 --loop --compare -o path.mp4"


def paths(teller: Teller) -> Section | None:
    """A straight path beside a geodesic: frames, meters, the way on the map, and the film."""
    folder = teller.run.path
    if not (folder / "paths.json").is_file():
        return None
    facts = read_json(folder / "paths.json")
    if not facts["kinds"]:
        return Section(_TITLE, tuple(facts["notes"]))
    found = _Found(teller, facts, read_arrays(folder / "paths.npz"))
    told = (_through(facts), _meaning(facts), _comparison(facts), *facts["notes"], _MORE)
    blocks: tuple[Block | None, ...] = (
        _table(facts),
        _film(found),
        _frames(found),
        _meters(found),
        _way(found),
        Code(_AGAIN),
    )
    return Section(
        _TITLE,
        tuple(text for text in told if text),
        tuple(block for block in blocks if block is not None),
    )


@dataclass(frozen=True, eq=False)
class _Found:
    """The paths of a run, as its figures show them."""

    teller: Teller
    facts: Mapping[str, Any]
    arrays: Mapping[str, Array]

    @property
    def trips(self) -> list[Trip]:
        """One for each kind."""
        return [self._trip(kind) for kind in self.facts["kinds"]]

    def _trip(self, kind: str) -> Trip:
        points, p_value = (self.arrays[f"{kind}_{name}"] for name in ("points", "p_value"))
        waypoints = self.arrays[f"{kind}_waypoints"]
        frames, nearest = (self._pictured(f"{kind}_{name}") for name in ("frames", "nearest_x"))
        return Trip(kind, frames, nearest, points, p_value, waypoints, self.facts["closed"])

    def _pictured(self, name: str) -> Array:
        """Samples as they are drawn, see :meth:`Teller.pictured`."""
        standard = self.teller.standard
        if standard is None:
            return self.arrays[name]
        drawn: Array = (self.arrays[name] - standard[0]) / standard[1]
        return drawn

    def columns(self, *names: str) -> dict[str, Array]:
        """Numbers of every frame, one path after another; what one path lacks is left out."""
        kinds, frames = list(self.facts["kinds"]), self.facts["frames"]
        first = {
            "path": np.repeat(kinds, frames),
            "frame": np.tile(np.arange(frames), len(kinds)),
        }
        return first | {name: self.joined(name) for name in names if self._has(name)}

    def joined(self, name: str) -> Array:
        """An array of all paths, one after another."""
        return np.concatenate([self.arrays[f"{kind}_{name}"] for kind in self.facts["kinds"]])

    def _has(self, name: str) -> bool:
        return all(f"{kind}_{name}" in self.arrays for kind in self.facts["kinds"])


def _through(facts: Mapping[str, Any]) -> str:
    ids = [shorten(name, 24) for name in facts["waypoints"]]
    label = "" if facts["label"] is None else f" of the label {shorten(facts['label'])}"
    closed = "and back to the first" if facts["closed"] else "to the last"
    return (
        f"A path of {counted(facts['frames'], 'frame')} leads through {len(ids)} training samples"
        f"{label} ({listed(ids)}) {closed}: once by straight lines between their codes (linear), "
        "and once by the shortest way on the decoder's surface that keeps near the data "
        "(geodesic)."
    )


def _meaning(facts: Mapping[str, Any]) -> str:
    return (
        "Each frame is a decoded mean. Its p-value is the share of the reconstructions of "
        f"{counted(facts['calibration'], 'held-out sample')} whose log p is no higher than the "
        f"frame's. Of reconstructions of real samples {number(100 * OFF)} % fall below {OFF}; a "
        "frame that does is called off the surface."
    )


def _comparison(facts: Mapping[str, Any]) -> str:
    """Which way is shorter and which strays, where both were gone."""
    kinds = facts["kinds"]
    if not {"linear", "geodesic"} <= kinds.keys():
        return ""
    return f"{_lengths(kinds)} {_verdict(kinds)}"


def _lengths(kinds: Mapping[str, Any]) -> str:
    straight, shortest = (kinds[name]["length"] for name in ("linear", "geodesic"))
    told = (
        f"The geodesic is {number(shortest, 4)} standard deviations of noise long, "
        f"{number(100 * shortest / straight, 4)} % of the straight path's {number(straight, 4)}."
    )
    if kinds["geodesic"]["converged"]:
        return told
    return told + " Its optimisation had not come to rest when its steps ran out."


def _verdict(kinds: Mapping[str, Any]) -> str:
    """Which path strays from the surface, by how much, and how sure that is."""
    straight, shortest = (_off(kinds[name]) for name in ("linear", "geodesic"))
    shares = f"{percent(straight)} of the straight path's frames are off, and {percent(shortest)} "
    shares += "of the geodesic's"
    if straight["low"] is None or shortest["low"] is None:
        return f"{shares}."
    if straight["low"] > shortest["high"]:
        return f"The straight path strays: {shares}."
    if shortest["low"] > straight["high"]:
        return f"The straight path is the better one here: {shares}."
    told = f"{shares}: the frames settle no difference. "
    if min(straight["low"], shortest["low"]) > OFF:
        return f"{told}Both stray more often than reconstructions of real samples do."
    return f"{told}The straight path is as good here, which is a result too."


def _off(kind: Mapping[str, Any]) -> dict[str, Any]:
    low, high = kind.get("off_interval") or (None, None)
    return {"estimate": kind["off"], "low": low, "high": high}


def _table(facts: Mapping[str, Any]) -> Table:
    header = ("path", "length", "frames off", "median p", "mean log p", "optimised")
    rows = tuple(
        (
            kind,
            number(one["length"], 4),
            percent(_off(one)),
            number(one["median_p"]),
            number(one["mean_log_p"], 4),
            _optimised(one),
        )
        for kind, one in facts["kinds"].items()
    )
    sure = any(_off(one)["low"] is not None for one in facts["kinds"].values())
    caption = (
        "Length in standard deviations of the likelihood's noise, along the surface; "
        f"{'shares with 95 % intervals; ' if sure else ''}log p in nats."
    )
    return Table(header, rows, caption)


def _optimised(kind: Mapping[str, Any]) -> str:
    if not kind["iterations"]:
        return "–"
    end = "converged" if kind["converged"] else "not converged"
    return f"{end} in {counted(kind['iterations'], 'step')}"


def _frames(found: _Found) -> Picture | None:
    teller, trips = found.teller, found.trips
    if not legible(trips[0].nearest):
        return None
    drawn = {name: teller.drawn[name] for name in ("limits", "unit")}
    chosen = [trip.shown()[0] for trip in trips]
    rows = np.concatenate([frames + i * len(trips[0].frames) for i, frames in enumerate(chosen)])
    columns = found.columns("p_value") | {
        "nearest id": teller.run.ids[found.joined("nearest")],
    }
    return teller.picture(
        "path-frames",
        path_frames(trips, **drawn),
        f"{len(chosen[0])} frames of each path, and below each the real sample nearest to it",
        "Frames at equal distances from one sample to the next, above the real samples nearest "
        f"to them, with their p-values; frames off the surface are framed.{in_small(teller)}",
        {name: column[rows] for name, column in columns.items()},
    )


_READ = (
    "p_value", "log_p", "log_p_error", "log_p_percentile", "code_log_p", "neighbour_percentile",
    "cycle_error", "entropy",
)  # fmt: skip


def _meters(found: _Found) -> Picture:
    told = "; ".join(
        f"{trip.kind}: {int(trip.off.sum())} of {len(trip.frames)} are off" for trip in found.trips
    )
    return found.teller.picture(
        "path-meters",
        path_meters(found.trips),
        f"The p-value of every frame along each path. {told}",
        "How far each frame can be believed: its p-value, on a logarithmic axis. The numbers "
        "beside it hold every other reading of the frames too.",
        found.columns(*_READ),
    )


def _way(found: _Found) -> Picture:
    trips, points = found.trips, found.joined("points")
    columns = found.columns() | {"x": points[:, 0], "y": points[:, 1]}
    columns["at a sample"] = np.concatenate(
        [np.isin(np.arange(len(trip.frames)), trip.waypoints) for trip in trips]
    )
    return found.teller.picture(
        "path-map",
        path_map(found.teller.run.map, trips, note=f"{method(found.teller)}; frames placed on it"),
        f"The way of each path on the map, through {len(trips[0].waypoints)} numbered samples",
        "Where the frames' codes belong on the map. A map has no place for what is unlike "
        "anything on it: a long jump is a gap that the path crosses.",
        columns,
    )


def _film(found: _Found) -> Movie | None:
    path = found.teller.run.path / _FILM
    if not path.is_file():
        return None
    poster = io.BytesIO()
    with av.open(str(path)) as movie:
        next(movie.decode(video=0)).to_image().save(poster, format="png")
    sides = " and ".join(found.facts["kinds"])
    return Movie(
        path.read_bytes(),
        poster.getvalue(),
        f"A film along the paths ({sides}): the decoded frame, the nearest real sample, the place "
        "on the map and the p-value",
        "The path as a film: each frame large, the real sample nearest to it small, its place on "
        "the map, and its p-value below.",
        (_FILM,),
    )
