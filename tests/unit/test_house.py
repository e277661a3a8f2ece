"""The house rules: who may import whom, how long a file may be, and what `import storage_guard` loads."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import storage_guard

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 420

# Standard modules that touch nothing outside the program: no files, no network, no clock, no chance, no threads.
PURE = {
    *(
        "__future__",
        "abc",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
        "enum",
        "errno",
    ),
    *(
        "email.utils",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "html",
        "itertools",
        "json",
        "math",
        "re",
        "types",
        "typing",
    ),
    *("statistics", "typing_extensions", "urllib.parse", "xml"),
}
WORLDLY_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
SERVICES = {"oss2", "alibabacloud_oss_v2", "boto3", "botocore", "awscrt", "fsspec", "pytest"}

FOR_DRIVERS = "driver errors body checksum extras names wire"  # what a backend is made of
PUBLIC = ". driver errors model clock retry signals testing"  # "." is storage_guard itself


@dataclass(frozen=True)
class Room:
    """What a module may import: our own modules, named below storage_guard; `also`: others that are not the standard
    library's. `pure`: no I/O, no time, no chance, no threads."""

    ours: str = ""
    also: str = ""
    pure: bool = False


# A row for each module; one that ends with a slash speaks for all modules below it that have no row of their own.
MAY = {
    "storage_guard/model.py": Room(pure=True),
    "storage_guard/raising.py": Room(pure=True),
    "storage_guard/extras.py": Room(pure=True),
    "storage_guard/signals.py": Room("raising", pure=True),
    "storage_guard/errors.py": Room("model raising", pure=True),
    "storage_guard/names.py": Room("errors model", pure=True),
    "storage_guard/clock.py": Room(),
    "storage_guard/amounts.py": Room(pure=True),
    "storage_guard/retry.py": Room("amounts clock", pure=True),
    "storage_guard/checksum.py": Room("model", also="fastcrc awscrt"),
    "storage_guard/body.py": Room(pure=True),
    "storage_guard/partlist.py": Room("model signals", pure=True),
    "storage_guard/replies.py": Room("model signals", pure=True),
    "storage_guard/driver.py": Room("body model partlist replies signals"),
    "storage_guard/memory.py": Room("checksum driver model signals"),
    "storage_guard/schemes.py": Room("driver extras"),
    "storage_guard/plan.py": Room("body model", pure=True),
    "storage_guard/outcome.py": Room(pure=True),
    "storage_guard/ticket.py": Room("checksum", pure=True),
    "storage_guard/translate.py": Room("errors signals", pure=True),
    "storage_guard/answers.py": Room("outcome signals", pure=True),
    "storage_guard/log.py": Room("signals"),
    "storage_guard/caller.py": Room(),
    "storage_guard/access.py": Room("answers clock driver log model names retry signals translate"),
    "storage_guard/guarantee/__init__.py": Room(pure=True),
    "storage_guard/guarantee/findings.py": Room("model signals", pure=True),
    "storage_guard/guarantee/racing.py": Room("body"),
    "storage_guard/guarantee/bench.py": Room(
        "answers body driver guarantee.findings guarantee.racing model names retry signals"
    ),
    "storage_guard/guarantee/trial.py": Room("guarantee.bench guarantee.findings guarantee.racing model signals"),
    "storage_guard/guarantee/marker.py": Room("answers body driver guarantee.findings model names retry signals"),
    "storage_guard/guarantee/examining.py": Room(
        "access guarantee.bench guarantee.findings guarantee.marker guarantee.racing guarantee.trial log model retry "
        "signals translate"
    ),
    "storage_guard/uploads/__init__.py": Room(pure=True),
    "storage_guard/uploads/ownfile.py": Room(),
    "storage_guard/uploads/journal.py": Room("model uploads.ownfile"),
    "storage_guard/uploads/diary.py": Room(pure=True),
    "storage_guard/uploads/journaling.py": Room("uploads.diary uploads.journal"),
    "storage_guard/uploads/sweeping.py": Room(
        "access amounts answers errors model names signals translate uploads.journal"
    ),
    "storage_guard/engine/__init__.py": Room(pure=True),
    "storage_guard/engine/positional.py": Room(),
    "storage_guard/engine/source.py": Room("body checksum engine.positional errors"),
    "storage_guard/engine/payload.py": Room("body checksum driver engine.source errors model plan signals"),
    "storage_guard/engine/concurrency.py": Room(pure=True),
    "storage_guard/engine/lanes.py": Room("clock driver engine.concurrency"),
    "storage_guard/engine/resolve.py": Room(
        "answers checksum clock driver errors log model outcome retry signals ticket translate"
    ),
    "storage_guard/engine/sending.py": Room(
        "answers clock driver engine.concurrency engine.lanes engine.payload engine.resolve log model outcome plan "
        "retry signals"
    ),
    "storage_guard/engine/creation.py": Room(
        "answers checksum engine.lanes engine.payload engine.resolve engine.sending errors log model outcome retry "
        "signals uploads.diary"
    ),
    "storage_guard/engine/policy.py": Room(
        "access body caller engine.creation engine.ids engine.payload engine.resolve engine.sending engine.source "
        "errors guarantee.examining model names outcome plan retry uploads.diary uploads.journal uploads.journaling"
    ),
    "storage_guard/engine/resuming.py": Room(
        "checksum engine.creation engine.payload engine.policy engine.sending engine.source errors model outcome plan "
        "retry signals uploads.journal uploads.journaling"
    ),
    "storage_guard/engine/writing.py": Room(
        "engine.creation engine.policy engine.resuming engine.sending engine.source model outcome retry"
    ),
    "storage_guard/engine/ids.py": Room(),
    "storage_guard/engine/submitted.py": Room(
        "driver engine.creation engine.policy engine.source engine.writing model outcome retry"
    ),
    "storage_guard/engine/results.py": Room("engine.policy engine.submitted errors model signals ticket"),
    "storage_guard/engine/many.py": Room(
        "amounts caller driver engine.concurrency engine.lanes engine.policy engine.results engine.sending "
        "engine.submitted engine.writing errors model outcome retry"
    ),
    "storage_guard/engine/remote.py": Room(
        "access answers body checksum driver engine.payload errors model retry signals translate"
    ),
    "storage_guard/engine/removal.py": Room("access answers errors signals translate"),
    "storage_guard/engine/settling.py": Room("engine.policy engine.resolve errors model ticket"),
    "storage_guard/engine/copying.py": Room(
        "access checksum driver engine.creation engine.payload engine.policy engine.remote engine.removal "
        "engine.sending errors model names outcome plan schemes signals"
    ),
    "storage_guard/engine/ranges.py": Room(
        "access answers engine.concurrency engine.lanes engine.sending errors model signals translate"
    ),
    "storage_guard/engine/reading.py": Room(
        "access answers engine.ranges engine.sending errors model names signals translate"
    ),
    "storage_guard/files/__init__.py": Room(pure=True),
    "storage_guard/files/compression.py": Room(),
    "storage_guard/files/pouring.py": Room(
        "body checksum driver engine.creation engine.payload engine.policy engine.sending engine.source errors "
        "files.compression model outcome retry ticket"
    ),
    "storage_guard/files/draft.py": Room("caller files.pouring model"),
    "storage_guard/files/writer.py": Room("body files.draft model"),
    "storage_guard/files/textual.py": Room("files.draft files.writer"),
    "storage_guard/files/reader.py": Room("access engine.ranges engine.sending files.compression model"),
    "storage_guard/files/opening.py": Room(
        "access engine.policy engine.sending errors files.compression files.draft files.pouring files.reader "
        "files.textual files.writer model"
    ),
    "storage_guard/reads.py": Room("access amounts driver engine.policy engine.reading model uploads.sweeping"),
    "storage_guard/store.py": Room(
        "access amounts clock driver engine.copying engine.many engine.policy engine.removal engine.results "
        "engine.sending engine.settling engine.writing errors files.opening model names outcome plan reads retry "
        "uploads.journal uploads.sweeping"
    ),
    "storage_guard/registry.py": Room("schemes store"),
    "storage_guard/__init__.py": Room(
        "engine.results errors files.opening files.reader files.textual files.writer model registry retry store"
    ),
    "storage_guard/testing/": Room(PUBLIC),
    "storage_guard/filesystem/": Room(". filesystem", also="fsspec"),
    "storage_guard/filesystem/__init__.py": Room("extras filesystem", also="fsspec"),
    "storage_guard/filesystem/modes.py": Room("errors", pure=True),
    # A file that may replace what is there has the life of one that may not.
    "storage_guard/filesystem/rewriting.py": Room(
        ". files.draft files.pouring files.textual files.writer", also="fsspec"
    ),
    "storage_guard/testing/__init__.py": Room(PUBLIC, also="pytest"),
    "storage_guard/testing/contract/": Room(PUBLIC, also="pytest"),
    "storage_guard/testing/contract/base.py": Room(PUBLIC, also="pytest fastcrc"),  # checksums are checked by hand
    "storage_guard/testing/contract/keys.py": Room(PUBLIC + " names", also="pytest"),  # the laws are about the names
    "storage_guard/demo/": Room(PUBLIC + " demo"),
    "storage_guard/demo/s3.py": Room(PUBLIC + " demo doctor"),  # whose table is shown
    "storage_guard/arguments.py": Room(pure=True),
    "storage_guard/doctor/": Room("access arguments doctor errors guarantee model registry signals store"),
    "storage_guard/tune/": Room("arguments engine.sending errors model plan registry store tune"),
    "storage_guard/tune/settings.py": Room("model", pure=True),
    "storage_guard/testing/histories/": Room(PUBLIC),
    "storage_guard/testing/histories/history.py": Room(pure=True),
    "storage_guard/testing/histories/view.py": Room("testing.histories.history", pure=True),
    "storage_guard/testing/histories/laws.py": Room(
        "testing.histories.history testing.histories.laws_of_copies testing.histories.laws_of_uploads "
        "testing.histories.view",
        pure=True,
    ),
    "storage_guard/testing/histories/laws_of_copies.py": Room(
        "testing.histories.history testing.histories.view", pure=True
    ),
    "storage_guard/testing/histories/laws_of_uploads.py": Room(
        "testing.histories.history testing.histories.view", pure=True
    ),
    "storage_guard/testing/histories/checker.py": Room(
        "testing.histories.history testing.histories.laws testing.histories.view", pure=True
    ),
    "storage_guard/testing/histories/player.py": Room(PUBLIC + " memory ticket"),  # which upload a ticket names
    "storage_guard/testing/histories/writing.py": Room(PUBLIC + " files.opening"),
    "storage_guard/testing/server/": Room("testing.server"),
    "storage_guard/testing/server/blobs.py": Room("checksum testing.server"),
    "storage_guard/testing/server/s3_checksums.py": Room("extras testing.server", also="awscrt"),
    "storage_guard/testing/server/heads.py": Room("testing.server.exchange", pure=True),
    "storage_guard/testing/server/framing.py": Room("testing.server.heads", pure=True),
    "storage_guard/testing/server/links.py": Room(pure=True),
    "storage_guard/wire/": Room("driver wire"),
    "storage_guard/wire/heads.py": Room("driver", pure=True),
    "storage_guard/wire/incoming.py": Room("driver wire.heads wire.messages", pure=True),
    "storage_guard/wire/messages.py": Room("driver", pure=True),
    "storage_guard/wire/outgoing.py": Room("driver", pure=True),
    "storage_guard/wire/proxies.py": Room("driver wire.settings"),
    "storage_guard/wire/document.py": Room(pure=True),
    "storage_guard/wire/services/": Room("driver wire.document wire.services", pure=True),
    "storage_guard/wire/services/carrying.py": Room("driver wire"),
    "storage_guard/wire/services/keys.py": Room("driver wire.signing", pure=True),
    "storage_guard/wire/services/sources.py": Room("driver"),
    "storage_guard/wire/services/times.py": Room("wire.services"),  # reads the clock
    "storage_guard/wire/signing/": Room("wire.signing", pure=True),
    "backends/storage_guard_local/": Room(FOR_DRIVERS, also="storage_guard_local"),
    "backends/storage_guard_oss/": Room(FOR_DRIVERS, also="storage_guard_oss oss2 requests"),
    "backends/storage_guard_oss/message.py": Room(FOR_DRIVERS, also="storage_guard_oss", pure=True),
    "backends/storage_guard_oss/document.py": Room("wire", also="storage_guard_oss", pure=True),
    "backends/storage_guard_oss/options.py": Room(FOR_DRIVERS, also="storage_guard_oss", pure=True),
    "backends/storage_guard_oss/asking.py": Room(FOR_DRIVERS, also="storage_guard_oss", pure=True),
    "backends/storage_guard_oss/answers.py": Room(FOR_DRIVERS, also="storage_guard_oss", pure=True),
    "backends/storage_guard_oss/failures.py": Room(FOR_DRIVERS, also="storage_guard_oss", pure=True),
    "backends/storage_guard_oss/endpoints.py": Room(pure=True),
    "backends/storage_guard_s3/": Room(FOR_DRIVERS, also="storage_guard_s3 boto3 botocore types_boto3_s3"),
    "backends/storage_guard_s3/message.py": Room(FOR_DRIVERS, also="storage_guard_s3", pure=True),
    "backends/storage_guard_s3/document.py": Room(FOR_DRIVERS, also="storage_guard_s3", pure=True),
    "backends/storage_guard_s3/sums.py": Room(FOR_DRIVERS, also="storage_guard_s3", pure=True),
    "backends/storage_guard_s3/options.py": Room(FOR_DRIVERS, also="storage_guard_s3", pure=True),
    "backends/storage_guard_s3/asking.py": Room(FOR_DRIVERS, also="storage_guard_s3", pure=True),
    "backends/storage_guard_s3/answers.py": Room(FOR_DRIVERS, also="storage_guard_s3", pure=True),
    "backends/storage_guard_s3/failures.py": Room(FOR_DRIVERS, also="storage_guard_s3", pure=True),
    "backends/storage_guard_s3/hosts.py": Room(pure=True),
    "benchmarks/": Room(PUBLIC, also="storage_guard_local"),
    "benchmarks/local_creates.py": Room(PUBLIC + " body store", also="storage_guard_local"),
    "benchmarks/large_files.py": Room(also="benchmarks"),
    "benchmarks/small_creates.py": Room(also="benchmarks"),
    "benchmarks/part_sizing.py": Room(also="benchmarks"),
    "benchmarks/parallel_parts.py": Room(also="benchmarks"),
    "benchmarks/streams.py": Room(also="benchmarks"),
    "benchmarks/defaults.py": Room(also="benchmarks"),
    "benchmarks/copies.py": Room(also="benchmarks"),
    "benchmarks/many_objects.py": Room(also="benchmarks"),
    "benchmarks/best_again.py": Room(also="benchmarks"),
    "benchmarks/peers.py": Room(also="benchmarks"),
    "benchmarks/outcomes.py": Room(also="benchmarks"),
    "benchmarks/filesystems.py": Room(also="benchmarks"),
    "benchmarks/report.py": Room(also="benchmarks"),
    "benchmarks/reporting/": Room(also="benchmarks", pure=True),
    "benchmarks/harness/": Room(also="benchmarks"),
    "benchmarks/harness/outcomes.py": Room("testing", also="benchmarks"),
    "benchmarks/harness/told.py": Room(PUBLIC, also="benchmarks boto3 botocore obstore opendal s3fs"),
    "benchmarks/harness/roads.py": Room("engine.concurrency plan", pure=True),
    "benchmarks/harness/study.py": Room("engine.concurrency", also="benchmarks"),
    "benchmarks/reporting/page.py": Room("engine.concurrency", also="benchmarks", pure=True),
    "benchmarks/reporting/advice.py": Room("engine.concurrency", also="benchmarks", pure=True),
    "benchmarks/harness/cells.py": Room("engine.concurrency engine.copying plan", also="benchmarks"),  # its choice
    "benchmarks/harness/places.py": Room(PUBLIC, also="benchmarks"),
    "benchmarks/harness/certificates.py": Room("extras", also="cryptography"),
    "benchmarks/harness/serve.py": Room("testing", also="benchmarks"),
    "benchmarks/harness/copies.py": Room("testing"),
    "benchmarks/harness/clients/ours.py": Room(PUBLIC, also="benchmarks"),
    "benchmarks/harness/clients/by_oss2.py": Room(also="benchmarks oss2 crcmod"),
    "benchmarks/harness/clients/by_oss_v2.py": Room(also="benchmarks alibabacloud_oss_v2 crcmod"),
    "benchmarks/harness/clients/by_opendal.py": Room(also="benchmarks opendal"),
    "benchmarks/harness/clients/by_boto3.py": Room(also="benchmarks boto3 botocore"),
    "benchmarks/harness/clients/by_obstore.py": Room(also="benchmarks obstore"),
    "benchmarks/harness/clients/by_s3fs.py": Room(also="benchmarks s3fs"),
    "benchmarks/harness/clients/by_ossfs.py": Room(also="benchmarks ossfs crcmod"),
    "benchmarks/harness/clients/our_filesystem.py": Room(PUBLIC, also="benchmarks fsspec"),
}

