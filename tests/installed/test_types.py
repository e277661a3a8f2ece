"""A user's typed program is checked against the installed library: what is right passes, what is wrong is caught.

Every line that ends in `# wrong` must be an error to both checkers, and no other line to either.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from installed.environment import ROOT, Environment, run

WRONG = "# wrong"

USER = """
import io
from array import array
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import assert_type

from storage_guard import (
    Capabilities,
    Checksum,
    NotWritten,
    ObjectExists,
    ObjectInfo,
    ObjectOptions,
    OutcomeUnknown,
    Prefix,
    Receipt,
    RetryPolicy,
    StorageGuardError,
    Store,
    open_store,
    ticket_of,
)


def pieces() -> Iterator[bytes | memoryview]:
    yield b"one"
    yield memoryview(b"two")


def create(store: Store, path: Path) -> list[Receipt]:
    with path.open("rb") as file:
        return [
            store.create("bytes", b"data"),
            store.create("bytearray", bytearray(b"data")),
            store.create("memoryview", memoryview(b"data")),
            store.create("array", array("d", [1.0])),
            store.create("path", path),
            store.create("file", file),
            store.create("in-memory", io.BytesIO(b"data")),
            store.create("list", [b"one", b"two"]),
            store.create("iterator", pieces()),
        ]


def with_everything(store: Store) -> Receipt:
    def progress(done_bytes: int, total_bytes: int | None) -> None:
        print(done_bytes, total_bytes)

    options = ObjectOptions(content_type="text/plain", metadata={"colour": "blue"})
    return store.create(
        "all", b"data", options=options, if_exists="same", write_id="w-1", progress=progress, deadline_s=1.5
    )


def look(store: Store, receipt: Receipt) -> None:
    assert_type(receipt.size_bytes, int | None)
    assert_type(receipt.etag, str | None)
    assert_type(receipt.checksum, Checksum | None)
    assert_type(receipt.notes, tuple[str, ...])
    assert_type(receipt.elapsed_s, float)
    if receipt.outcome == "created" and receipt.guarantee != "trusted":
        print(receipt.key, receipt.url, receipt.write_id, receipt.version_id, receipt.attempts, receipt.parts)
    assert_type(store.head("key"), ObjectInfo | None)
    assert_type(store.read("bytes", 0, 2), bytes)
    assert_type(b"".join(store.stream("bytes")), bytes)
    assert_type(store.check(), Capabilities)
    for entry in store.scan("", delimiter="/"):
        if isinstance(entry, Prefix):
            print(entry.key)
        else:
            assert_type(entry.modified, datetime)
    store.remove("bytes", etag=receipt.etag)


def errors(store: Store) -> Receipt | None:
    try:
        return store.create("key", b"data")
    except ObjectExists as error:
        assert_type(error.existing, ObjectInfo | None)
        os_error: FileExistsError = error
        print(os_error.filename)
    except OutcomeUnknown as error:
        if error.ticket is not None:
            return store.settle(error.ticket)
    except NotWritten as error:
        print(error.status, error.code, error.request_id)
    except StorageGuardError as error:
        assert_type(error.key, str | None)
    except BaseException as error:
        assert_type(ticket_of(error), str | None)
        raise
    return None


def mistakes(store: Store, receipt: Receipt, info: ObjectInfo) -> None:
    store.create("key", "text")  # wrong
    store.create("key", ["text"])  # wrong
    store.create("key", io.StringIO("text"))  # wrong
    store.create("key", 5)  # wrong
    store.create(b"key", b"data")  # wrong
    store.create("key", b"data", if_exists="replace")  # wrong
    store.create("key", b"data", overwrite=True)  # wrong
    store.create("key", b"data", ObjectOptions())  # wrong
    store.create("key", b"data", progress=lambda: None)  # wrong
    receipt.etag = "another"  # wrong
    info.size_bytes = 0  # wrong
    len(receipt.version_id)  # wrong
    print(store.head("key").etag)  # wrong
    receipt.outcome == "exists" and print(receipt.cause)  # wrong
    store.settle(ticket_of(ValueError()))  # wrong
    Store("folder")  # wrong
    ObjectOptions(colour="blue")  # wrong


def main(folder: str) -> None:
    with open_store(folder, retry=RetryPolicy(base_s=0.1), part_bytes=1000) as store:
        path = Path(folder).parent / "source.bin"
        path.write_bytes(b"source")
        receipts = create(store, path)
        receipts.append(with_everything(store))
        assert [receipt.outcome for receipt in receipts] == ["created"] * 10
        look(store, receipts[0])
        assert errors(store) is not None
        assert errors(store) is None


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
"""

DRIVER = """
from collections.abc import Iterator, Sequence

