"""Movies of paths, as MP4, GIF or a contact sheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from PIL import Image

from isthmus.contracts import Array
from isthmus.errors import UsageError
from isthmus.report.film import Film, Scales
from isthmus.report.film_side import Side
from isthmus.report.film_still import FRAME, HIGH, WIDE
from isthmus.report.latent_paths import path_frames
from isthmus.report.style import to_png
from isthmus.storage import atomic_file

__all__ = ["MOVIES", "Film", "pictures", "write_movie"]

MOVIES = (".mp4", ".gif", ".png")

_QUALITY = {"crf": "18", "preset": "veryfast", "threads": "1"}  # one thread: the same bytes
_BT709 = 1  # the number of its matrix, primaries and curve in H.264
_LIMITED = 1  # luma from 16 to 235
_NO_NOTES = "filter_units=remove_types=6"  # the encoder's notes about itself
_PLAIN = {"movflags": "+faststart", "fflags": "+bitexact"}
_SEEN = 24  # frames that the colours of a GIF are chosen from


def write_movie(films: Sequence[Film], out: Path, *, fps: int = 25) -> None:
    """Write films, side by side, as ``.mp4`` (H.264), ``.gif``, or a contact sheet ``.png``.

    The same films give the same bytes. An MP4 plays while it loads.

    Args:
        films: of paths through the same samples, of as many frames.
        out: the file.
        fps: frames a second.

    Raises:
        UsageError: another suffix, no film, or films of other lengths or kinds of samples.
        StorageError: the disk refused.
    """
    _check(films, out)
    with atomic_file(out) as temporary:
        if out.suffix == ".mp4":
            _write_mp4(pictures(films), len(films), temporary, fps)
        elif out.suffix == ".gif":
            _write_gif(films, temporary, fps)
        else:
            trips = [film.trip for film in films]
            sheet = path_frames(trips, limits=films[0].limits, unit=films[0].unit)
            temporary.write_bytes(to_png(sheet))


def pictures(films: Sequence[Film], every: int = 1) -> Iterator[Array]:
    """The pictures of a movie, each ``(720, 640 * len(films), 3)`` uint8.

    Args:
        films: as for :func:`write_movie`.
        every: draw only every so many frames.
    """
    scales = Scales.of(films)
    sides = [Side.of(film, scales) for film in films]
    for i in range(0, len(films[0]), every):
        yield np.concatenate([np.asarray(side.frame(i)) for side in sides], axis=1)


def _check(films: Sequence[Film], out: Path) -> None:
    if out.suffix not in MOVIES:
        told = out.suffix or "a file without suffix"
        remedy = f"choose one of {', '.join(MOVIES)}"
        raise UsageError(f"cannot write {told}", where=out, remedy=remedy)
    if len({len(film) for film in films}) != 1:
        lengths = ", ".join(str(len(film)) for film in films) or "none"
        raise UsageError(f"films of as many frames are shown together, but got {lengths}")
    shapes = {film.trip.frames.shape[1:] for film in films}
    if len(shapes) > 1:
        told = " and ".join(str(shape) for shape in sorted(shapes))
        raise UsageError(f"films of samples of one shape are shown together, but got {told}")


def _write_mp4(shown: Iterable[Array], count: int, out: Path, fps: int) -> None:
    with av.open(str(out), "w", format="mp4", options=_PLAIN) as movie:
        stream = movie.add_stream("libx264", rate=fps, options=_QUALITY)
        stream.width, stream.height, stream.pix_fmt = WIDE * count, HIGH, "yuv420p"
        _tell_colours(stream.codec_context)
        plain = BitStreamFilterContext(_NO_NOTES, stream)
        for picture in shown:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            _mux(movie, plain, stream.encode(frame))
        _mux(movie, plain, [*stream.encode(), None])


def _mux(movie: Any, plain: BitStreamFilterContext, packets: Iterable[Any]) -> None:
    for packet in packets:
        movie.mux(plain.filter(packet))


def _tell_colours(codec: Any) -> None:
    """Say by which matrix colours were turned, or players guess it by the picture's size."""
    codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
    codec.color_range = _LIMITED


def _write_gif(films: Sequence[Film], out: Path, fps: int) -> None:
    """All frames have one palette, so that still parts do not flicker."""
    chosen = _palette(films)
    palette = Image.new("P", (1, 1))
    palette.putpalette(chosen)
    opaque = np.insert(np.reshape(chosen, (256, 3)), 0, 255, axis=1).astype(np.uint8)
    with av.open(str(out), "w", format="gif", options={"loop": "0"}) as movie:
        stream = movie.add_stream("gif", rate=fps)
        stream.width, stream.height, stream.pix_fmt = WIDE * len(films), HIGH, "pal8"
        for picture in pictures(films):
            near = Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
            indexed: Any = np.asarray(near), opaque
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(indexed, format="pal8")))
        movie.mux(stream.encode())


def _palette(films: Sequence[Film]) -> list[int]:
    """256 colours, three numbers each: some for what stands still, most for the samples."""
    seen = [*pictures(films, -(-len(films[0]) // _SEEN))]
    left, top, width, height = FRAME
    shown = np.stack(seen)[:, top : top + height].reshape(-1, len(films), WIDE, 3)
    samples = shown[:, :, left : left + width].reshape(-1, width, 3)
    return _colours(seen[0], 32) + _colours(samples, 96)


def _colours(picture: Array, count: int) -> list[int]:
    """So many of a picture's frequent colours, and as many that lie far apart, rare ones too."""
    image, both = Image.fromarray(picture), (Image.Quantize.MEDIANCUT, Image.Quantize.MAXCOVERAGE)
    found = [image.quantize(count, method=method).getpalette() or [] for method in both]
    return [part for some in found for part in (some + [255] * 3 * count)[: 3 * count]]