SOURCES = sorted(
    str(path.relative_to(ROOT))
    for top in ("storage_guard", "backends", "benchmarks")
    for path in ROOT.glob(f"{top}/**/*.py")
)
MODULES = {
    path.removeprefix("backends/").removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
    for path in SOURCES
    if not path.startswith("benchmarks/")
}


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    typing_only: bool


def imports_of(source: str) -> Iterator[Import]:
    """Every module that a source imports, wherever in it; `from storage_guard import names` is storage_guard.names."""
    tree = ast.parse(source)
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            assert node.module is not None
            parents = {f"{node.module}.{alias.name}" for alias in node.names}
            within = sorted(parents & MODULES.keys())
            found = within + ([node.module] if len(within) < len(parents) else [])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            found = [str(each.value) for each in node.args[:1] if isinstance(each, ast.Constant)] or ["(computed)"]
        for module in found:
            yield Import(module, getattr(node, "lineno", 0), id(node) in typing_only)


def row_for(path: str) -> str | None:
    """The most particular row that speaks for a module."""
    rows = [row for row in MAY if row == path or (row.endswith("/") and path.startswith(row))]
    return max(rows, key=len, default=None)


def breaches(source: str, room: Room) -> list[str]:
    """What a source imports, or calls, that its room may not."""
    found: list[str] = []
    ours = {"storage_guard" if name == "." else f"storage_guard.{name}" for name in room.ours.split()}
    # A package that may be used may be used whole.
    packages = tuple(f"{name}." for name in ours if MODULES.get(name, "").endswith("/__init__.py") and name.count("."))
    for each in imports_of(source):
        top = each.module.partition(".")[0]
        if top == "storage_guard":
            allowed = each.module in ours or each.module.startswith(packages)
        elif top in sys.stdlib_module_names:
            allowed = not room.pure or top in PURE or each.module in PURE
        else:
            allowed = top in room.also.split() or (top == "typing_extensions" and each.typing_only)
        if not allowed:
            found.append(f"line {each.line}: {each.module}")
    if room.pure:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        named = [(node.lineno, node.func.id) for node in calls if isinstance(node.func, ast.Name)]
        found += [f"line {line}: {name}()" for line, name in named if name in WORLDLY_CALLS]
    return found


