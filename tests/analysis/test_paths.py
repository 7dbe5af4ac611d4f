from itertools import pairwise

import numpy as np
import pytest

from isthmus.analysis.densities import fit_mixture
from isthmus.analysis.paths import KINDS, Terrain, curves, geodesic
from isthmus.analysis.paths.cost import Cost
from isthmus.analysis.paths.graph import Roads
from isthmus.errors import DataError, NumericalError, UsageError


class Plane:
    """Codes are their own surface."""

    def surface(self, z):
        return z

    def surface_vjp(self, z, cotangent):
        return cotangent

    def distance(self, a, b):
        return np.linalg.norm(a - b)

    def codes(self, rng, n):
        return rng.normal(size=(n, 2))


class Stereographic:
    """The unit sphere but for a pole."""

    def surface(self, z):
        square = (z**2).sum(axis=1, keepdims=True)
        return np.concatenate([2 * z, square - 1], axis=1) / (1 + square)

    def surface_vjp(self, z, cotangent):
        square = (z**2).sum(axis=1, keepdims=True)
        flat, up = cotangent[:, :2], cotangent[:, 2:]
        along = (flat * z).sum(axis=1, keepdims=True)
        return 2 * flat / (1 + square) + 4 * z * (up - along) / (1 + square) ** 2

    def distance(self, a, b):
        return np.arccos(np.clip(np.dot(*self.surface(np.stack([a, b]))), -1, 1))

    def codes(self, rng, n):
        return rng.uniform(-1.5, 1.5, size=(n, 2))


class Globe(Stereographic):
    """The unit sphere by latitude and longitude, in radians."""

    def surface(self, z):
        latitude, longitude = z.T
        level = np.cos(latitude)
        return np.stack(
            [level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)], axis=1
        )

    def surface_vjp(self, z, cotangent):
        latitude, longitude = z.T
        outwards = np.cos(longitude) * cotangent[:, 0] + np.sin(longitude) * cotangent[:, 1]
        sideways = np.cos(longitude) * cotangent[:, 1] - np.sin(longitude) * cotangent[:, 0]
        north = np.cos(latitude) * cotangent[:, 2] - np.sin(latitude) * outwards
        return np.stack([north, np.cos(latitude) * sideways], axis=1)

    def codes(self, rng, n):
        return np.stack([rng.uniform(-1.2, 1.2, n), rng.uniform(-1.3, 1.3, n)], axis=1)


class Roll:
    """A Swiss roll: angle and height."""

    def surface(self, z):
        angle, height = z.T
        return np.stack([angle * np.cos(angle), height, angle * np.sin(angle)], axis=1)

    def surface_vjp(self, z, cotangent):
        angle = z[:, 0]
        wound = np.cos(angle) - angle * np.sin(angle), np.sin(angle) + angle * np.cos(angle)
        turned = wound[0] * cotangent[:, 0] + wound[1] * cotangent[:, 2]
        return np.stack([turned, cotangent[:, 1]], axis=1)

    def distance(self, a, b):
        unrolled = [(t * np.hypot(1, t) + np.arcsinh(t)) / 2 for t in (a[0], b[0])]
        return np.hypot(unrolled[1] - unrolled[0], b[1] - a[1])

    def codes(self, rng, n):
        return np.stack([rng.uniform(4.7, 14.1, n), rng.uniform(0, 21, n)], axis=1)


SURFACES = [Plane(), Stereographic(), Globe(), Roll()]
CURVED = SURFACES[1:]


def name(surface):
    return type(surface).__name__


def on(surface, n=400, seed=0):
    return Terrain.of(surface, surface.codes(np.random.default_rng(seed), n))


