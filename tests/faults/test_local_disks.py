"""Real disks that are full, read-only or mounted within each other, real processes that are killed, the real calls."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faults.local_systems import Mount, Without, files_below
from storage_guard.body import BytesBody
from storage_guard.driver import Exists, ObjectOptions, PartSlot, Refused, WriteMeta
from storage_guard_local import LocalDriver

META = WriteMeta("the-write", ObjectOptions(content_type="text/plain"))


@pytest.mark.parametrize("lacks", [(), ("anonymous",)], ids=["anonymous", "named"])
def test_a_full_disk_is_refused_for_space_with_nothing_left_behind(lacks: tuple[str, ...], mount: Mount) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=1m", "none")
    driver = LocalDriver(disk, system=Without(*lacks))
    with pytest.raises(Refused) as caught:
        driver.put_new("a/b", BytesBody(bytes(2_000_000)), META)
    assert (caught.value.why, caught.value.code) == ("space", "ENOSPC")
    upload_id = driver.begin("a/c", META)
    with pytest.raises(Refused):
        driver.put_part("a/c", upload_id, PartSlot(1, 0, 2_000_000), BytesBody(bytes(2_000_000)))
    driver.abort("a/c", upload_id)
    assert files_below(disk) == []
    driver.put_new("a/b", BytesBody(bytes(500_000)), META)


def test_a_read_only_disk_is_refused_as_read_only_and_still_reads(tmp_path: Path, mount: Mount) -> None:
    LocalDriver(tmp_path / "root").put_new("k", BytesBody(b"data"), META)
    disk = mount("--bind", str(tmp_path / "root"), name="read-only")
    mount("-o", "remount,ro,bind", at=disk)
    driver = LocalDriver(disk)
    for key in ("l", "a/l"):
        with pytest.raises(Refused) as caught:
            driver.put_new(key, BytesBody(b"data"), META)
        assert caught.value.why == "read-only"
    with pytest.raises(Refused) as caught:
        driver.remove("k", None)
    assert caught.value.why == "read-only"
    with pytest.raises(Exists):
        driver.put_new("k", BytesBody(b"data"), META)
    assert driver.read("k", 0, 10, None) == b"data"
    assert driver.capabilities().put == "documented"


def test_a_mount_below_the_root_takes_unnamed_files_and_refuses_named_ones(tmp_path: Path, mount: Mount) -> None:
    root = tmp_path / "root"
    disk = mount("-t", "tmpfs", "none", at=root / "mounted")
    LocalDriver(root).put_new("mounted/a/b", BytesBody(b"data"), META)
    assert (disk / "a" / "b").read_bytes() == b"data"
    with pytest.raises(Refused, match="mount of its own") as caught:
        LocalDriver(root, system=Without("anonymous")).put_new("mounted/a/c", BytesBody(b"data"), META)
    assert (caught.value.why, caught.value.code) == ("request", "EXDEV")
    assert [info.key for info in LocalDriver(root).scan("", "", "")] == ["mounted/a/b"]


def test_a_disk_of_memory_keeps_attributes_and_copies(mount: Mount) -> None:
    driver = LocalDriver(mount("-t", "tmpfs", "none"))
    info = driver.put_new("k", BytesBody(b"data"), META)
    assert driver.head("k") == info
    assert info.write_id == "the-write"


WRITER = """
import os, sys
from storage_guard.body import BytesBody
from storage_guard.driver import PartSlot, WriteMeta
from storage_guard_local import LocalDriver

class Endless(BytesBody):
    def windows(self):
        while True:
            yield from super().windows()
            if sys.stdout.writable(): print("wrote", flush=True)
            sys.stdin.read(1)

LocalDriver(sys.argv[1]).put_new("a/b", Endless(bytes(100_000)), WriteMeta("x"))
"""


def test_a_killed_writer_leaves_no_file_at_all(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"wrote\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait(10)
    assert files_below(tmp_path) == ["a"]  # the folder only
    LocalDriver(tmp_path).put_new("a/b", BytesBody(b"next"), META)


CREATE = """
import sys
from storage_guard.body import BytesBody
from storage_guard.driver import ObjectOptions, WriteMeta
from storage_guard_local import LocalDriver

driver = LocalDriver(sys.argv[1], durable=sys.argv[2] == "durable")
driver.put_new("a/first", BytesBody(b"data"), WriteMeta("x"))
driver.put_new("a/second", BytesBody(b"data"), WriteMeta("y"))
"""
CALLS = "openat,pwrite64,fsetxattr,fsync,linkat,mkdirat"


def traced(tmp_path: Path, durable: str) -> list[str]:
    """The calls on files below `tmp_path`, as `name(what)`, in order."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: the order of the real calls was not looked at")
    log = tmp_path / "strace.log"
    strace = ["strace", "-f", "-y", "-o", str(log), "-e", f"trace={CALLS}"]
    done = subprocess.run(
        [*strace, sys.executable, "-c", CREATE, str(tmp_path / "store"), durable],
        capture_output=True,
        text=True,
        check=False,
    )
    if not log.exists() or "PTRACE" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    seen: list[str] = []
    for line in log.read_text().splitlines():
        found = re.match(r"\d+ +(\w+)\((.*)\) += (-?\d+)", line)
        if not found or str(tmp_path) not in line:
            continue
        name, args, _answer = found.groups()
        where = re.sub(r"^\d+<|>$", "", args.split(",")[0]).replace(str(tmp_path), "")
        if name == "openat" and "O_TMPFILE" not in args:
            continue
        what = args.split(", ")[3] if name == "linkat" else re.sub("/#.*", "/unnamed", where)
        seen.append(f"{name}({what})")
    return seen


def test_data_and_attributes_are_synced_before_the_link_and_the_folder_after(tmp_path: Path) -> None:
    calls = traced(tmp_path, "durable")
    first = calls.index('linkat("first")')
    assert calls[first - 3 : first] == [
        "pwrite64(/store/a/unnamed)",
        "fsetxattr(/store/a/unnamed)",
        "fsync(/store/a/unnamed)",
    ]
    second = calls.index('linkat("second")')
    above = [call for call in calls[first + 1 : second] if call.startswith("fsync")]
    # The first use: the folder, the root's parents as it was missing, the root; then the second file itself.
    assert above == ["fsync(/store/a)", "fsync()", "fsync()", "fsync(/store)", "fsync(/store/a/unnamed)"]
    # Behind it the mark that says so.
    assert calls[second + 1 :] == ["fsync(/store/a)", "fsetxattr(/store/a/unnamed)"]


def test_not_durable_syncs_nothing(tmp_path: Path) -> None:
    calls = traced(tmp_path, "quick")
    assert 'linkat("second")' in calls
    assert not [call for call in calls if "sync" in call]


def test_a_name_that_is_too_long_is_a_key_that_cannot_be(tmp_path: Path) -> None:
    driver = LocalDriver(tmp_path)
    for key in ("x" * 300, "a/" + "x" * 300 + "/b"):
        with pytest.raises(Refused) as caught:
            driver.put_new(key, BytesBody(b""), META)
        assert (caught.value.why, caught.value.code) == ("key", errno.errorcode[errno.ENAMETOOLONG])
        assert driver.head(key) is None
    assert os.listdir(tmp_path) == []