from storage_guard import Store
from storage_guard.driver import (
    Body,
    Capabilities,
    Driver,
    Exists,
    Limits,
    Location,
    ObjectInfo,
    ObjectRef,
    Part,
    PartSlot,
    Prefix,
    Upload,
    WriteMeta,
)


class Mine(Base):
    @property
    def limits(self) -> Limits:
        return Limits(1, 1, 1, 1, max_object_bytes=1)

    @property
    def location(self) -> Location:
        return Location("mine", "", "bucket")

    def capabilities(self) -> Capabilities:
        return Capabilities(put="documented", finish="unproven", copy="missing")

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        raise Exists(f"{key} {meta.write_id} {sum(len(window) for window in body.windows())}", sole=True)

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        raise NotImplementedError

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        raise NotImplementedError

    def copy_part(self, key: str, upload_id: str, slot: PartSlot, source: ObjectRef, start: int, /) -> Part:
        raise NotImplementedError

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        raise NotImplementedError

    def abort(self, key: str, upload_id: str, /) -> None: ...

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        raise NotImplementedError

    def head(self, key: str, /) -> ObjectInfo | None: ...

    def read(self, key: str, start: int, stop: int, etag: str | None, /) -> bytes:
        return b""

    def scan(self, prefix: str, delimiter: str, start_after: str, /) -> Iterator[ObjectInfo | Prefix]:
        yield Prefix(prefix)

    def remove(self, key: str, etag: str | None, /) -> None: ...

    def scan_uploads(self, prefix: str, /) -> Iterator[Upload]:
        yield from ()

    def scan_parts(self, key: str, upload_id: str, /) -> Iterator[Part]:
        yield from ()

    def presign(self, key: str, expires_s: float, /) -> str:
        return ""

    def close(self) -> None: ...


driver: Driver = Mine()  # verdict
store = Store(driver)
"""

MEMBERS = re.findall(r"    def (\w+)", DRIVER)
HEAD = "    def head(self, key: str, /) -> ObjectInfo | None: ...\n\n"


def driver(*, base: str = "", wrong: bool = False, head: str = HEAD) -> str:
    """A program with a third party's driver, which may be derived from Driver, and may lack a good `head`."""
    text = DRIVER.replace("(Base)", base).replace(HEAD, head)
    return text.replace("  # verdict", f"  {WRONG}" if wrong else "")


PROGRAMS = {
    "user.py": USER,
    "third_party.py": (ROOT / "tests" / "third_party" / "guard_sqlite.py").read_text(),
    "driver.py": driver(),
    "derived.py": driver(base="(Driver)"),
    "forgetful.py": driver(head="", wrong=True),
    "derived_forgetful.py": driver(base="(Driver)", head="", wrong=True),
    "guessing.py": driver(head=HEAD.replace("ObjectInfo | None: ...", "bool:\n        return True"), wrong=True),
}
EXPECTED = {
    (name, number)
    for name, text in PROGRAMS.items()
    for number, line in enumerate(text.splitlines(), 1)
    if line.endswith(WRONG)
}


@pytest.fixture(scope="module")
def programs(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("programs")
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text)
    return installed.within(folder)


def test_the_programs_try_every_member_of_a_driver() -> None:
    from storage_guard.driver import Driver

    assert set(MEMBERS) == {name for name in vars(Driver) if not name.startswith("_")}
    assert HEAD in DRIVER
    assert len(EXPECTED) == 20


def test_mypy_finds_what_is_wrong_and_nothing_else(programs: Environment) -> None:
    mypy = [sys.executable, "-m", "mypy", "--config-file=", "--strict", "--no-error-summary", "--hide-error-context"]
    where = ["--python-executable", programs.python, "--cache-dir", str(programs.folder / "mypy")]
    said = run(*mypy, *where, *PROGRAMS, cwd=programs.cwd, check=False)
    found = re.findall(r"^([\w.]+):(\d+): error: ", said, re.MULTILINE)
    assert {(name, int(number)) for name, number in found} == EXPECTED, said


def test_pyright_finds_what_is_wrong_and_nothing_else(programs: Environment) -> None:
    settings = {"typeCheckingMode": "strict", "reportUnusedExpression": "none", "include": ["."]}
    (programs.cwd / "pyrightconfig.json").write_text(json.dumps(settings))
    pyright = [sys.executable, "-m", "pyright", "--pythonpath", programs.python, "--outputjson"]
    said = run(*pyright, cwd=programs.cwd, check=False)
    found = json.loads(said[said.index("{") :])["generalDiagnostics"]
    lines = {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in found}
    assert lines == EXPECTED, [
        f"{each['file']}:{each['range']['start']['line'] + 1} {each['message']}" for each in found
    ]


def test_the_program_runs(programs: Environment) -> None:
    assert "4 4\n" in programs.run("user.py", str(programs.cwd / "folder"))