def ring(n=500, seed=0):
    """Codes about the unit circle."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    return rng.normal(1, 0.05, n)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


@pytest.fixture(scope="module")
def density():
    return fit_mixture(ring(), most=8)


def steps(surface, path):
    return np.linalg.norm(np.diff(surface.surface(path.codes), axis=0), axis=1)


@pytest.mark.parametrize("surface", SURFACES, ids=name)
def test_the_surfaces_gradients_are_right(surface):
    rng = np.random.default_rng(0)
    z, cotangent = surface.codes(rng, 5), rng.normal(size=(5, 3))[:, : 2 + (surface in CURVED)]
    for j in range(2):
        moved = z + 1e-6 * np.eye(2)[j]
        slope = ((surface.surface(moved) - surface.surface(z)) / 1e-6 * cotangent).sum(axis=1)
        np.testing.assert_allclose(surface.surface_vjp(z, cotangent)[:, j], slope, atol=2e-4)


class TestKnownGeometry:
    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("surface", SURFACES, ids=name)
    def test_a_geodesic_has_the_true_length(self, surface, seed):
        terrain, rng = on(surface), np.random.default_rng(seed)
        waypoints = surface.codes(rng, 5)
        path = terrain.path(waypoints)
        true = sum(surface.distance(*pair) for pair in pairwise(waypoints))
        assert path.converged
        assert path.length == pytest.approx(true, rel=0.005)

    @pytest.mark.parametrize("surface", CURVED, ids=name)
    def test_no_path_is_shorter_and_the_graphs_is_little_longer(self, surface):
        terrain = on(surface, 2000)
        waypoints = surface.codes(np.random.default_rng(9), 4)
        length = {kind: terrain.path(waypoints, kind).length for kind in KINDS}
        assert min(length.values()) == length["geodesic"]
        assert length["graph"] < 1.15 * length["geodesic"]

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_on_a_linear_surface_the_straight_line_stands_still(self, dtype):
        turn = np.random.default_rng(0).normal(size=(5, 400)).astype(dtype)

        class Linear:
            def surface(self, z):
                return 30 + z @ turn

            def surface_vjp(self, z, cotangent):
                return cotangent @ turn.T

        codes = np.random.default_rng(1).normal(size=(40, 5)).astype(dtype)
        path = Terrain.of(Linear(), codes).path(codes[:4], closed=True)
        straight = Terrain.of(Linear(), codes).path(codes[:4], "linear", closed=True)
        assert path.converged
        np.testing.assert_allclose(path.codes, straight.codes, atol=2e-3)

    def test_steps_into_the_void_are_taken_back(self):
        """Where the data are thin the energy grows by powers of ten, and steps are misjudged."""
        codes = np.random.default_rng(0).normal(size=(300, 20))
        terrain = Terrain.of(Plane(), codes, density=fit_mixture(codes, most=1))
        path = terrain.path(1.8 * codes[:5])
        assert path.converged
        assert path.length < 1.2 * terrain.path(1.8 * codes[:5], "linear").length

    def test_a_geodesic_goes_over_the_pole(self):
        """A meridian from 60 degrees over the pole to 60 degrees; the chart's line is longer."""
        waypoints = np.array([[np.pi / 3, 0.0], [np.pi / 3, 3.0]])
        path = on(Globe()).path(waypoints)
        assert path.length == pytest.approx(Globe().distance(*waypoints), rel=0.01)
        assert on(Globe()).path(waypoints, "linear").length > 1.3 * path.length

    def test_all_kinds_but_the_spherical_are_straight_on_a_plane_without_a_graph_of_codes(self):
        terrain = Terrain.of(Plane(), np.array([[0.0, 0.0], [4.0, 4.0]]))
        for kind in ("linear", "graph", "geodesic"):
            path = terrain.path(np.array([[0.0, 0.0], [4.0, 4.0]]), kind, frames=9)
            np.testing.assert_allclose(
                path.codes, np.linspace(0, 4, 9)[:, None] * [1, 1], atol=1e-9
            )

    def test_the_energy_is_never_above_that_of_any_start(self):
        surface, rng = Globe(), np.random.default_rng(0)
        cost = Cost.of(surface, surface.codes(rng, 50), None)
        ends = surface.codes(rng, 12).reshape(6, 2, 2)
        lines = curves.straight(ends, curves.KNOTS + 1)
        bent = lines + 0.3 * np.sin(np.linspace(0, np.pi, curves.KNOTS + 2))[:, None]
        found = geodesic.relaxed(cost, [bent, lines])
        energy = [geodesic._energy(cost, each)[0] for each in (found.knots, bent, lines)]
        assert (energy[0] <= np.minimum(*energy[1:])).all()
        np.testing.assert_allclose(found.knots[:, [0, -1]], lines[:, [0, -1]], atol=1e-12)

    def test_the_gradient_of_the_energy_with_a_density(self, density):
        rng = np.random.default_rng(0)
        cost = Cost.of(Stereographic(), ring(), density)
        knots = rng.normal(size=(2, curves.KNOTS + 2, 2)) / 2
        direction = rng.normal(size=knots.shape)
        energy = [geodesic._energy(cost, knots + h * direction)[0].sum() for h in (-1e-6, 1e-6)]
        slope = (geodesic._energy(cost, knots)[1] * direction).sum()
        assert (energy[1] - energy[0]) / 2e-6 == pytest.approx(slope, rel=1e-5)


