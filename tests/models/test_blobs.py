"""Sums of Gaussian spots: their light, their place, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isthmus.errors import DataError, UsageError
from isthmus.estimators import VariationalAutoencoder
from isthmus.models.blobs import Blobs
from isthmus.models.likelihoods import Gaussian
from isthmus.models.networks import Architecture, Dense
from isthmus.models.responses import PointSpread
from isthmus.models.specification import from_json, parse, to_json

pytestmark = pytest.mark.usefixtures("forked_random")


def test_a_picture_at_the_start_has_the_light_of_its_spots_and_is_never_negative():
    decoder = Blobs(spots=20, light=3.0).decoder(4, (31, 33), 31 * 33)
    pictures = decoder(torch.zeros(1, 4)).detach().reshape(31, 33)
    assert float(pictures.sum()) == pytest.approx(60, rel=0.02)
    assert float(decoder(3 * torch.randn(50, 4)).detach().min()) >= 0
    y, x = np.indices((31, 33)) - np.array([15, 16])[:, None, None]
    centre = [float((pictures * torch.from_numpy(axis)).sum() / pictures.sum()) for axis in (y, x)]
    np.testing.assert_allclose(centre, 0, atol=0.5)


def test_a_spot_is_a_gaussian_of_its_widths():
    decoder = Blobs(spots=1, widths=()).decoder(1, (41, 41), 41 * 41)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.zero_()
        decoder[0].start.copy_(torch.tensor([[2.0], [-1.0], [-0.5], [-1.0], [0.0]]))
    picture = decoder(torch.zeros(1, 1)).detach().reshape(41, 41).double()
    axis = torch.arange(41) - 20.0
    down, across = picture.sum(1), picture.sum(0)
    for along, place, log_width in ((down, 2.0, -0.5), (across, -1.0, -1.0)):
        assert float((along * axis).sum()) == pytest.approx(place, rel=0.01)
        variance = float((along * (axis - place) ** 2).sum())
        assert variance == pytest.approx(0.25 + np.exp(2 * log_width), rel=0.03)


def test_json_and_text_round_trip():
    blobs = Blobs(7, (9, 10), 2.0, Dense((8,)), "tanh")
    assert from_json(Architecture, to_json(blobs)) == blobs
    assert parse(Architecture, "blobs(spots=7)") == Blobs(7)


def test_it_refuses_what_is_no_plain_picture():
    with pytest.raises(DataError, match="pictures"):
        Blobs().decoder(2, (5,), 5)
    with pytest.raises(UsageError, match="every value"):
        Blobs().decoder(2, (5, 5), 60)
    with pytest.raises(UsageError, match="positive"):
        Blobs(spots=0)


def test_it_learns_where_a_spot_is(tmp_path):
    rng = np.random.default_rng(0)
    y, x = np.indices((15, 15)) - 7
    place = rng.uniform(-3, 3, (400, 2, 1, 1))
    light = 40 * np.exp(-((y - place[:, 0]) ** 2 + (x - place[:, 1]) ** 2) / 8)
    stamps = (light + rng.normal(size=light.shape)).astype(np.float32)
    vae = VariationalAutoencoder(
        2,
        likelihood=Gaussian(1.0),
        architecture=Blobs(4, (32,), light=200.0, sight=Dense((32,))),
        response=PointSpread(((0.25, 0.5, 0.25),)),
        scaling="none",
        epochs=40,
        batch_size=10,
        learning_rate=3e-3,
        random_state=0,
    ).fit(stamps)
    seen = vae.decode(vae.transform(stamps))
    assert np.square(seen - light).mean() < 0.3 * np.square(light - light.mean(0)).mean()
    vae.save(tmp_path / "model")
    again = VariationalAutoencoder.load(tmp_path / "model")
    np.testing.assert_allclose(again.transform(stamps), vae.transform(stamps), atol=1e-5)
