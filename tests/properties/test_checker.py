"""Every law of the checker, on histories written by hand: one that breaks it, and legal ones close to it."""

from __future__ import annotations

import pytest

from properties.legal_histories import LEGAL
from properties.told_histories import BROKEN, LANDED, WON, head, history
from storage_guard.testing.histories import LAWS, History, check


def test_there_is_a_violation_of_every_law() -> None:
    assert sorted(BROKEN) == sorted(law.__name__ for law in LAWS)


@pytest.mark.parametrize(
    ("law", "one"), [pytest.param(law, each, id=law) for law, several in BROKEN.items() for each in several]
)
def test_a_violation_is_found_and_named(law: str, one: History) -> None:
    assert law in {violation.law for violation in check(one)}


@pytest.mark.parametrize("name", LEGAL)
def test_what_is_legal_is_not_blamed(name: str) -> None:
    assert check(LEGAL[name]) == []


def test_a_violation_says_which_calls_show_it() -> None:
    found = [each for each in check(history(WON, head(2, 11, 12), acts=[LANDED])) if each.law == "what_is_there_stays"]
    assert found[0].calls == (1, 2)
    assert str(found[0]) == "what_is_there_stays: 'k': object e-w1 was there, then not there (#1, #2)"


@pytest.mark.parametrize("law", LAWS)
def test_every_law_says_why(law: object) -> None:
    assert len((law.__doc__ or "").split()) > 9