class TestAllKinds:
    @pytest.mark.parametrize("closed", [False, True])
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("surface", SURFACES, ids=name)
    def test_waypoints_are_hit_at_constant_speed(self, surface, kind, closed):
        waypoints = surface.codes(np.random.default_rng(1), 4)
        path = on(surface).path(waypoints, kind, closed=closed, frames=201)
        assert path.codes.shape == (201, 2)
        assert (np.diff(path.waypoints) > 0).all()
        assert path.waypoints[0] == 0
        assert closed or path.waypoints[-1] == 200
        np.testing.assert_array_equal(path.codes[path.waypoints], waypoints)
        for part in np.split(steps(surface, path), path.waypoints[1 : 3 + closed]):
            np.testing.assert_allclose(part, part.mean(), rtol=0.05)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_closed_path_is_one_loop(self, kind):
        surface = Globe()
        waypoints = surface.codes(np.random.default_rng(2), 3)
        closed = on(surface).path(waypoints, kind, closed=True, frames=60)
        there_and_back = on(surface).path(waypoints[[0, 1, 2, 0]], kind, frames=61)
        np.testing.assert_allclose(closed.codes, there_and_back.codes[:-1], atol=1e-12)
        assert closed.length == pytest.approx(there_and_back.length)

    @pytest.mark.parametrize("kind", KINDS)
    def test_equal_waypoints_are_stood_at(self, kind):
        waypoints = np.array([[0.5, 0.5], [0.5, 0.5], [-0.5, 0.2]])
        path = on(Globe()).path(waypoints, kind, frames=50)
        np.testing.assert_array_equal(path.codes[path.waypoints], waypoints)
        still = on(Globe()).path(waypoints[:2], kind, closed=True, frames=7)
        np.testing.assert_allclose(still.codes, np.full((7, 2), 0.5), atol=1e-12)
        assert still.length == pytest.approx(0, abs=1e-9)
        assert still.converged

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("codes", [np.zeros((1, 1)), np.array([[0.0], [3.0]])], ids=len)
    def test_one_latent_and_few_codes(self, kind, codes):
        path = Terrain.of(Plane(), codes).path(np.array([[-1.0], [3.0]]), kind, frames=5)
        if len(codes) == 2 or kind != "graph":
            np.testing.assert_allclose(path.codes[:, 0], [-1, 0, 1, 2, 3], atol=1e-9)
        assert path.length == pytest.approx(4)

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_waypoint_has_a_frame_of_its_own_where_there_are_as_many(self, kind):
        waypoints = np.array([[0.0, 0.0], [0.001, 0.0], [1.0, 1.0], [1.0, 1.001]])
        path = on(Plane()).path(waypoints, kind, frames=4)
        np.testing.assert_array_equal(path.codes, waypoints)

    @pytest.mark.parametrize("kind", KINDS)
    def test_same_seed_same_bytes_and_the_callers_arrays_are_kept(self, kind, density):
        codes, waypoints = ring(), ring(3, seed=1)
        before = codes.copy(), waypoints.copy()
        one, other = (
            Terrain.of(Plane(), codes, density=density, seed=3).path(waypoints, kind)
            for _ in range(2)
        )
        assert one.codes.tobytes() == other.codes.tobytes()
        assert (one.length, one.iterations) == (other.length, other.iterations)
        np.testing.assert_array_equal(codes, before[0])
        np.testing.assert_array_equal(waypoints, before[1])

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64])
    def test_the_model_is_asked_in_the_codes_own_type(self, kind, dtype):
        class Picky(Plane):
            def surface(self, z):
                assert z.dtype == np.result_type(dtype, np.float32)
                return z

        codes = (4 * ring(50)).astype(dtype)
        path = Terrain.of(Picky(), codes).path(codes[:3], kind)
        assert path.codes.dtype == np.result_type(dtype, np.float32)
        np.testing.assert_array_equal(path.codes[path.waypoints], codes[:3])


class TestSpherical:
    def test_directions_turn_evenly_and_norms_pass_evenly(self):
        """From (1, 0) to (0, 3): half-way at 45 degrees with a norm of 2."""
        ends = np.array([[[1.0, 0.0], [0.0, 3.0]]])
        middle = curves.spherical(ends, 2)[0, 1]
        np.testing.assert_allclose(middle, 2 * np.sqrt([0.5, 0.5]))

    @pytest.mark.parametrize(
        "ends",
        [[[0.0, 0.0], [1.0, 2.0]], [[1.0, 1.0], [-2.0, -2.0]], [[1.0, 0.0], [3.0, 0.0]]],
        ids=["zero", "opposite", "same direction"],
    )
    def test_where_there_is_no_great_circle_it_is_straight(self, ends):
        ends = np.array([ends])
        np.testing.assert_allclose(curves.spherical(ends), curves.straight(ends), atol=1e-9)


