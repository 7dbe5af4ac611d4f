"""What one process of a team fails of is told once, whoever finds it."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.errors import DataError, IsthmusError, PeerError
from isthmus.training.parting import Parting


class Shelf(dict[str, str]):
    """A store of one process."""

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        return self.setdefault(key, desired).encode()

    def set(self, key: str, value: str) -> None:
        self[key] = value

    def get(self, key: str) -> bytes:  # type: ignore[override]
        return self[key].encode()

    def check(self, keys: list[str]) -> bool:
        return all(key in self for key in keys)


class Lost(Shelf):
    """A store that went with the process that held it."""

    def check(self, keys: list[str]) -> bool:
        raise RuntimeError("connection reset")


@pytest.fixture
def pair() -> list[Parting]:
    """Two processes with one store."""
    store: Any = Shelf()
    return [Parting(store, rank, 2, 0.1) for rank in range(2)]


def test_the_others_learn_what_went_wrong(pair):
    leader, other = pair
    error = DataError("not a number", where="a.csv", row=3, column="mass", remedy="drop it")
    other.leave_words(error)
    found = leader.reason("connection closed by peer")
    assert type(found) is DataError
    assert str(found) == str(error) == "a.csv[3, mass]: not a number; drop it"


def test_the_first_words_stay(pair):
    leader, other = pair
    other.leave_words(DataError("cause"))
    leader.leave_words(DataError("consequence"))
    assert leader.reason("").cause == "cause"


def test_without_words_another_is_lost(pair):
    leader, other = pair
    other.leave_words(PeerError("who sees one lost is not the cause"))
    found = leader.reason("connection closed by peer")
    assert isinstance(found, PeerError)
    assert "is lost or does not answer (connection closed by peer)" in str(found)


def test_a_fault_of_ours_is_told_to_the_others_as_such(pair):
    leader, other = pair
    other.leave_words(ZeroDivisionError("division by zero\nand more"))
    assert "ended (ZeroDivisionError: division by zero);" in str(leader.reason(""))


def test_one_that_is_asked_to_end_does_so_at_once_and_says_so(pair):
    leader, other = pair
    other.patience = 100
    other.leave_words(KeyboardInterrupt())
    other.settle(KeyboardInterrupt())
    assert "ended (KeyboardInterrupt);" in str(leader.reason(""))


def test_what_the_leader_tells_no_other_does(pair):
    leader, other = pair
    error, same = IsthmusError("a"), IsthmusError("a")
    other.store.set("gone-1", "yes")
    leader.settle(error)
    other.settle(same)
    assert (error.told, same.told) == (False, True)


@pytest.mark.parametrize("store", [Shelf(), Lost()])
def test_where_the_leader_cannot_another_tells(store):
    error = DataError("a")
    Parting(store, 1, 2, 0.1).settle(error)
    assert not error.told


def test_lost_stores_leave_the_plain_words():
    assert isinstance(Parting(Lost(), 1, 2, 0.1).reason("closed"), PeerError)
