"""A disk in memory that forgets, when the machine crashes, any part of what was not synced.

Nothing is promised but what was synced: of each unsynced page, attribute, size and time of a file, and of each unsynced
name in a folder, a crash keeps the new or the old one, each for itself. A file's sync says nothing about its names, nor
a folder's about its own. Real disks promise more, each something else; `journaling` adds what all of them do that keep
a journal: the sync of a folder covers its own name and those above, as they are then.

With `reuse`, numbers of removed files are given out again at once, as ext4 does. Symbolic links are left out.
"""

from __future__ import annotations

import errno
import os
import random
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage_guard_local.syscalls import O_DIRECTORY, O_TMPFILE, Kind, System

if TYPE_CHECKING:
    from typing_extensions import Buffer

PAGE = 4096
DEVICE = 77


class Killed(BaseException):
    """The process is no more."""


@dataclass(eq=False)
class File:
    number: int
    data: bytearray = field(default_factory=bytearray)
    attributes: dict[str, bytes] = field(default_factory=dict[str, bytes])
    modified_ns: int = 0
    links: int = 0
    opens: int = 0
    locked_by: int = -1
    # What was synced, and which pages were not.
    safe: tuple[bytes, dict[str, bytes], int] = (b"", {}, 0)
    dirty: set[int] = field(default_factory=set[int])

    def sync(self) -> None:
        self.safe = (bytes(self.data), dict(self.attributes), self.modified_ns)
        self.dirty.clear()

    def after_crash(self, choose: Choice) -> File:
        data, attributes, modified_ns = self.safe
        kept = bytearray(data)
        size_bytes = len(self.data) if choose.data() else len(data)
        kept.extend(bytes(max(0, size_bytes - len(kept))))
        for page in sorted(self.dirty):
            if choose.data():
                piece = self.data[page * PAGE : (page + 1) * PAGE]
                kept[page * PAGE : page * PAGE + len(piece)] = piece
        del kept[size_bytes:]
        found = dict(attributes)
        found.update((name, value) for name, value in self.attributes.items() if choose.data())
        file = File(0, kept, found, self.modified_ns if choose.data() else modified_ns)
        file.sync()
        return file


@dataclass(eq=False)
class Folder:
    number: int
    parent: Folder | None = None
    entries: dict[str, Node] = field(default_factory=dict[str, "Node"])
    links: int = 2
    opens: int = 0
    # Of each name that was changed since the last sync, all it has been: what was synced comes first.
    history: dict[str, list[Node | None]] = field(default_factory=dict[str, "list[Node | None]"])

    def enter(self, name: str, node: Node | None) -> None:
        self.history.setdefault(name, [self.entries.get(name)]).append(node)
        if node is None:
            del self.entries[name]
        else:
            self.entries[name] = node

    def sync(self) -> None:
        self.history.clear()

    def after_crash(self, choose: Choice) -> dict[str, Node]:
        found = dict(self.entries)
        for name, nodes in self.history.items():
            node = choose.name(nodes)
            if node is None:
                found.pop(name, None)
            else:
                found[name] = node
        return found


Node = File | Folder


class Choice:
    """What a crash keeps: of each unsynced thing with these chances; 0 forgets all, 1 keeps all."""

    def __init__(self, seed: int, data: float, names: float) -> None:
        self._chance = random.Random(seed)
        self._data = data
        self._names = names

    def data(self) -> bool:
        return self._chance.random() < self._data

    def name(self, nodes: list[Node | None]) -> Node | None:
        if self._chance.random() >= self._names:
            return nodes[0]
        return nodes[-1] if self._names == 1 else self._chance.choice(nodes[1:])


def choices(seed: int, count: int) -> list[Choice]:
    """Nothing kept; only names; only data; then by chance."""
    corners = [Choice(seed, 0, 0), Choice(seed, 0, 1), Choice(seed, 1, 0)]
    return [*corners, *(Choice(seed * 1000 + number, 0.5, 0.6) for number in range(count))][:count]