class TestTheVoid:
    ENDS = np.array([[1.0, 0.0], [-1.0, 0.1]])

    @pytest.mark.parametrize("kind", ["graph", "geodesic"])
    def test_it_is_gone_around(self, kind, density):
        path = Terrain.of(Plane(), ring(), density=density).path(self.ENDS, kind)
        assert np.linalg.norm(path.codes, axis=1).min() > 0.75

    def test_a_straight_line_and_a_geodesic_without_a_density_cross_it(self, density):
        thin, bare = (Terrain.of(Plane(), ring(), density=of) for of in (density, None))
        for path in (thin.path(self.ENDS, "linear"), bare.path(self.ENDS)):
            assert np.linalg.norm(path.codes, axis=1).min() < 0.1

    def test_the_unit_of_the_surface_does_not_matter(self, density):
        class Large(Plane):
            def surface(self, z):
                return 1e3 * z

            def surface_vjp(self, z, cotangent):
                return 1e3 * cotangent

        large, small = (
            Terrain.of(surface, ring(), density=density).path(self.ENDS)
            for surface in (Large(), Plane())
        )
        np.testing.assert_allclose(large.codes, small.codes, atol=1e-3)
        assert large.length == pytest.approx(1e3 * small.length, rel=1e-3)


class TestRoads:
    def test_parts_that_hang_apart_are_joined_by_their_shortest_links(self):
        """Four clusters in a row, and one code far before them."""
        rng = np.random.default_rng(0)
        rows = [rng.normal([10.0 * i, 0], 0.1, size=(30, 2)) for i in range(4)]
        codes = np.concatenate([*rows, [[-90.0, 0.0]]])
        roads = Roads.of(codes, Cost.of(Plane(), codes, None), 5)
        long = roads.ends[
            np.linalg.norm(np.diff(roads.codes[roads.ends], axis=1)[:, 0], axis=1) > 5
        ]
        assert len(long) == 5 + 3  # the far code has neighbours, and two clusters one link each
        way = roads.ways(codes[[0, 90]], np.array([[0, 1]]))[0]
        assert (np.diff(way[:, 0]) < 11).all()
        assert np.linalg.norm(way[0] - codes[0]) == 0
        assert np.linalg.norm(way[-1] - codes[90]) == 0

    def test_waypoints_nearer_to_each_other_than_to_codes_are_joined(self):
        terrain = on(Roll(), 1000)
        near = np.array([[8.0, 10.0], [8.0, 10.01]])
        assert terrain.path(near, "graph").length == pytest.approx(0.01)

    def test_codes_that_repeat_do_not_cut_the_graph(self):
        codes = np.repeat(np.arange(5.0)[:, None] * [1, 1], 40, axis=0)
        path = Terrain.of(Plane(), codes).path(codes[[0, -1]], "graph", frames=5)
        np.testing.assert_allclose(path.codes, codes[::40], atol=1e-9)

    def test_of_many_codes_a_seeded_part_bears_the_paths(self, monkeypatch):
        monkeypatch.setattr("isthmus.analysis.paths.terrain._MOST_CODES", 30)
        parts = [Terrain.of(Plane(), ring(), seed=seed).codes for seed in (0, 0, 1)]
        assert len(parts[0]) == 30
        np.testing.assert_array_equal(parts[0], parts[1])
        assert (parts[0] != parts[2]).any()


class TestRefusals:
    @pytest.mark.parametrize(
        ("codes", "cause"),
        [
            (np.full((3, 2), np.nan), "not finite"),
            (np.zeros(3), "should be numbers"),
            (np.zeros((0, 2)), "bear no path"),
        ],
    )
    def test_codes(self, codes, cause):
        with pytest.raises(DataError, match=cause):
            Terrain.of(Plane(), codes)

    @pytest.mark.parametrize("neighbours", [0, -1])
    def test_neighbours(self, neighbours):
        with pytest.raises(UsageError, match="neighbours should be at least 1"):
            Terrain.of(Plane(), ring(), neighbours=neighbours)

    @pytest.mark.parametrize(
        ("waypoints", "settings", "error", "cause"),
        [
            ([[0, 0], [np.nan, 0]], {}, DataError, "not finite"),
            ([[0, 0, 0], [1, 1, 1]], {}, DataError, "3 latents, the codes 2"),
            ([[0, 0]], {}, UsageError, "2 waypoints"),
            ([[0, 0], [1, 1]], {"kind": "straight"}, UsageError, "linear, spherical"),
            ([[0, 0], [1, 1], [2, 2]], {"frames": 2}, UsageError, "2 frames are too few"),
        ],
    )
    def test_waypoints(self, waypoints, settings, error, cause):
        with pytest.raises(error, match=cause):
            on(Plane()).path(np.array(waypoints, np.float64), **settings)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_surface_that_is_not_finite(self, kind):
        class Torn(Plane):
            def surface(self, z):
                return np.where(z > 0.5, np.inf, z)

        with pytest.raises(NumericalError, match="not finite"):
            Terrain.of(Torn(), ring()).path(np.array([[0.0, 0.0], [1.0, 1.0]]), kind)
