"""What an errno means: which signal a failed system call becomes. Pure."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager

from storage_guard.driver import Lost, Refused, Why

UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})
# A disk, or one mounted read-only, that has no sync of the thing.
CANNOT_SYNC = UNSUPPORTED | {errno.EINVAL, errno.EROFS, errno.EBADF}
SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})

_WHY: dict[int | None, Why] = {
    errno.ENOSPC: "space",
    errno.EDQUOT: "space",
    errno.EFBIG: "space",
    errno.EROFS: "read-only",
    errno.EACCES: "access",
    errno.EPERM: "access",
    errno.ENAMETOOLONG: "key",
    errno.ENOTDIR: "key",
    errno.ELOOP: "key",
}


def refused(exc: OSError, doing: str, why: Why | None = None) -> Refused:
    return Refused(f"{doing}: {exc.strerror or exc}", why=why or _WHY.get(exc.errno, "request"), code=name_of(exc))


def lost(exc: OSError, doing: str) -> Lost:
    return Lost(f"{doing}: {exc.strerror or exc}", code=name_of(exc))


def name_of(exc: OSError) -> str | None:
    return errno.errorcode.get(exc.errno) if exc.errno else None


@contextmanager
def refusing(doing: str) -> Generator[None]:
    """An OSError inside becomes `Refused`: for what happens before anything is published, so it is definite."""
    try:
        yield
    except OSError as exc:
        raise refused(exc, doing) from exc
