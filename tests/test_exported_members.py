from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import isthmus


def test_all_is_what_can_be_imported():
    namespace: dict[str, object] = {}
    exec("from isthmus import *", namespace)
    assert set(isthmus.__all__) == set(namespace) - {"__builtins__"}
    assert isthmus.__all__ == sorted(isthmus.__all__)
    assert dir(isthmus) == isthmus.__all__


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'VAE'"):
        isthmus.VAE  # noqa: B018 - the look-up is the test


@pytest.mark.parametrize("name", [n for n in isthmus.__all__ if n != "__version__"])
def test_every_public_object_says_what_it_is(name):
    member = getattr(isthmus, name)
    assert inspect.getdoc(member)
    assert member.__name__ == name
    if inspect.isclass(member):
        methods = [m for k, m in vars(member).items() if inspect.isfunction(m) and k[0] != "_"]
        assert all(inspect.getdoc(getattr(member, m.__name__)) for m in methods)


def test_importing_isthmus_imports_nothing_heavy():
    code = "import sys, isthmus; sys.exit(any(m in sys.modules for m in ('numpy', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
