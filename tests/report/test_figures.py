"""One contract for all figures: a figure, equal bytes, no warning, nothing global changed."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from stand import HISTORY, ROWS, STEPS, Stand, make

from isthmus.errors import UsageError
from isthmus.report import figures

SAMPLES: dict[str, Callable[[Stand], Figure]] = {
    "data_examples": lambda s: figures.data_examples(s.x, s.labels),
    "reconstructions": lambda s: figures.reconstructions(s.x, s.reconstruction, s.ids, s.errors),
    "gaps": lambda s: figures.gaps(
        np.where(np.arange(len(s.x)).reshape(-1, *[1] * (s.x.ndim - 1)) % 2, s.x, np.nan),
        s.reconstruction,
        0.1 * np.abs(s.reconstruction),
        s.ids,
    ),
    "traversals": lambda s: figures.traversals(
        s.traversals,
        [f"z{i}" for i in range(6)],
        s.spread,
        s.spread > s.spread.mean(),
        steps=STEPS,
    ),
    "samples": lambda s: figures.samples(s.made, s.nearest, s.distances),
    "latent_map": lambda s: figures.latent_map(s.latents[:, :2], s.labels),
    "strange_samples": lambda s: figures.strange_samples(
        s.x, s.reconstruction, s.x - s.reconstruction, s.ids
    ),
    "strange samples, two, named": lambda s: figures.strange_samples(
        s.x[:2],
        s.reconstruction[:2],
        np.full(s.x[:2].shape, np.nan),
        ["a\nb", "c\nd"],
        feature_names=["n"] * s.x.shape[1],
    ),
}
POINTS = np.random.default_rng(0).normal(size=(300, 2))
MANY = np.random.default_rng(0).integers(0, 25, 300)
SOME = np.where(POINTS[:, 1] > 0, POINTS[:, 0], np.nan)
EDGES = np.linspace(0, 1, 11)
GAP = [
    {"epoch": e, "train": {"loss": None if e == 2 else 1 / e, "kl": float("nan")}}
    for e in (1, 2, 3)
]
MATRICES = [figures.Matrix(f"{i}", np.diag(np.arange(12) * i)) for i in range(3)]
SIDES = [figures.Side(np.append(POINTS[1:, i], 1e6), f"side {i}") for i in range(2)]
PAIR = figures.Matrix("x", np.eye(2, dtype=int))
FLAT = figures.Side(np.zeros(4), "nothing")
NUMBERS: dict[str, Callable[[], Figure]] = {
    "curves": lambda: figures.training_curves(HISTORY),
    "curves, one epoch": lambda: figures.training_curves(HISTORY[:1]),
    "curves, gaps": lambda: figures.training_curves(GAP),
    "comparison": lambda: figures.model_comparison(ROWS),
    "comparison, no log p": lambda: figures.model_comparison(ROWS[2:]),
    "map": lambda: figures.latent_map(POINTS),
    "map, many classes": lambda: figures.latent_map(POINTS, MANY),
    "map, values": lambda: figures.latent_map(POINTS, values=SOME),
    "map, no known value": lambda: figures.latent_map(POINTS, values=np.full(300, np.nan)),
    "map, one point": lambda: figures.latent_map(POINTS[:1], np.array(["a"])),
    "map, lost points": lambda: figures.latent_map(np.where(POINTS > 2, np.inf, POINTS)),
    "map, many points": lambda: figures.latent_map(np.tile(POINTS, (20, 1)), np.arange(6000) % 3),
    "histogram": lambda: figures.log_prob_histogram({"train": POINTS[:, 0], "new": POINTS[:9, 1]}),
    "histogram, outliers": lambda: figures.log_prob_histogram({"all": np.append(POINTS, -1e6)}),
    "histogram, constant": lambda: figures.log_prob_histogram({"all": np.full(5, -3.0)}),
    "ranks": lambda: figures.rank_histogram(EDGES, np.arange(1.0, 11), (5, 6)),
    "p-values": lambda: figures.p_value_histogram(np.append(np.linspace(0, 1, 30), np.nan)),
    "confusion": lambda: figures.confusion_matrices([PAIR], "ab"),
    "confusions of twelve": lambda: figures.confusion_matrices(MATRICES, range(12)),
    "sides": lambda: figures.score_sides(
        SIDES[0], SIDES[1], POINTS[:, 0] > 2, [0, 5], range(300)
    ),
    "sides, all equal": lambda: figures.score_sides(
        FLAT, FLAT, np.zeros(4, dtype=bool), [0], "abcd"
    ),
    "ranks, few samples": lambda: figures.rank_histogram(EDGES, np.ones(10)),
    "one unit": lambda: figures.active_units(np.array([0.5])),
    "units": lambda: figures.active_units(np.array([1.0, 0.5, 0.001]), np.array([2.0, 1.0, 0.0])),
    "units, none active": lambda: figures.active_units(np.zeros(40)),
}  # fmt: skip


def fulfils_contract(draw: Callable[[], Figure]) -> None:
    before = dict(matplotlib.rcParams)
    first, second = draw(), draw()
    assert isinstance(first, Figure)
    png = figures.to_png(first)
    assert png == figures.to_png(second)
    assert Image.open(io.BytesIO(png)).size[0] == 1800
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", SAMPLES)
def test_figures_of_samples(name: str, any_stand: Stand) -> None:
    fulfils_contract(lambda: SAMPLES[name](any_stand))


@pytest.mark.parametrize("kind", ["one channel", "rgb", "five channels"])
def test_other_kinds_of_images(kind: str) -> None:
    x, labels = make(kind)
    fulfils_contract(lambda: figures.data_examples(x, labels))


@pytest.mark.parametrize("name", NUMBERS)
def test_figures_of_numbers(name: str) -> None:
    fulfils_contract(NUMBERS[name])


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("shape", [(6, 6), (5,)])
def test_few_samples_suffice(n: int, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(n).normal(size=(n, *shape))
    figures.to_png(figures.data_examples(x))
    figures.to_png(figures.reconstructions(x, x, list(range(n)), np.zeros(n)))
    figures.to_png(figures.samples(x, x, np.zeros(n)))


@pytest.mark.parametrize("shape", [(6, 6), (6, 6, 3), (5,), (50,)])
def test_missing_and_constant_values_are_drawn(shape: tuple[int, ...]) -> None:
    x = np.full((4, *shape), 2.0)
    x[:, 0] = np.nan
    figures.to_png(figures.data_examples(x))
    figures.to_png(figures.reconstructions(x, x, "abcd", np.zeros(4)))


def test_reconstructions_show_the_extremes_and_the_middle() -> None:
    x, errors = np.zeros((101, 4, 4)), np.random.default_rng(0).permutation(101) / 100
    figure = figures.reconstructions(x, x, [f"n{e:.2f}" for e in errors], errors)
    shown = [
        t.get_text().split(",")[0] for sub in figure.subfigs for a in sub.axes for t in a.texts
    ]
    expected = {0.0, 0.01, 0.02, 0.49, 0.5, 0.51, 0.98, 0.99, 1.0}
    assert {float(text[1:]) for text in shown} == expected


def test_input_and_reconstruction_share_a_scale_and_residuals_are_centred() -> None:
    x = np.zeros((5, 4, 4), dtype=np.uint8)
    figure = figures.reconstructions(x, x + 51.0, range(5), np.arange(5.0), limits=(0.0, 102.0))
    tiles = figure.subfigs[0].axes[0].images[0].get_array()
    assert tiles[0, 0].max() == 0
    np.testing.assert_allclose(tiles[0, 5], 0.5, atol=0.01)
    red, _, blue = tiles[0, 10]
    assert blue > red, "the reconstruction is too bright: the residual is negative, so blue"


def shown_ids(figure: Figure) -> list[str]:
    texts = [t for sub in figure.subfigs for axes in sub.axes for t in axes.texts]
    return [text.get_text().split(",")[0] for text in texts]


def test_two_models_show_the_same_samples_on_the_same_scale() -> None:
    rng = np.random.default_rng(0)
    x, one, other = rng.normal(size=(3, 20, 4, 4))
    errors, rank = rng.uniform(size=(2, 20))
    both = {"rank": rank, "reach": figures.residual_reach(x, one, other, rank=rank)}
    drawn = [figures.reconstructions(x, each, range(20), errors, **both) for each in (one, other)]
    assert shown_ids(drawn[0]) == shown_ids(drawn[1])
    assert set(shown_ids(drawn[0])) >= {str(rank.argmin()), str(rank.argmax())}
    bars = [figure.subfigs[1].axes[1].get_xlim() for figure in drawn]
    assert bars[0] == bars[1] == (-both["reach"], both["reach"])


def test_the_worst_do_not_press_the_other_residuals_flat() -> None:
    residual = np.random.default_rng(0).normal(size=(6, 5))
    residual[5] *= 1000
    rank = np.abs(residual).mean(axis=1)
    reach = figures.residual_reach(residual, np.zeros((6, 5)), rank=rank)
    assert 1 < reach < 10
    figure = figures.reconstructions(residual, np.zeros((6, 5)), range(6), rank)
    lowest = figure.axes[-2:]
    assert lowest[0].get_ylim() == (-1.5 * reach, 1.5 * reach)
    marked = [np.size(line.get_xdata()) for axes in lowest for line in axes.lines[:2]]
    assert sum(marked) == 5, "each value beyond the scale has its triangle"
    tiles = residual.reshape(6, 5, 1)
    figure = figures.reconstructions(tiles, np.zeros((6, 5, 1)), range(6), rank)
    bar = figure.subfigs[1].axes[1]
    assert bar.get_xlabel().endswith("% lie beyond")


def test_residuals_of_which_most_are_nought_have_a_scale() -> None:
    x = np.zeros((6, 5))
    assert figures.residual_reach(x, x, rank=np.arange(6.0)) == 1.0
    x[5] = 2.0
    assert figures.residual_reach(x, np.zeros((6, 5)), rank=np.arange(6.0)) == 2.0


def test_names_are_sorted_as_people_sort_them() -> None:
    labels = np.array(["s10", "s1", "s11", "s2", "s9"] * 2)
    expected = ["s1", "s2", "s9", "s10", "s11"]
    axes = figures.data_examples(np.random.default_rng(0).normal(size=(10, 4, 4)), labels).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == expected
    legend = figures.latent_map(POINTS[:10], labels).axes[0].get_legend()
    assert legend is not None
    assert [text.get_text().split(" ")[0] for text in legend.get_texts()] == expected


def test_distances_stand_clear_of_the_pictures_above_them() -> None:
    x = np.random.default_rng(0).normal(size=(24, 8, 8))
    figure = figures.samples(x, x, np.ones(24))
    figures.to_png(figure)
    for axes in figure.axes:
        top = max(label.get_window_extent().y1 for label in axes.get_xticklabels())
        assert axes.get_window_extent().y0 - top > 3


def test_one_is_not_many() -> None:
    caption = figures.latent_map(POINTS[:2] * np.array([[1.0], [np.nan]])).axes[0].get_xlabel()
    assert caption.startswith("map of 1 sample; 1 has no place.")
    values = np.append(np.random.default_rng(0).normal(size=500), -1e5)
    axes = figures.log_prob_histogram({"all": values}).axes[0]
    assert axes.get_xlabel().endswith("1 sample lies outside the frame")


def test_features_are_named_alike_below_every_column_of_panels() -> None:
    x, names = np.random.default_rng(0).normal(size=(20, 8)), [f"gene{i}" for i in range(8)]
    figure = figures.data_examples(x, np.arange(20) % 10, feature_names=names)
    lowest = [figure.axes[i] for i in (6, 7, 8, 9)]
    turned = {label.get_rotation() for axes in lowest for label in axes.get_xticklabels()}
    assert turned == {45.0}


def test_rare_classes_are_drawn_as_others() -> None:
    labels = np.repeat([f"class {i:02d}" for i in range(14)], np.arange(14, 0, -1))
    figure = figures.latent_map(np.random.default_rng(0).normal(size=(len(labels), 2)), labels)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[0] == "class 00  (14)"
    assert texts[-1] == "4 others  (10)"
    assert len(texts) == 11


def test_what_the_map_cannot_show_is_said() -> None:
    points = np.zeros((1200, 2))
    points[:3] = np.nan
    axes = figures.latent_map(points, method="t-SNE", note="So.").axes[0]
    assert axes.get_xlabel() == "t-SNE of 1\u2009197 samples; 3 have no place. So."


@pytest.mark.parametrize("size", [200, 5000])
def test_points_keep_their_colour_when_shuffled(size: int) -> None:
    points = np.column_stack([np.arange(size), np.zeros(size)])
    figure = figures.latent_map(points, (np.arange(size) % 2).astype(str), seed=3)
    marks: Any = figure.axes[0].collections[0]
    place, colours = marks.get_offsets()[:, 0], marks.get_facecolors()
    assert not np.array_equal(place, np.sort(place))
    assert len(np.unique(colours[place % 2 == 0], axis=0)) == 1
    assert len(np.unique(colours, axis=0)) == 2


def test_best_epoch_is_the_lowest_validation_loss() -> None:
    losses = [5.0, 2.0, float("nan"), 3.0]
    history = [
        {"epoch": i, "train": {"loss": -i}, "validation": {"loss": v}}
        for i, v in enumerate(losses)
    ]
    legend = figures.training_curves(history).axes[0].get_legend()
    assert legend is not None
    assert legend.get_texts()[-1].get_text() == "best: 2, epoch 1"


def test_histogram_counts_what_it_leaves_out() -> None:
    values = np.append(np.random.default_rng(0).normal(size=500), [-1e5, -2e5])
    axes = figures.log_prob_histogram({"all": values}).axes[0]
    assert axes.get_xlabel().endswith("2 samples lie outside the frame")


HOSTILE = ["<img src=x onerror=alert(1)>", "$\\frac{", "_hidden", "", "地図\n\x07", "%s {0} \\$"]


def test_hostile_labels_are_inert_in_svg() -> None:
    x = np.random.default_rng(0).normal(size=(12, 5))
    labels, names = np.array(HOSTILE * 2), ["$x_", "<b>", "", "\\", "&"]
    for figure in (
        figures.latent_map(x[:, :2], labels, name="<script>$"),
        figures.data_examples(x, labels, feature_names=names, unit="$\\mu"),
        figures.reconstructions(x, x, HOSTILE * 2, np.ones(12), feature_names=names),
        figures.model_comparison([figures.ModelRow(name, (1, 0, 2)) for name in HOSTILE]),
    ):
        svg = figures.to_svg(figure)
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg).iter()}
        assert not tags & {"img", "script", "b", "foreignObject", "a"}
        assert not re.search(r"\d{4}-\d\d-\d\dT", svg)
        figures.to_png(figure)


@pytest.mark.parametrize("name", ["units", "map, many points", "curves"])
def test_svg_repeats(name: str) -> None:
    draw = NUMBERS[name]
    assert figures.to_svg(draw(), title="a map") == figures.to_svg(draw(), title="a map")


def test_svg_says_what_it_shows_in_one_inert_line() -> None:
    svg = figures.to_svg(NUMBERS["one unit"](), title="<script>\n" + "x" * 999)
    title = ElementTree.fromstring(svg).find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.text is not None
    assert title.text.startswith("<script> xxx")
    assert len(title.text) == 300


NOISE = np.random.default_rng(0)
LARGE: dict[str, Callable[[], Figure]] = {
    "long lines": lambda: figures.data_examples(NOISE.normal(size=(60, 3000)), MANY[:60]),
    "few thousand points": lambda: figures.latent_map(np.tile(POINTS, (13, 1)), np.tile(MANY, 13)),
    "many points": lambda: figures.latent_map(NOISE.normal(size=(60_000, 2))),
    "small pixels": lambda: figures.data_examples(NOISE.normal(size=(40, 128, 128))),
}


@pytest.mark.parametrize("name", LARGE)
def test_many_marks_become_pixels_in_svg_and_words_do_not(name: str) -> None:
    svg = figures.to_svg(LARGE[name]())
    assert len(svg) < 1_000_000
    assert "<image" in svg
    assert "<use" in svg, "letters are still shapes"


def test_unknown_pixels_are_hatched_in_no_colour_of_the_data() -> None:
    x = np.zeros((1, 4, 4))
    x[0, 1:3, 1:3] = np.nan
    axes = figures.gaps(x, np.zeros((1, 4, 4)), np.ones((1, 4, 4)), "a").subfigs[0].axes[0]
    tiles, stripes = (np.asarray(image.get_array()) for image in axes.images)
    unknown = tiles[1:3, 1:3].reshape(4, 3)
    assert (np.ptp(unknown, axis=1) > 0.02).all(), "not a grey"
    fine = stripes.shape[0] // tiles.shape[0]
    opaque = stripes[..., 3] > 0
    inside = opaque[fine : 3 * fine, fine : 3 * fine]
    assert 0.2 < inside.mean() < 0.5
    assert not opaque[:fine].any()


def test_only_what_was_filled_in_is_uncertain() -> None:
    x = np.array([[1.0, np.nan, 3.0]])
    figure = figures.gaps(x, np.array([[1.0, 2.0, 3.0]]), np.full((1, 3), 0.5), "a")
    (bars,) = figure.axes[0].containers[1].lines[2]
    ends = np.array([segment[:, 1] for segment in bars.get_segments() if len(segment)])
    np.testing.assert_allclose(ends[np.isfinite(ends).all(axis=1)], [[2 - 0.98, 2 + 0.98]])


def test_shares_are_of_the_true_class_and_none_where_it_has_no_sample() -> None:
    shares = figures.Matrix("x", np.array([[3, 1], [0, 0]])).shares
    np.testing.assert_array_equal(shares, [[0.75, 0.25], [np.nan, np.nan]])


def test_counts_and_shares_are_written_into_cells() -> None:
    matrix = figures.Matrix("x", np.array([[3, 1], [0, 4]]))
    axes = figures.confusion_matrices([matrix], ["cat", "dog"]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["3\n75 %", "1\n25 %", "4\n100 %"]


@pytest.mark.parametrize(
    ("count", "labels"),
    [(1, "ab"), (2, ["IBD delayed", *"abcd"]), (3, "abc"), (4, [f"long name {i}" for i in "ab"])],
)
def test_titles_of_matrices_are_whole(count: int, labels: list[str]) -> None:
    counts = np.ones((len(labels), len(labels)), int)
    drawn = figures.confusion_matrices([figures.Matrix("Whole", counts)] * count, labels)
    grey = np.asarray(Image.open(io.BytesIO(figures.to_png(drawn))).convert("L"))
    assert np.flatnonzero((grey < 250).any(axis=1))[0] > 8, "its first line is cut off"


def test_the_most_surprising_columns_come_first_by_name() -> None:
    nats = np.array([[0.5, np.nan, 9.0, -1.0]])
    figure = figures.strange_samples(
        np.array([[1.0, 2, 3, 4]]), np.zeros((1, 4)), nats, ["a"], feature_names=list("wxyz")
    )
    told = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert told[:2] == ["y\n3, expected 0", "w\n1, expected 0"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [9.0, 0.5, -1.0, 0.0]


def test_far_samples_stay_at_the_edge_of_the_frame() -> None:
    values = np.append(np.random.default_rng(0).normal(size=200), 1e9)
    held, far = figures.Side(values, "x").framed()
    assert np.flatnonzero(far).tolist() == [200]
    assert held[200] < 20


@pytest.mark.parametrize(
    "call",
    [
        lambda: figures.data_examples(np.zeros((3, 4)), np.zeros(2)),
        lambda: figures.data_examples(np.zeros(4)),
        lambda: figures.data_examples(np.zeros((0, 4))),
        lambda: figures.latent_map(np.zeros((3, 3))),
        lambda: figures.latent_map(np.zeros((3, 2)), np.zeros(4, dtype=int)),
        lambda: figures.training_curves([{"epoch": 1, "train": {"loss": float("nan")}}]),
        lambda: figures.log_prob_histogram({"all": np.full(3, np.nan)}),
        lambda: figures.model_comparison([]),
        lambda: figures.active_units(np.zeros(3), np.zeros(2)),
        lambda: figures.rank_histogram(EDGES, np.ones(9)),
        lambda: figures.rank_histogram(EDGES, np.zeros(10)),
        lambda: figures.gaps(np.zeros((3, 4)), np.zeros((3, 4)), np.zeros((3, 4)), "ab"),
        lambda: figures.samples(np.zeros((3, 4)), np.zeros((2, 4)), np.zeros(3)),
        lambda: figures.p_value_histogram(np.full(3, np.nan)),
        lambda: figures.confusion_matrices([], "ab"),
        lambda: figures.confusion_matrices(MATRICES, range(13)),
        lambda: figures.confusion_matrices(MATRICES, "ab"),
        lambda: figures.strange_samples(
            np.zeros((3, 4)), np.zeros((3, 4)), np.zeros((3, 4)), "ab"
        ),
        lambda: figures.score_sides(FLAT, FLAT, np.zeros(3, dtype=bool), [], "abcd"),
    ],
)
def test_wrong_arguments_are_refused(call: Callable[[], Figure]) -> None:
    with pytest.raises(UsageError, match="; "):
        call()


def test_arguments_are_not_changed() -> None:
    x = np.random.default_rng(0).normal(size=(9, 6, 6))
    x.flags.writeable = False
    figures.reconstructions(x, x, range(9), np.arange(9.0))
    figures.data_examples(x)
    figures.thumbnails(x)


@pytest.mark.parametrize(
    ("file", "x", "y"),
    [
        ("cells/ucsf_neuron_if_28.npz", "X", "y"),
        ("anomaly/6_cardio.npz", "X", "y"),
        ("timeseries/ecg5000.npz", "X_known", "y_known"),
        ("cosmology/kappa_born_255.npz", "kappa", ""),
    ],
)
def test_real_data_are_drawn(file: str, x: str, y: str, data_folder: Path) -> None:
    if not (data_folder / file).is_file():
        pytest.skip(f"{file} is not there")
    with np.load(data_folder / file) as data:
        figure = figures.data_examples(data[x][:200], data[y][:200] if y else None)
    assert len(figures.to_png(figure)) > 10_000
