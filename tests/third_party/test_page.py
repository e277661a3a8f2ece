"""docs/writing-a-backend.md shows what is there, and what it says of broken promises is tried."""

from __future__ import annotations

import itertools
import re
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from storage_guard.driver import Driver
from storage_guard.testing import DriverContract

HERE = Path(__file__).resolve().parent
PAGE = (HERE.parents[1] / "docs" / "writing-a-backend.md").read_text()
SOURCE = (HERE / "guard_sqlite.py").read_text()
SHOWN = [SOURCE, (HERE / "test_guard_sqlite.py").read_text(), (HERE / "pyproject.toml").read_text()]

BLOCKS = re.findall(r"^```(?:python|toml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ROWS = re.findall(r'^\| ([^|`]+) \| `(test_\w+)`[^"|]*(?:"([^"]+)")?[^|]*\|$', PAGE, re.MULTILINE)

# What was done, by the law that finds it: lines of the driver, and what they become.
PLANTS: Mapping[str, Sequence[tuple[str, str]]] = {
    "test_a_second_put_changes_nothing": [("INSERT INTO objects VALUES", "INSERT OR REPLACE INTO objects VALUES")],
    "test_of_racing_puts_one_wins": [
        ("INSERT INTO objects VALUES", "INSERT OR REPLACE INTO objects VALUES"),
        (
            "        data, checksum = _read_all(body, LIMITS.max_put_bytes)\n",
            (
                "        if self.head(key):\n            raise Exists(key, sole=True)\n"
                "        data, checksum = _read_all(body, LIMITS.max_put_bytes)\n"
            ),
        ),
    ],
    "test_a_rival_that_comes_first_meanwhile_stays": [
        ("        data, checksum = _read_all(body, LIMITS.max_put_bytes)\n", ""),
        (
            "            _insert_piece(db, content, Part(",
            (
                "            data, checksum = _read_all(body, LIMITS.max_put_bytes)\n"
                "            _insert_piece(db, content, Part("
            ),
        ),
    ],
    "test_a_body_that_raises_publishes_nothing": [
        (
            '    data = b"".join(bytes(window) for window in crc.over(body.windows()))\n',
            (
                '    try:\n        data = b"".join(bytes(window) for window in crc.over(body.windows()))\n'
                "    except BaseException as exc:\n        raise type(exc)(*exc.args) from exc\n"
            ),
        )
    ],
    "test_an_upload_that_was_refused_stays_open": [
        (
            "    except sqlite3.IntegrityError as exc:\n",
            (
                "    except sqlite3.IntegrityError as exc:\n"
                '        db.execute("DELETE FROM uploads WHERE upload_id = ?", (content,))\n'
                '        db.execute("COMMIT")\n'
            ),
        )
    ],
    "test_a_part_list_that_is_wrong_publishes_nothing": [
        ("    number = size_bytes = 0\n", "    return {part.slot.number for part in parts}\n")
    ],
    "test_nothing_of_an_aborted_upload_can_land": [
        (
            (
                '            db.execute("DELETE FROM uploads WHERE upload_id = ?", (upload_id,))\n'
                '            db.execute("DELETE FROM pieces'
            ),
            '            db.execute("DELETE FROM pieces',
        )
    ],
    "test_a_copy_has_the_bytes_and_a_write_id_of_its_own": [
        (
            "            )\n            return _publish(db, key, content, meta)",
            (
                '            )\n            meta = WriteMeta(found.write_id or "", meta.options)\n'
                "            return _publish(db, key, content, meta)"
            ),
        )
    ],
    "test_a_removal_is_pinned_by_its_etag": [
        ("            found = _find_object(db, key, etag)\n", "            found = _find_object(db, key, None)\n")
    ],
    "test_an_option_is_kept_or_refused": [("json.dumps({**kept, ", "json.dumps({")],
    "test_keys_differ_by_case": [("key TEXT PRIMARY KEY", "key TEXT COLLATE NOCASE PRIMARY KEY")],
    "test_a_scan_is_in_the_order_of_bytes": [("ORDER BY key LIMIT", "ORDER BY length(key), key LIMIT")],
    "test_a_long_listing_is_complete": [
        ("            if len(rows) < PAGE:\n                return", "            return")
    ],
    "test_times_are_aware_and_about_now": [("datetime.now(UTC)", "datetime.now()")],
}


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[0][:50] for block in BLOCKS])
def test_what_the_page_shows_is_there(block: str) -> None:
    assert any(block in text or textwrap.indent(block, "    ") in text for text in SHOWN)


def test_the_page_shows_something_and_names_every_member() -> None:
    assert len(BLOCKS) >= 9
    members = {name for name in vars(Driver) if not name.startswith("_")}
    assert sorted(name for name in members if not re.search(rf"`[^`\n]*\b{name}\b", PAGE)) == []


def test_the_page_speaks_of_laws_that_are_there() -> None:
    assert set(re.findall(r"`(test_\w+)`", PAGE)) <= DriverContract.laws.keys()
    assert [law for _, law, _ in ROWS] == list(PLANTS)


def drivers_of(source: str) -> Callable[[Path], Driver]:
    module = types.ModuleType("planted_sqlite")
    exec(compile(source, "planted_sqlite", "exec"), module.__dict__)
    return lambda path: module.SQLiteDriver(str(path), 1.0)


class Effort(DriverContract):
    race_rounds = 10
    listed_keys = 110


def cases_of(law: Callable[..., object]) -> Iterator[dict[str, Any]]:
    """The parameters of a law, as pytest would give them one after the other."""
    marks: list[Any] = [mark for mark in getattr(law, "pytestmark", []) if mark.name == "parametrize"]
    for values in itertools.product(*(list(mark.args[1]) for mark in marks)):
        yield dict(zip((mark.args[0] for mark in marks), values, strict=True))


def failure_of(name: str, make: Callable[[Path], Driver], folder: Path) -> BaseException | None:
    """What a law says, at the first of its cases that does not hold."""
    law = DriverContract.laws[name]
    wanted = law.__code__.co_varnames[1 : law.__code__.co_argcount]
    for number, case in enumerate(cases_of(law)):
        clients = [make(folder / f"{number}.db") for _ in range(8)]
        given = {"driver": clients[0], "rival": clients[1], "clients": clients, **case}
        try:
            law(Effort(), **{each: given[each] for each in wanted})
        except (Exception, pytest.fail.Exception) as exc:  # noqa: BLE001 - whatever it says, it has found it
            return exc
        finally:
            for client in clients:
                client.close()
    return None


@pytest.mark.parametrize(("done", "law", "said"), ROWS, ids=[law for _, law, _ in ROWS])
def test_what_breaks_a_promise_is_found(done: str, law: str, said: str, tmp_path: Path) -> None:
    source = SOURCE
    for line, becomes in PLANTS[law]:
        assert line in source, f"{done}: the driver has changed, and this plant has not"
        source = source.replace(line, becomes)
    found = failure_of(law, drivers_of(source), tmp_path)
    assert found is not None, f"{done}, and {law} did not find it"
    assert not isinstance(found, NameError | TypeError | AttributeError), f"the plant itself is wrong: {found}"
    assert said in str(found)


@pytest.mark.parametrize("law", ["test_a_second_put_changes_nothing", "test_of_racing_puts_one_wins"])
def test_without_a_plant_nothing_is_found(law: str, tmp_path: Path) -> None:
    assert failure_of(law, drivers_of(SOURCE), tmp_path) is None
