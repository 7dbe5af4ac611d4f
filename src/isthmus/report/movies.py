"""Movies of paths, as MP4, GIF or a contact sheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image

from isthmus.contracts import Array
from isthmus.errors import UsageError
from isthmus.report.film import SIDE, Film
from isthmus.report.latent_paths import path_frames
from isthmus.report.style import to_png
from isthmus.storage import atomic_file

__all__ = ["MOVIES", "Film", "write_movie"]

MOVIES = (".mp4", ".gif", ".png")

_QUALITY = {"crf": "18", "preset": "veryfast", "threads": "1"}  # one thread: the same bytes


def write_movie(films: Sequence[Film], out: Path, *, fps: int = 25) -> None:
    """Write films, side by side, as ``.mp4`` (H.264), ``.gif``, or a contact sheet ``.png``.

    The same films give the same bytes. An MP4 plays while it loads.

    Args:
        films: of paths through the same samples, of as many frames.
        out: the file.
        fps: frames a second.

    Raises:
        UsageError: another suffix, no film, or films of other lengths.
        StorageError: the disk refused.
    """
    if out.suffix not in MOVIES:
        remedy = f"choose one of {', '.join(MOVIES)}"
        told = out.suffix or "a file without suffix"
        raise UsageError(f"cannot write {told}", where=out, remedy=remedy)
    if len({len(film) for film in films}) != 1:
        lengths = ", ".join(str(len(film)) for film in films) or "none"
        raise UsageError(f"films of as many frames are shown together, but got {lengths}")
    with atomic_file(out) as temporary:
        if out.suffix == ".mp4":
            _write_mp4(films, temporary, fps)
        elif out.suffix == ".gif":
            _write_gif(films, temporary, fps)
        else:
            trips = [film.trip for film in films]
            sheet = path_frames(trips, limits=films[0].limits, unit=films[0].unit)
            temporary.write_bytes(to_png(sheet))


def _pictures(films: Sequence[Film]) -> Iterator[Array]:
    for i in range(len(films[0])):
        yield np.concatenate([film.frame(i) for film in films], axis=1)


def _write_mp4(films: Sequence[Film], out: Path, fps: int) -> None:
    with av.open(str(out), "w", format="mp4", options={"movflags": "+faststart"}) as movie:
        stream = movie.add_stream("libx264", rate=fps, options=_QUALITY)
        stream.width, stream.height = SIDE * len(films), SIDE
        stream.pix_fmt = "yuv420p"
        for picture in _pictures(films):
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        movie.mux(stream.encode())


def _write_gif(films: Sequence[Film], out: Path, fps: int) -> None:
    """Colours are those of the first picture, so that still parts do not flicker."""
    pictures = [Image.fromarray(picture) for picture in _pictures(films)]
    some = pictures[:: max(1, len(pictures) // 8)]
    both = Image.fromarray(np.concatenate([np.asarray(each) for each in some]))
    palette = both.quantize(256, method=Image.Quantize.MEDIANCUT)
    frames = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in pictures]
    frames[0].save(
        out,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 / fps / 10) * 10,
        loop=0,
        optimize=False,
    )
