import numpy as np
import pytest

from isthmus.analysis.traversals import active_units, traverse
from isthmus.contracts import LatentModel
from isthmus.errors import DataError, UsageError


class Linear:
    """x = z W, exactly."""

    def __init__(self, weights):
        self.weights = weights

    def posterior(self, X, /):
        mean = X.reshape(len(X), -1) @ np.linalg.pinv(self.weights.reshape(len(self.weights), -1))
        return mean, np.zeros_like(mean)

    def decode(self, z, /):
        return np.tensordot(z, self.weights, axes=1)

    def likelihood_parameters(self, z, /):
        return {"mean": self.decode(z)}

    def log_prob(self, X, /):
        return np.zeros(len(X)), np.zeros(len(X))

    def draw(self, z, /, *, random_state):
        return self.decode(z)

    def surface(self, z, /):
        return self.decode(z).reshape(len(z), -1)

    def surface_vjp(self, z, cotangent, /):
        return cotangent @ self.weights.reshape(len(self.weights), -1).T

    def sample(self, n, /):
        return self.decode(np.zeros((n, len(self.weights))))


WEIGHTS = np.zeros((3, 2, 2))
WEIGHTS[0], WEIGHTS[1, 0, 0] = 1.0, 8.0  # latent 2 does nothing
CODES = np.linspace(0, 1, 101)[:, None] * np.array([1.0, 2.0, 3.0])


def test_effect_of_a_linear_decoder_is_its_weight_times_the_walk():
    model = Linear(WEIGHTS)
    assert isinstance(model, LatentModel)
    walk = traverse(model, CODES, steps=5, span=1.0)
    spread = walk.values.std(axis=1)
    assert walk.latents.tolist() == [1, 0, 2]
    assert np.allclose(walk.effect, [spread[0] * 4, spread[1], 0])
    assert walk.images.shape == (3, 5, 2, 2)


def test_walks_go_through_the_quantiles_with_the_others_at_the_median():
    walk = traverse(Linear(WEIGHTS), CODES, latents=[0], steps=3, span=1.0)
    assert np.allclose(walk.values[0], [0.158655, 0.5, 0.841345], atol=1e-6)
    assert np.allclose(walk.images[0, :, 0, 0], walk.values[0] + 8 * 1.0)
    assert np.allclose(walk.images[0, :, 1, 1], walk.values[0])


def test_walks_start_from_a_given_code():
    walk = traverse(Linear(WEIGHTS), CODES, latents=[0], steps=2, at=np.array([0, 5.0, 0]))
    assert np.allclose(walk.images[0, :, 0, 0], walk.values[0] + 40)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"latents": [3]}, UsageError),
        ({"latents": [-1]}, UsageError),
        ({"steps": 1}, UsageError),
        ({"span": 0.0}, UsageError),
        ({"at": np.zeros(2)}, DataError),
        ({"codes": np.zeros((0, 3))}, DataError),
        ({"codes": np.zeros(3)}, DataError),
    ],
)
def test_wrong_arguments_are_refused(arguments, error):
    with pytest.raises(error):
        traverse(Linear(WEIGHTS), **{"codes": CODES, **arguments})


def test_units_are_active_above_a_variance_of_one_hundredth():
    spread = np.array([0.2, 0.1001, 0.0999, 0.0])
    means = np.array([[-1.0], [1.0]]) * spread
    active, variance = active_units(means)
    assert active.tolist() == [True, True, False, False]
    assert np.allclose(variance, spread**2)


def test_a_single_sample_shows_no_active_unit():
    assert not active_units(np.ones((1, 3))).active.any()
    with pytest.raises(DataError):
        active_units(np.ones((0, 3)))
