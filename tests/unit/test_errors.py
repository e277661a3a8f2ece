"""Errors and signals are those that are drawn, and an error comes out of a pickle as it went in."""

from __future__ import annotations

import copy
import errno
import inspect
import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

import storage_guard
from storage_guard import (
    ObjectExists,
    ObjectInfo,
    ObjectOptions,
    Receipt,
    SourceMissing,
    StorageGuardError,
    errors,
    signals,
    ticket_of,
)
from storage_guard.errors import attach_ticket
from storage_guard.raising import About
from storage_guard.signals import Signal

EXISTING = ObjectInfo(
    key="a/b",
    size_bytes=3,
    etag="e-1",
    modified=datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
    write_id="w-1",
    options=ObjectOptions(content_type="text/plain", metadata={"colour": "green"}),
)
GIVEN: dict[str, Any] = {
    "key": "a/b",
    "path": "folder/file",
    "status": 409,
    "code": "FileAlreadyExists",
    "request_id": "r-1",
    "existing": EXISTING,
    "ticket": "t-1",
    "write_id": "w-2",
    "version_id": "v-1",
    "receipt": Receipt(
        key="a/b",
        url="memory://m/a/b",
        size_bytes=3,
        etag="e-1",
        version_id=None,
        checksum=None,
        verified_by=None,
        guarantee="documented",
        write_id="w-2",
        outcome="created",
        resolved=False,
        attempts=1,
        parts=0,
        elapsed_s=0.5,
    ),
}


def classes(module: ModuleType, root: type[BaseException]) -> dict[str, type[Any]]:
    found = {name: each for name, each in vars(module).items() if isinstance(each, type) and issubclass(each, root)}
    return {name: each for name, each in found.items() if each.__module__ == module.__name__}


def drawn(module: ModuleType) -> list[tuple[str, str | None, str | None]]:
    """The lines of the tree in a module's docstring: name, what it stands below, and the foreign base in brackets."""
    above: list[tuple[int, str]] = []
    found: list[tuple[str, str | None, str | None]] = []
    for line in (module.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ( *)([A-Z]\w+)(?:\([a-z_]+\))?(?: +\((\w+)\))?(?: {2,}\S.*)?", line)
        if match is None:
            continue
        depth, name, other = len(match[1]), match[2], match[3]
        above = [each for each in above if each[0] < depth]
        found.append((name, above[-1][1] if above else None, other))
        above.append((depth, name))
    return found


@pytest.mark.parametrize(
    ("module", "root"), [(errors, StorageGuardError), (signals, Signal)], ids=["errors", "signals"]
)
def test_the_tree_is_the_one_that_is_drawn(module: ModuleType, root: type[BaseException]) -> None:
    actual: set[tuple[str, str | None, str | None]] = set()
    for name, each in classes(module, root).items():
        ours = [base.__name__ for base in each.__bases__ if issubclass(base, root)]
        others = [base.__name__ for base in each.__bases__ if not issubclass(base, root) and base is not Exception]
        assert len(ours) <= 1
        assert len(others) <= 1
        actual.add((name, ours[0] if ours else None, others[0] if others else None))
    assert len(drawn(module)) == len(actual)
    assert set(drawn(module)) == actual


def test_every_error_is_a_public_name() -> None:
    assert classes(errors, StorageGuardError).keys() <= set(storage_guard.__all__)


def taken(cls: type[BaseException]) -> set[str]:
    """The attributes that a class takes beside its message."""
    return set(inspect.signature(cls).parameters) - {"message", "about"} | set(About.__annotations__)


def full(cls: type[StorageGuardError]) -> StorageGuardError:
    """One with every attribute that its class takes, and a note."""
    error = cls("what is true now", **{name: GIVEN[name] for name in taken(cls)})
    error.add_note("cleaning up failed")
    attach_ticket(error, "t-2")
    return error


@pytest.mark.parametrize("cls", classes(errors, StorageGuardError).values())
@pytest.mark.parametrize("how", ["pickle", "copy", "deepcopy"])
def test_an_error_is_copied_whole(cls: type[StorageGuardError], how: str) -> None:
    error = full(cls)
    ways: dict[str, Callable[[StorageGuardError], StorageGuardError]] = {
        "pickle": lambda error: pickle.loads(pickle.dumps(error)),
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
    }
    other = ways[how](error)
    assert type(other) is cls
    assert str(other) == str(error) == "what is true now"
    assert other.args == error.args
    assert vars(other) == vars(error)
    assert other.__notes__ == ["cleaning up failed"]
    assert ticket_of(other) == ticket_of(error) is not None
    for name in taken(cls):
        assert getattr(other, name) == GIVEN[name]
    if isinstance(error, OSError) and isinstance(other, OSError):
        assert (other.errno, other.filename) == (error.errno, GIVEN["path" if "path" in taken(cls) else "key"])
        assert error.errno is not None


@pytest.mark.parametrize(
    ("cls", "code"),
    [("ObjectExists", errno.EEXIST), ("ObjectNotFound", errno.ENOENT), ("AccessDenied", errno.EACCES)],
)
def test_an_os_error_of_ours_has_the_number_of_its_kind(cls: str, code: int) -> None:
    error = getattr(errors, cls)("no", key="k")
    assert error.errno == code
    assert error.filename == "k"


def test_a_file_that_is_missing_is_named_by_its_path_and_not_by_the_key() -> None:
    error = SourceMissing("no", key="k", path="folder/file")
    assert isinstance(error, FileNotFoundError)
    assert (error.errno, error.filename, error.key) == (errno.ENOENT, "folder/file", "k")


def test_old_code_catches_ours_by_the_names_it_knows() -> None:
    with pytest.raises(FileExistsError):
        raise ObjectExists("taken", key="k")


def test_a_ticket_is_found_behind_other_exceptions() -> None:
    inner = KeyboardInterrupt()
    attach_ticket(inner, "t-3")
    outer = RuntimeError("wrapped")
    outer.__cause__ = inner
    assert ticket_of(inner) == ticket_of(outer) == "t-3"
    assert ticket_of(BaseExceptionGroup("several", [ValueError(), outer])) == "t-3"
    assert ticket_of(ValueError()) is None


def test_a_circle_of_exceptions_is_walked_once() -> None:
    one, other = ValueError(), ValueError()
    one.__context__, other.__context__ = other, one
    assert ticket_of(one) is None