def calls_to_sleep(source: str) -> list[int]:
    """The lines that name `time.sleep`, or take `sleep` from `time`."""
    lines: list[int] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and ast.unparse(node.value) == "time":
            lines.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and node.module == "time" and any(a.name == "sleep" for a in node.names):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("path", SOURCES)
def test_a_room_imports_only_what_it_may(path: str) -> None:
    row = row_for(path)
    assert row is not None, f"{path} is new: say in MAY what it may import"
    assert breaches((ROOT / path).read_text(), MAY[row]) == []


def test_every_row_speaks_for_a_module_that_is_there() -> None:
    used = {row_for(path) for path in SOURCES}
    assert [row for row in MAY if row not in used and not row.endswith("/")] == []


def test_the_core_may_import_no_service_and_no_backend() -> None:
    for row, room in MAY.items():
        elsewhere = ("storage_guard/testing/", "storage_guard/wire/", "storage_guard/filesystem/")
        if row.startswith("storage_guard/") and not row.startswith(elsewhere):
            known = {"awscrt" if row == "storage_guard/checksum.py" else ""}  # a service's, and nobody else has NVME
            also = set(room.also.split()) - known
            assert not {name for name in also if name in SERVICES or name.startswith("storage_guard_")}
            assert not [name for name in room.ours.split() if name.startswith("wire")]


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("import oss2", Room()),
        ("def f():\n    import boto3.session", Room()),
        ("import importlib\nimportlib.import_module('fsspec')", Room()),
        ("import importlib\nimportlib.import_module(name)", Room()),
        ("import storage_guard_local", Room("driver")),
        ("from storage_guard import outcome", Room(". driver")),
        ("from storage_guard import Store", Room("driver")),
        ("from storage_guard.outcome import Write", Room("driver")),
        ("if TYPE_CHECKING:\n    from storage_guard.store import Store", Room("driver")),
        ("from typing_extensions import Buffer", Room()),
        ("import os", Room(pure=True)),
        ("from os import path", Room(pure=True)),
        ("import urllib.request", Room(pure=True)),
        ("def f():\n    import time", Room(pure=True)),
        ("open('x')", Room(pure=True)),
    ],
)
def test_a_planted_breach_is_found(source: str, room: Room) -> None:
    assert len(breaches(source, room)) == 1


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("from storage_guard import driver, errors", Room("driver errors")),
        ("from storage_guard.testing.faults import faulty", Room(PUBLIC)),
        ("if TYPE_CHECKING:\n    from typing_extensions import Buffer", Room(pure=True)),
        ("from urllib.parse import quote", Room(pure=True)),
        ("import os, socket, time", Room()),
    ],
)
def test_what_is_allowed_is_no_breach(source: str, room: Room) -> None:
    assert breaches(source, room) == []


