"""A reply: sent or called off, and never in between."""

from __future__ import annotations

import pytest

from storage_guard.driver import Busy, Outcome, Reply


def replied() -> tuple[Reply, list[Outcome]]:
    given: list[Outcome] = []
    return Reply(lambda _, outcome: given.append(outcome)), given


def test_what_goes_out_cannot_be_called_off() -> None:
    reply, given = replied()
    assert reply.goes_out()
    assert reply.call_off() is None
    assert not given


def test_what_was_called_off_does_not_go_out_and_was_not_sent() -> None:
    reply, given = replied()
    outcome = reply.call_off()
    assert outcome is not None
    with pytest.raises(Busy, match="before it was sent"):
        outcome()
    assert not reply.goes_out()
    assert [type(each) for each in given] == [type(outcome)]  # for who saw it go out, and waits


def test_who_is_about_to_send_says_so_before_it_looks() -> None:
    """Between its two steps the other side may come: then it is not sent, and whoever waits is told."""
    looked: list[bool] = []

    class Between(Reply):
        @property
        def _called_off(self) -> bool:
            if not looked:
                looked.append(True)
                called_off.append(self.call_off())
            return bool(called_off)

        @_called_off.setter
        def _called_off(self, value: bool) -> None: ...

    called_off: list[Outcome | None] = []
    given: list[Outcome] = []
    reply = Between(lambda _, outcome: given.append(outcome))
    assert not reply.goes_out()
    assert called_off == [None]  # it goes out, as far as the other side can see: an answer will come
    assert len(given) == 1
