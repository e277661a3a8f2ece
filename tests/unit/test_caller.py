"""Warnings and notes point at the user's program: at the first line that is neither ours nor a context manager's."""

from __future__ import annotations

import contextlib
import types
import warnings
from collections.abc import Callable, Generator
from typing import Any

import pytest

from storage_guard import caller

_SOURCE = """
import warnings
from storage_guard import caller

def warn():
    warnings.warn("look here", stacklevel=caller.level())

def place():
    return caller.place()

def through(function):
    return function()
"""


def module(name: str) -> Any:
    """One that is called `name`, and asks who called it."""
    made = types.ModuleType(name)
    exec(compile(_SOURCE, f"<{name}>", "exec"), made.__dict__)
    return made


OURS = module("storage_guard.somewhere")
DEEPER = module("storage_guard.some.where")
ALIKE = module("storage_guardian")
USERS = module("program")


def warned_in(call: Callable[[], object]) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    (only,) = caught
    return only.filename


def placed_in(call: Callable[[], object]) -> str:
    return str(call()).rpartition(":")[0]


@pytest.mark.parametrize(("ask", "answer"), [("warn", warned_in), ("place", placed_in)])
def test_however_deep_in_our_modules_the_users_line_is_meant(
    ask: str, answer: Callable[[Callable[[], object]], str]
) -> None:
    asked = getattr(OURS, ask)
    assert answer(asked) == __file__
    assert answer(lambda: USERS.through(asked)) == "<program>"
    assert answer(lambda: ALIKE.through(asked)) == "<storage_guardian>", "a name that only begins like ours"
    through = types.FunctionType(OURS.through.__code__, DEEPER.__dict__)
    assert answer(lambda: through(asked)) == __file__
    assert answer(lambda: OURS.through(getattr(DEEPER, ask))) == __file__


def test_the_place_is_a_file_and_a_line() -> None:
    here, there = OURS.place(), OURS.place()
    assert here == there
    first = test_the_place_is_a_file_and_a_line.__code__.co_firstlineno
    assert here == f"{__file__}:{first + 1}"


def test_the_context_managers_of_the_standard_library_are_not_meant() -> None:
    seen: list[str] = []

    def ask() -> Generator[None]:
        seen.append(OURS.place())
        yield

    ours = types.FunctionType(ask.__code__, OURS.__dict__ | {"seen": seen, "OURS": OURS}, "ask", None, ask.__closure__)
    with contextlib.contextmanager(ours)():
        pass
    assert seen[0].rpartition(":")[0] == __file__


def test_who_is_called_by_nobody_else_has_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def always(_: types.FrameType) -> bool:
        return True

    monkeypatch.setattr(caller, "_is_ours", always)
    assert caller.place() == "?"
    assert caller.level() > 1, "as far out as there is anything"