def test_no_imports_go_in_a_circle() -> None:
    graph = {
        module: {
            each.module
            for each in imports_of((ROOT / path).read_text())
            if each.module in MODULES and not each.typing_only
        }
        for module, path in MODULES.items()
    }
    assert circle_in(graph) == []


def test_no_packages_go_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        within = graph.setdefault(package_of(module), set())
        for each in imports_of((ROOT / path).read_text()):
            if each.module in MODULES and not each.typing_only and package_of(each.module) != package_of(module):
                within.add(package_of(each.module))
    assert circle_in(graph) == []


def package_of(module: str) -> str:
    """The package right below ours that a module is in; the module itself if it is in none."""
    below = ".".join(module.split(".")[:2])
    return below if MODULES.get(below, "").endswith("/__init__.py") else module


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """One circle, as a path that ends where it begins; [] if there is none."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for other in sorted(graph[module]):
            found = walk(other, [*path, module])
            if found:
                return found
        done.add(module)
        return []

    found = [walk(module, []) for module in sorted(graph)]
    return max(found, key=len)


def test_a_planted_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert package_of("storage_guard.testing.contract.base") == "storage_guard.testing"
    assert package_of("storage_guard.model") == "storage_guard.model"


@pytest.mark.parametrize("path", [path for path in SOURCES if not path.startswith("benchmarks/")])
def test_a_file_can_be_read_in_one_sitting(path: str) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= MAX_LINES


def test_only_the_clock_sleeps() -> None:
    assert [path for path in SOURCES if calls_to_sleep((ROOT / path).read_text())] == ["storage_guard/clock.py"]
    assert calls_to_sleep("import time\ntime.sleep(1)") == [2]
    assert calls_to_sleep("from time import sleep") == [1]


@pytest.mark.parametrize("name", storage_guard.__all__)
def test_every_public_name_says_what_it_is(name: str) -> None:
    said = getattr(storage_guard, name).__doc__
    # A dataclass without a docstring is given its own signature.
    assert said
    assert not said.startswith(f"{name}(")


def test_importing_the_library_loads_no_service_and_nothing_for_later() -> None:
    code = "import json, sys; import storage_guard; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    for_later = {"fastcrc", "asyncio", "multiprocessing", "ssl", "ctypes", "hypothesis", "importlib_metadata"}
    assert "storage_guard" in loaded
    assert sorted(loaded & (SERVICES | for_later)) == []
    assert sorted(name for name in loaded if name.startswith("storage_guard_")) == []
