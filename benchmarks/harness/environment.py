"""Where a benchmark ran, as far as it explains the figures. No names of hosts, users or folders."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import cast

_UNTOLD = frozenset({"out", "cache", "folder"})  # where things lie on this machine


def environment() -> dict[str, object]:
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "load_1_min": round(os.getloadavg()[0], 2),
        "commit": _commit(),
    }


def command(module: str, given: Mapping[str, object]) -> str:
    """The command that does the same again; options that say where on this machine things lie are left out."""
    words = ["python", "-m", module]
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        if name in _UNTOLD or value is None or value is False:
            continue
        words.append(flag)
        if value is not True:
            words.append(
                shlex.quote(
                    ",".join(map(_word, cast("list[object]", value))) if isinstance(value, list) else _word(value)
                )
            )
    return " ".join(words)


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """With a "+" where what is tracked was changed since. None outside of a checkout."""
    here = Path(__file__).parent
    try:
        revision = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision + ("+" if changed else "")
