"""What every test may ask for."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
from collections.abc import Callable

import pytest

from storage_guard.testing.contract.base import check_bytes
from telling import Tell, teller, told

# A shell ignores SIGINT for what it runs in the background, and Python then lets Ctrl-C pass too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Not the journal of who runs the tests. In the environment, so that child processes have it too.
os.environ["STORAGE_GUARD_JOURNAL"] = tempfile.mkdtemp(prefix="storage-guard-journal-")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the same laws with the large numbers")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--soak"):
        return
    soak = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=soak)
    items[:] = [item for item in items if item not in soak]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ended = itertools.chain.from_iterable(terminalreporter.getreports(each) for each in ("passed", "failed"))
    lines = list(told(ended))
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> None:
    """Megabytes are not explained line by line, which takes hours where nothing is shortened (under CI)."""
    if op == "==" and isinstance(left, bytes) and isinstance(right, bytes) and max(len(left), len(right)) > 10_000:
        check_bytes(left, right, "what was asserted")


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Shows what was measured, when all is over."""
    return teller(record_property)
