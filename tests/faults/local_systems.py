"""Systems for the local backend that write down, fail or lack calls, so that any disk behaves like the one meant."""

from __future__ import annotations

import errno
import inspect
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage_guard_local.syscalls import O_TMPFILE, System

# The fixture `mount`: arguments of mount(8), then `name` or `at`; the folder that was mounted on.
Mount = Callable[..., Path]


class Watched(System):
    """Every call passes through `around`; `calls` holds the names in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def around(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ARG002 - for those that override it
        return call()


def _watch(name: str) -> Callable[..., Any]:
    def call(self: Watched, *args: Any, **more: Any) -> Any:
        self.calls.append(name)
        original = getattr(super(Watched, self), name)  # that of the next base, which may lack it
        return self.around(name, lambda: original(*args, **more))

    return call


for _name, _ in inspect.getmembers(System, inspect.isfunction):
    if not _name.startswith("_") and _name != "key_trouble":
        setattr(Watched, _name, _watch(_name))


class FailingOnce(Watched):
    """The call number `at` (from 0) fails with `code`."""

    def __init__(self, at: int, code: int) -> None:
        super().__init__()
        self._at = at
        self._code = code
        self.failed = ""

    def around(self, name: str, call: Callable[[], Any]) -> Any:
        if len(self.calls) - 1 != self._at:
            return call()
        self.failed = name
        if name == "close":
            call()  # a close that reports an error has closed all the same
        raise OSError(self._code, os.strerror(self._code))


class Failing(System):
    """The named calls always fail, with these codes."""

    def __init__(self, **codes: int) -> None:
        self._codes = codes

    def __getattribute__(self, name: str) -> Any:
        codes: dict[str, int] = object.__getattribute__(self, "__dict__").get("_codes", {})
        if name in codes:

            def fail(*_args: object, **_more: object) -> None:
                _raise(codes[name])

            return fail
        return object.__getattribute__(self, name)


class Without(System):
    """A disk that lacks things: "anonymous", "link", "rename", "attributes"."""

    def __init__(self, *lacks: str) -> None:
        self._lacks = lacks

    def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
        if "anonymous" in self._lacks and flags & O_TMPFILE == O_TMPFILE:
            _raise(errno.EOPNOTSUPP)
        return super().open(path, flags, dir_fd=dir_fd)

    def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        if "link" in self._lacks:
            _raise(errno.EPERM)
        super().link(source, name, source_fd=source_fd, dir_fd=dir_fd)

    def rename_noreplace(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        if "rename" in self._lacks:
            _raise(errno.EINVAL)
        super().rename_noreplace(source, name, source_fd=source_fd, dir_fd=dir_fd)

    def setxattr(self, fd: int, name: str, value: bytes) -> None:
        if "attributes" in self._lacks:
            _raise(errno.ENOTSUP)
        super().setxattr(fd, name, value)

    def getxattr(self, fd: int, name: str) -> bytes:
        if "attributes" in self._lacks:
            _raise(errno.ENOTSUP)
        return super().getxattr(fd, name)


class Quick(Without):
    """Syncs that do nothing: for what is not about crashes of the machine."""

    def fsync(self, fd: int) -> None:
        pass


def _raise(code: int) -> None:
    raise OSError(code, os.strerror(code))


def open_descriptors() -> set[str]:
    """What this process has open, as what it points to; two files of one name differ by their numbers."""
    found: set[str] = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


def files_below(root: str | Path) -> list[str]:
    """Every file and folder, but the library's own empty folders."""
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        for name in [*folders, *names]:
            path = os.path.relpath(os.path.join(folder, name), root)
            if path not in (".storage-guard", ".storage-guard/tmp", ".storage-guard/uploads"):
                found.append(path)
    return sorted(found)


class Killing(Watched, Quick):
    """This process is killed just before its call number `at` (from 0), or just after it.

    What was called is written to `told` first.
    """

    def __init__(self, at: int, moment: str, told: int, *lacks: str) -> None:
        Watched.__init__(self)
        self._at = at
        self._moment = moment
        self._told = told
        self._lacks = lacks

    def around(self, name: str, call: Callable[[], Any]) -> Any:
        mine = len(self.calls) - 1 == self._at
        if mine and self._moment == "before":
            self._die(name)
        try:
            return call()
        finally:
            if mine:
                self._die(name)

    def _die(self, name: str) -> None:
        os.write(self._told, name.encode())
        os.kill(os.getpid(), signal.SIGKILL)