class ForgettingDisk:
    """`before(process, call)` is asked before every call: there a test lets rivals run, kills, and crashes."""

    def __init__(self, *, journaling: bool, reuse: bool) -> None:
        self.journaling = journaling
        self.reuse = reuse
        self.before: Callable[[Process, str], None] = lambda _process, _call: None
        self.changes = 0
        self.calls = 0
        self._free: list[int] = []
        self._next = 2
        self._now_ns = 1_700_000_000 * 10**9
        self.root = Folder(self._number())
        self.nodes: dict[int, Node] = {}  # by descriptor
        self._fd = 1000

    def _number(self) -> int:
        if self._free and self.reuse:
            return self._free.pop(self._free.index(min(self._free)))
        self._next += 1
        return self._next

    def file(self) -> File:
        return File(self._number(), modified_ns=self.now_ns())

    def folder(self, parent: Folder) -> Folder:
        return Folder(self._number(), parent)

    def now_ns(self) -> int:
        self._now_ns += 1_000_000
        return self._now_ns

    def opened(self, node: Node) -> int:
        self._fd += 1
        node.opens += 1
        self.nodes[self._fd] = node
        return self._fd

    def close(self, fd: int) -> None:
        node = self.nodes.pop(fd)
        node.opens -= 1
        if isinstance(node, File) and node.locked_by == fd:
            node.locked_by = -1
        self.let_go(node)

    def let_go(self, node: Node) -> None:
        if node.links == 0 and node.opens == 0:
            self._free.append(node.number)

    def sync(self, node: Node) -> None:
        node.sync()
        if self.journaling and isinstance(node, Folder):
            below, above = node, node.parent
            while above is not None and below.links:
                for name in [name for name, found in above.entries.items() if found is below]:
                    above.history.pop(name, None)
                below, above = above, above.parent

    def crash(self, choose: Choice) -> ForgettingDisk:
        """Another disk: what is found on this one after a crash of the machine now. This one goes on."""
        after = ForgettingDisk(journaling=self.journaling, reuse=self.reuse)
        files: dict[File, File] = {}
        pending = [(self.root, after.root)]
        while pending:
            before, folder = pending.pop()
            for name, node in before.after_crash(choose).items():
                if isinstance(node, Folder):
                    below = after.folder(folder)
                    folder.entries[name] = below
                    pending.append((node, below))
                    continue
                if node not in files:
                    files[node] = node.after_crash(choose)
                    files[node].number = after._number()
                files[node].links += 1
                folder.entries[name] = files[node]
        return after

    def walk(self, path: str = "/") -> Iterator[tuple[str, File]]:
        """Every file below a folder, with its path from there; none if there is no such folder."""
        node: Node | None = self.root
        for part in path.split("/"):
            if part:
                node = node.entries.get(part) if isinstance(node, Folder) else None
        pending = [("", node)] if isinstance(node, Folder) else []
        while pending:
            above, folder = pending.pop()
            for name, found in folder.entries.items():
                if isinstance(found, Folder):
                    pending.append((f"{above}{name}/", found))
                else:
                    yield above + name, found


