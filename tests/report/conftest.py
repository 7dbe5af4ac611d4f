from __future__ import annotations

import pytest
from stand import KINDS, Stand, digits_page, make, stand

from isthmus.report.page import Page


@pytest.fixture(params=KINDS, scope="session")
def any_stand(request: pytest.FixtureRequest) -> Stand:
    return stand(*make(request.param))


@pytest.fixture(scope="session")
def demo() -> Page:
    return digits_page()
