"""Which system calls this machine has. Linux is the one the backend is run on; the others are written from manuals."""

from __future__ import annotations

import sys

from storage_guard_local.syscalls import System


def system_of(platform: str = sys.platform) -> System:
    if platform == "darwin":
        from storage_guard_local.systems_macos import MacSystem  # noqa: PLC0415 - of no use elsewhere

        return MacSystem()
    if platform == "win32":
        from storage_guard_local.systems_windows import WindowsSystem  # noqa: PLC0415 - of no use elsewhere

        return WindowsSystem()
    return System()