class Process(System):
    """One process's system calls on a disk. `lacks`: "anonymous", "link", as the disk has none."""

    def __init__(self, disk: ForgettingDisk, *lacks: str) -> None:
        self._disk = disk
        self._lacks = lacks
        self._mine: set[int] = set()
        self.dead = False

    def kill(self) -> None:
        """Its descriptors are closed and its locks are free; whatever it still calls fails."""
        self.dead = True
        for fd in sorted(self._mine):
            self._disk.close(fd)
        self._mine.clear()

    def _enter(self, call: str, *, changes: bool = False) -> None:
        if not self.dead:
            self._disk.before(self, call)
            if self.dead:
                raise Killed
        if self.dead:
            raise _error(errno.EIO)
        self._disk.calls += 1
        self._disk.changes += changes

    def _opened(self, node: Node) -> int:
        fd = self._disk.opened(node)
        self._mine.add(fd)
        return fd

    def _file(self, fd: int) -> File:
        node = self._node(fd)
        if isinstance(node, Folder):
            raise _error(errno.EISDIR)
        return node

    def _folder(self, fd: int) -> Folder:
        node = self._node(fd)
        if isinstance(node, File):
            raise _error(errno.ENOTDIR)
        return node

    def _node(self, fd: int) -> Node:
        if fd not in self._mine:
            raise _error(errno.EBADF)
        return self._disk.nodes[fd]

    def _find(self, path: str, dir_fd: int | None) -> tuple[Folder, str, Node | None]:
        folder = self._disk.root if path.startswith("/") or dir_fd is None else self._folder(dir_fd)
        *above, name = [part for part in path.split("/") if part] or ["."]
        for part in above:
            found = folder.entries.get(part)
            if found is None:
                raise _error(errno.ENOENT)
            if isinstance(found, File):
                raise _error(errno.ENOTDIR)
            folder = found
        if name in (".", ".."):
            return folder, name, folder if name == "." else folder.parent or folder
        return folder, name, folder.entries.get(name)

    def _named(self, path: str, dir_fd: int | None) -> Node:
        node = self._find(path, dir_fd)[2]
        if node is None:
            raise _error(errno.ENOENT)
        return node

    def _enter_name(self, folder: Folder, name: str, node: Node) -> None:
        if name in folder.entries:
            raise _error(errno.EEXIST)
        if folder.links == 0:
            raise _error(errno.ENOENT)
        folder.enter(name, node)

    # What `System` has

    def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
        self._enter("open", changes=bool(flags & os.O_CREAT))
        folder, name, node = self._find(path, dir_fd)
        if flags & O_TMPFILE == O_TMPFILE:
            if "anonymous" in self._lacks:
                raise _error(errno.EOPNOTSUPP)
            if folder.links == 0:
                raise _error(errno.ENOENT)
            return self._opened(self._disk.file())
        if flags & os.O_CREAT:
            node = self._disk.file()
            self._enter_name(folder, name, node)
            node.links = 1
        if node is None:
            raise _error(errno.ENOENT)
        if flags & O_DIRECTORY and isinstance(node, File):
            raise _error(errno.ENOTDIR)
        return self._opened(node)

    def close(self, fd: int) -> None:
        self._enter("close")
        if fd not in self._mine:
            raise _error(errno.EBADF)
        self._mine.discard(fd)
        self._disk.close(fd)

    def pwrite(self, fd: int, data: Buffer, offset_bytes: int) -> int:
        self._enter("pwrite", changes=True)
        file, piece = self._file(fd), bytes(data)
        file.data.extend(bytes(max(0, offset_bytes + len(piece) - len(file.data))))
        file.data[offset_bytes : offset_bytes + len(piece)] = piece
        file.dirty.update(range(offset_bytes // PAGE, (offset_bytes + len(piece) - 1) // PAGE + 1))
        file.modified_ns = self._disk.now_ns()
        return len(piece)

    def pread(self, fd: int, size_bytes: int, offset_bytes: int) -> bytes:
        self._enter("pread")
        return bytes(self._file(fd).data[offset_bytes : offset_bytes + size_bytes])

    def preadv(self, fd: int, buffer: memoryview, offset_bytes: int) -> int:
        piece = self.pread(fd, buffer.nbytes, offset_bytes)
        buffer[: len(piece)] = piece
        return len(piece)

    def copy_file_range(self, from_fd: int, to_fd: int, size_bytes: int, from_bytes: int, to_bytes: int) -> int:
        return self.pwrite(to_fd, self.pread(from_fd, size_bytes, from_bytes), to_bytes)

    def ftruncate(self, fd: int, size_bytes: int) -> None:
        self._enter("ftruncate", changes=True)
        file = self._file(fd)
        del file.data[size_bytes:]
        file.data.extend(bytes(size_bytes - len(file.data)))

    def fsync(self, fd: int) -> None:
        self._enter("fsync", changes=True)
        self._disk.sync(self._node(fd))

    def start_writeback(self, fd: int, offset_bytes: int, size_bytes: int) -> None:  # noqa: ARG002 - as the base has it
        """A crash may find all of it, or nothing, as before."""
        self._enter("start_writeback")

    def fstat(self, fd: int) -> os.stat_result:
        self._enter("fstat")
        return _stat(self._node(fd))

    def lstat(self, path: str, *, dir_fd: int | None = None) -> os.stat_result:
        self._enter("lstat")
        if path.startswith("/proc/self/fd/"):
            return _stat(self._node(int(path.rpartition("/")[2])))
        return _stat(self._named(path, dir_fd))

    def link_fd(self, fd: int, name: str, *, dir_fd: int) -> None:
        self._enter("link_fd", changes=True)
        self._link(self._file(fd), name, dir_fd)

    def link(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        self._enter("link", changes=True)
        if "link" in self._lacks:
            raise _error(errno.EPERM)
        node = self._named(source, source_fd)
        if isinstance(node, Folder):
            raise _error(errno.EPERM)
        self._link(node, name, dir_fd)

    def _link(self, file: File, name: str, dir_fd: int) -> None:
        self._enter_name(self._folder(dir_fd), name, file)
        file.links += 1

    def rename_noreplace(self, source: str, name: str, *, source_fd: int, dir_fd: int) -> None:
        self._enter("rename_noreplace", changes=True)
        node = self._named(source, source_fd)
        self._enter_name(self._folder(dir_fd), name, node)
        self._folder(source_fd).enter(source, None)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        self._enter("unlink", changes=True)
        node = self._named(name, dir_fd)
        if isinstance(node, Folder):
            raise _error(errno.EISDIR)
        self._folder(dir_fd).enter(name, None)
        node.links -= 1
        self._disk.let_go(node)

    def mkdir(self, path: str, *, dir_fd: int | None = None) -> None:
        self._enter("mkdir", changes=True)
        folder, name, _ = self._find(path, dir_fd)
        self._enter_name(folder, name, self._disk.folder(folder))

    def rmdir(self, path: str, *, dir_fd: int | None = None) -> None:
        self._enter("rmdir", changes=True)
        folder, name, node = self._find(path, dir_fd)
        if node is None:
            raise _error(errno.ENOENT)
        if isinstance(node, File):
            raise _error(errno.ENOTDIR)
        if node.entries:
            raise _error(errno.ENOTEMPTY)
        folder.enter(name, None)
        node.links = 0
        self._disk.let_go(node)

    def setxattr(self, fd: int, name: str, value: bytes) -> None:
        self._enter("setxattr", changes=True)
        self._file(fd).attributes[name] = value

    def getxattr(self, fd: int, name: str) -> bytes:
        self._enter("getxattr")
        try:
            return self._file(fd).attributes[name]
        except KeyError:
            raise _error(errno.ENODATA) from None

    def flock(self, fd: int) -> None:
        self._enter("flock")
        file = self._file(fd)
        if file.locked_by not in (-1, fd):
            raise _error(errno.EAGAIN)
        file.locked_by = fd

    def entries(self, fd: int) -> list[tuple[str, Kind]]:
        self._enter("entries")
        return [
            (name, "folder" if isinstance(node, Folder) else "file") for name, node in self._folder(fd).entries.items()
        ]


def _stat(node: Node) -> os.stat_result:
    if isinstance(node, Folder):
        return os.stat_result((stat.S_IFDIR | 0o755, node.number, DEVICE, node.links, 0, 0, 0, 0, 0, 0))
    return os.stat_result(
        (stat.S_IFREG | 0o644, node.number, DEVICE, node.links, 0, 0, len(node.data), 0, 0, 0),
        {"st_mtime_ns": node.modified_ns},
    )


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
