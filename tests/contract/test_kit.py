"""The rest of the kit: the clock, the bodies, and what it costs to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from storage_guard.clock import Clock
from storage_guard.driver import WINDOW_BYTES
from storage_guard.testing import BytesBody, FailingBody, FakeClock, MeddlingBody, race


def test_sleeping_moves_the_clock_and_is_written_down() -> None:
    clock: Clock = (fake := FakeClock(start_s=100.0))
    clock.sleep(2.5)
    fake.advance(10.0)
    clock.sleep(0.0)
    assert clock.now_s() == 112.5
    assert fake.sleeps == [2.5, 0.0]


def test_nobody_sleeps_backwards() -> None:
    with pytest.raises(ValueError, match="cannot sleep"):
        FakeClock().sleep(-1.0)


def test_chance_is_one_number_or_a_script() -> None:
    assert [FakeClock().chance(), FakeClock(chance=0.25).chance()] == [0.5, 0.25]
    clock = FakeClock(chance=[0.0, 0.9])
    assert [clock.chance(), clock.chance()] == [0.0, 0.9]
    with pytest.raises(AssertionError, match="more often"):
        clock.chance()


def test_a_clock_is_shared_by_threads() -> None:
    clock = FakeClock()

    def sleep_often() -> None:
        for _ in range(100):
            clock.sleep(1.0)

    race([sleep_often] * 8)
    assert clock.now_s() == 800.0
    assert len(clock.sleeps) == 800


def test_a_body_is_read_in_windows_from_the_start_each_time() -> None:
    data = bytes(2 * WINDOW_BYTES + 1)
    body = BytesBody(data)
    for _ in range(2):
        windows = list(body.windows())
        assert [window.nbytes for window in windows] == [WINDOW_BYTES, WINDOW_BYTES, 1]
    assert body.passes == 2
    assert list(BytesBody(b"").windows()) == []


@pytest.mark.parametrize("at_bytes", [0, 1, WINDOW_BYTES, 2 * WINDOW_BYTES])
def test_a_body_meddles_at_its_byte(at_bytes: int) -> None:
    data = bytes(range(256)) * (WINDOW_BYTES // 100)
    out = bytearray()
    seen: list[int] = []
    body = MeddlingBody(data, at_bytes, lambda: seen.append(len(out)))
    for window in body.windows():
        assert 0 < window.nbytes <= WINDOW_BYTES
        out += window
    assert bytes(out) == data
    assert seen == [at_bytes]


def test_a_place_where_nobody_would_meddle_is_refused() -> None:
    with pytest.raises(ValueError, match="within"):
        MeddlingBody(b"abc", 3, lambda: None)


def test_a_body_that_fails_raises_its_very_error() -> None:
    error = OSError("gone")
    body = FailingBody(b"abcdef", 2, error)
    windows = body.windows()
    assert bytes(next(windows)) == b"ab"
    with pytest.raises(OSError, match="gone") as raised:
        next(windows)
    assert raised.value is error
    assert body.size_bytes == 6


def run(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    return ran.stdout + ran.stderr


def test_the_kit_imports_without_pytest() -> None:
    code = "import sys; import storage_guard.testing; print('pytest' in sys.modules)"
    assert run(code) == "False\n"


def test_the_contract_without_pytest_says_what_to_install() -> None:
    code = "import sys; sys.modules['pytest'] = None; from storage_guard.testing import DriverContract"
    last = run(code).strip().splitlines()[-1]
    assert last == "ImportError: DriverContract needs pytest: pip install 'storage-guard[testing]'"


def test_a_name_the_kit_does_not_have_is_an_attribute_error() -> None:
    code = "import storage_guard.testing as kit; print(hasattr(kit, 'nothing'), hasattr(kit, 'DriverContract'))"
    assert run(code) == "False True\n"
