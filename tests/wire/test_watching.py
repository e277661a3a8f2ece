"""Waiting for descriptors, on systems that have less for it than Linux. Windows has no poll, no fork hooks and no reads
by position: what is missing there is taken away here, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage_guard.testing.server.children import subprocess_running
from storage_guard.wire.watching import BOTH, READABLE, WRITABLE, Poll, SelectPoll, poll

HERE = Path(__file__).parent
POORER = "import os, select; del select.poll, select.epoll; "
POOREST = f"{POORER}[delattr(os, name) for name in 'register_at_fork fork preadv pread pwrite O_CLOEXEC'.split()]; "

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        yield ours, theirs


@pytest.fixture(params=[poll, SelectPoll])
def watched(request: pytest.FixtureRequest) -> Poll:
    make: Callable[[], Poll] = request.param
    return make()


def test_nothing_is_told_of_what_is_silent(watched: Poll, pair: Pair) -> None:
    watched.register(pair[0].fileno(), READABLE)
    assert watched.poll(0) == []
    assert watched.poll(10) == []


def test_what_can_be_read_and_written_is_told_as_it_was_asked_for(watched: Poll, pair: Pair) -> None:
    ours, theirs = pair
    watched.register(ours.fileno(), WRITABLE)
    assert watched.poll() == [(ours.fileno(), WRITABLE)]
    theirs.send(b"!")
    assert watched.poll() == [(ours.fileno(), WRITABLE)]
    watched.modify(ours.fileno(), BOTH)
    assert watched.poll(1000) == [(ours.fileno(), BOTH)]
    watched.modify(ours.fileno(), READABLE)
    assert watched.poll(1000) == [(ours.fileno(), READABLE)]
    watched.unregister(ours.fileno())
    assert watched.poll(0) == []


def test_an_end_can_be_read(watched: Poll, pair: Pair) -> None:
    ours, theirs = pair
    watched.register(ours.fileno(), READABLE)
    theirs.close()
    ((descriptor, events),) = watched.poll(1000)
    assert descriptor == ours.fileno()
    assert events & READABLE


def test_a_connection_that_is_refused_is_told(watched: Poll) -> None:
    with socket.socket() as taken, socket.socket() as ours:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        ours.settimeout(0)
        ours.connect_ex(taken.getsockname())
        watched.register(ours.fileno(), WRITABLE)
        ((_, events),) = watched.poll(1000)
        assert events & WRITABLE
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


@pytest.mark.timeout(300)
def test_the_laws_of_the_wire_hold_where_there_is_no_poll() -> None:
    arguments = ["-q", "-p", "no:cacheprovider", "--ignore", str(Path(__file__)), str(HERE)]
    program = f"{POORER}import sys, pytest; sys.exit(pytest.main({arguments!r}))"
    ran = _run(program)
    assert " passed" in ran.splitlines()[-1], ran


@pytest.mark.parametrize("dialect", ["oss", "s3"])
def test_objects_are_created_where_nothing_but_select_and_seeking_is_there(tmp_path: Path, dialect: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(20 << 20))
    program = POOREST + textwrap.dedent("""
        import sys
        from pathlib import Path
        from storage_guard import ObjectExists, Receipt, open_store
        url, endpoint, source = sys.argv[1:]
        options = {"access_key_secret": "secret", "region": "cn-hangzhou", "endpoint": endpoint}
        if url.startswith("s3"):
            options = {"secret_access_key": "secret", "endpoint_url": endpoint}
        with open_store(url, access_key_id="test", **options) as store, open(source, "rb") as file:
            file.seek(5)
            store.create("whole", Path(source))
            store.create("rest", file)
            whole = Path(source).read_bytes()
            assert store.read("whole") == whole and store.read("rest") == whole[5:]
            try:
                store.create("whole", b"other")
            except ObjectExists:
                pass
            else:
                raise AssertionError("it was created twice")
            many = list(store.create_many((f"many/{number}", b"small") for number in range(300)))
            assert sum(isinstance(each, Receipt) for each in many) == 300
        print("done")
        """)
    with subprocess_running("--dialect", dialect, "--bucket", "bucket") as server:
        assert _run(program, f"{dialect}://bucket/prefix", server.url, str(source)).splitlines()[-1] == "done"


def _run(program: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ran = subprocess.run(command, env=environ, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-8000:]
    return ran.stdout.strip()
