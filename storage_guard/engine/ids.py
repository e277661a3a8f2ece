"""Ids of writes: 128 random bits in hexadecimal."""

from __future__ import annotations

import os

_ID_BYTES = 16
_AT_A_TIME = 64

# In a block, because a system call gives the interpreter's lock away each time. A child of the process must not use its
# parent's: equal ids are taken for the same write.
_ids: list[str] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.clear)


def new_write_id() -> str:
    try:
        return _ids.pop()
    except IndexError:
        text = os.urandom(_ID_BYTES * _AT_A_TIME).hex()
        ids = [text[at : at + 2 * _ID_BYTES] for at in range(0, len(text), 2 * _ID_BYTES)]
        found = ids.pop()
        _ids.extend(ids)
        return found
