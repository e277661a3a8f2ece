"""Histories written by hand that break a law, for every law; and what such histories are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from storage_guard.testing.histories import (
    Act,
    Asked,
    Call,
    History,
    LeftUpload,
    Seen,
    Told,
    Touch,
)
from storage_guard.testing.histories.history import NEVER, What

TouchWhat = Literal["begin", "part", "finish", "abort"]
CONTENTS = {"x": b"bytes of x", "y": b"bytes of y", "long": b"a longer object"}


def create(number: int, began: int, ended: int, told: Told | None, content: str = "x", *, write_id: str = "") -> Call:
    asked = Asked("create", "k", f"create {content}", content=content)
    return Call(number, "A", asked, began, ended, told, (write_id or f"w{number}",))


def ask(number: int, began: int, ended: int, asked: Asked, told: Told) -> Call:
    return Call(number, "B", asked, began, ended, told)


def seen(write: int | str, etag: str = "", content: str = "x") -> Seen:
    write_id = write if isinstance(write, str) else f"w{write}"
    return Seen("k", etag or f"e-{write_id}", write_id, len(CONTENTS[content]))


def told(what: What, *objects: Seen) -> Told:
    return Told(what, objects)


def head(number: int, began: int, ended: int, *objects: Seen) -> Call:
    return ask(number, began, ended, Asked("head", "k"), told("found" if objects else "absent", *objects))


def read(number: int, began: int, ended: int, data: bytes, *, whole: bool = True) -> Call:
    return ask(number, began, ended, Asked("read", "k"), Told("bytes" if whole else "failed", data=data))


def pieces(number: int, began: int, ended: int, *read: tuple[int, int, bytes]) -> Call:
    return ask(number, began, ended, Asked("read", "k"), Told("bytes", pieces=read))


def settle(number: int, began: int, ended: int, about: int, answer: Told) -> Call:
    return ask(number, began, ended, Asked("settle", "k", about=about), answer)


def remove(number: int, began: int, ended: int, what: What = "removed") -> Call:
    return ask(number, began, ended, Asked("remove", "k"), told(what))


def landing(began: int, ended: int, write: int | str, *, certain: bool = True) -> Act:
    write_id = write if isinstance(write, str) else f"w{write}"
    return Act("land", "k", began, ended, certain=certain, write_id=write_id, etag=f"e-{write_id}")


def removal(began: int, ended: int, etag: str | None = None, number: int = -1) -> Act:
    return Act("remove", "k", began, ended, certain=ended != NEVER, etag=etag, number=number)


def scan(number: int, began: int, ended: int, *objects: Seen) -> Call:
    listed = tuple(replace(each, write_id=None) for each in objects)
    return ask(number, began, ended, Asked("scan", None), told("listed", *listed))


def copy(number: int, began: int, ended: int, answer: Told, *, moves: bool = False) -> Call:
    """A copy of the object at "s"."""
    asked = Asked("create", "k", "copy s to k", source="s", moves=moves, sound=False)
    return Call(number, "A", asked, began, ended, answer, (f"w{number}",))


def resume(
    number: int, began: int, ended: int, answer: Told | None, content: str = "x", *, write_id: str = "w1"
) -> Call:
    asked = Asked("create", "k", f"resume {content}", content=content, resume=True)
    return Call(number, "A", asked, began, ended, answer, (write_id,))


def sweep(number: int, began: int, ended: int, *, older_than_s: float = 0.0, named: Sequence[str] = ()) -> Call:
    asked = Asked("sweep", None, "sweep", older_than_s=older_than_s)
    return ask(number, began, ended, asked, Told("swept", swept=("u1",), named=tuple(named)))


def touch(what: TouchWhat, number: int, began: int, **more: object) -> Touch:
    return Touch(what, "u1", "k", number, began, began + 1, **more)  # type: ignore[arg-type]


def at_source(content: str, began: int, ended: int, number: int) -> tuple[Call, Act]:
    """An object at "s", and who wrote it."""
    asked = Asked("create", "s", f"create {content}", content=content)
    call = Call(number, "B", asked, began, ended, Told("created"), (f"w{number}",))
    return call, Act("land", "s", began + 1, ended - 1, write_id=f"w{number}", etag=f"e-w{number}", number=number)


def copied(number: int, began: int, content: str) -> Act:
    return Act(
        "land", "k", began, began + 1, write_id=f"w{number}", etag=f"e-w{number}", number=number, content=content
    )


def source_removed(number: int, began: int, etag: str | None) -> Act:
    return Act("remove", "s", began, began + 1, etag=etag, number=number)


def history(*calls: Call, acts: Sequence[Act] = (), left: Sequence[LeftUpload] = (), **more: object) -> History:
    fields = {"faults": 1, **more}
    return History(calls, tuple(acts), tuple(left), CONTENTS, **fields)  # type: ignore[arg-type]


WON = create(1, 0, 10, told("created", seen(1)))
LANDED = landing(4, 5, 1)
UNKNOWN = Told("unknown", ticket="t", upload_id="u1")

AT_SOURCE, SOURCE = at_source("x", 0, 4, 8)
REPLACED, SOURCE_AFTER = at_source("y", 20, 24, 9)
OTHER = replace(AT_SOURCE, number=7, asked=Asked("create", "o", "create x", content="x"), write_ids=("w7",))
OTHER_LANDED = replace(SOURCE, key="o", number=7, write_id="w7", etag="e-w7")
HANDED_ON = Call(6, "B", Asked("create", "s", "copy o to s", source="o", sound=False), 5, 30, Told("created"), ("w6",))
HANDED_ON_LANDED = Act("land", "s", 6, 20, write_id="w6", etag="e-w6", number=6)  # gone before it could be looked at
MOVED = copy(1, 5, 20, told("created", seen(1)), moves=True)
BEGUN = touch("begin", 1, 2, lasting=True)

BROKEN: dict[str, list[History]] = {
    "a_life_has_one_winner": [
        history(WON, create(2, 5, 15, told("created", seen(2))), acts=[LANDED, landing(6, 7, 2)]),
        history(
            WON,
            create(2, 1, 9, UNKNOWN),
            settle(3, 11, 12, 2, told("created", seen(2))),
            acts=[LANDED, landing(6, 7, 2)],
        ),
    ],
    "a_life_has_one_object": [
        history(WON, head(2, 3, 12, seen(1, "other")), acts=[LANDED]),
    ],
    "an_object_is_a_writers_and_whole": [
        history(WON, head(2, 11, 12, seen("nobody", "e-w1")), acts=[LANDED]),
        history(WON, head(2, 11, 12, seen(1, content="long")), acts=[LANDED]),
        history(head(2, 1, 2, seen(1)), create(1, 3, 9, told("created", seen(1))), acts=[LANDED]),
    ],
    "an_object_is_seen_while_it_can_be_there": [
        history(WON, head(2, 1, 2, seen(1)), acts=[LANDED]),
        history(WON, remove(2, 11, 14), head(3, 15, 16, seen(1)), acts=[LANDED, removal(12, 13, "e-w1", 2)]),
    ],
    "a_reader_gets_one_whole_object": [
        history(WON, read(2, 11, 12, b"bytes"), acts=[LANDED]),
        history(WON, read(2, 1, 3, CONTENTS["x"]), acts=[LANDED]),
        history(WON, read(2, 11, 12, b"other", whole=False), acts=[LANDED]),
        history(WON, pieces(2, 11, 12, (0, 5, b"bytes"), (9, 5, b"y")), acts=[LANDED]),
        history(
            WON,
            remove(3, 11, 13),
            create(4, 14, 20, told("created", seen(4)), "y"),
            pieces(5, 2, 25, (0, 9, b"bytes of "), (9, 5, b"x"), (0, 10, b"bytes of y")),
            acts=[LANDED, removal(11, 12, "e-w1", 3), landing(15, 16, 4)],
        ),
        history(read(2, 11, 12, b"")),
    ],
    "ones_own_write_is_no_conflict": [
        history(create(1, 0, 10, told("exists", seen(1))), acts=[LANDED]),
        history(create(1, 0, 10, told("exists")), acts=[LANDED]),
        history(create(1, 0, 10, UNKNOWN), settle(2, 11, 12, 1, told("exists", seen(1))), acts=[LANDED]),
        history(create(1, 0, 10, told("present")), acts=[LANDED]),
        history(
            create(1, 0, 10, told("exists", seen(1))), remove(2, 11, 14), acts=[LANDED, removal(12, 13, "e-w1", 2)]
        ),
    ],
    "not_written_is_for_good": [
        history(create(1, 0, 10, told("not written")), acts=[landing(20, 21, 1)]),
        history(create(1, 0, 10, told("not written")), remove(2, 11, 14), acts=[LANDED, removal(12, 13, "e-w1", 2)]),
        history(create(1, 0, 10, UNKNOWN), settle(2, 11, 12, 1, told("not written")), acts=[LANDED]),
        history(
            create(1, 0, 10, told("not written"), write_id="mine"),
            create(2, 0, 10, told("created", seen("mine")), write_id="mine"),
            acts=[replace(landing(4, 5, "mine"), number=1)],
        ),
        history(copy(1, 0, 10, told("absent")), acts=[LANDED]),
    ],
    "what_is_there_stays": [
        history(WON, head(2, 11, 12), acts=[LANDED]),
        history(WON, head(2, 11, 12, seen(1, "another etag")), acts=[LANDED]),
        history(WON, read(2, 11, 12, CONTENTS["y"]), acts=[LANDED]),
        history(WON, scan(2, 11, 12), acts=[LANDED], fresh_listings=True),
        history(
            WON,
            ask(2, 11, 12, Asked("read", "k", etag="e-w1"), told("changed")),
            acts=[LANDED],
        ),
        history(WON, head(2, 11, 12), acts=[LANDED, removal(13, 14, "e-w1")]),
        history(WON, head(2, 11, 12), acts=[LANDED, removal(8, 9, "of another life")]),
        history(create(1, 0, 10, UNKNOWN), head(2, 6, 7, seen(1)), head(3, 8, 9), acts=[LANDED]),
    ],
    "a_taken_key_was_taken": [
        history(create(1, 0, 10, told("exists"))),
        history(create(1, 0, 10, told("present")), create(2, 11, 20, UNKNOWN), acts=[landing(12, 13, 2)]),
        history(
            WON,
            remove(3, 11, 14),
            create(2, 15, 20, told("exists")),
            acts=[LANDED, removal(12, 13, "e-w1", 3)],
        ),
    ],
    "same_means_equal_bytes": [
        history(WON, create(2, 11, 20, told("same", seen(1)), "y"), acts=[LANDED]),
    ],
    "a_ticket_is_about_its_own_write": [
        history(WON, create(2, 0, 10, UNKNOWN), settle(3, 11, 12, 2, told("created", seen(1))), acts=[LANDED]),
        history(WON, create(2, 0, 10, UNKNOWN), settle(3, 11, 12, 2, told("present", seen(1))), acts=[LANDED]),
    ],
    "a_removal_is_told_truly": [
        history(WON, remove(2, 11, 14), acts=[LANDED]),
        history(WON, remove(2, 11, 14), acts=[LANDED, removal(15, 16, "e-w1")]),
        history(WON, remove(2, 11, 14, "failed"), acts=[LANDED, removal(12, 13, "e-w1", 2)]),
        history(WON, remove(2, 11, 14, "changed"), acts=[LANDED, removal(12, 13, "e-w1", 2)]),
    ],
    "a_left_upload_is_reported": [
        history(create(1, 0, 10, told("not written")), left=[LeftUpload("k", "u1", 1)]),
        history(create(1, 0, 10, UNKNOWN), left=[LeftUpload("k", "u2", 1)]),
        history(
            create(1, 0, 10, Told("not written", notes=("opening an upload was not answered",))),
            left=[LeftUpload("k", "u1", 1), LeftUpload("k", "u2", 1)],
        ),
    ],
    "a_copy_is_of_one_life": [
        history(AT_SOURCE, copy(1, 5, 10, told("created", seen(1))), acts=[SOURCE, copied(1, 6, "y")]),
        history(
            AT_SOURCE,
            copy(1, 15, 19, told("created")),
            acts=[SOURCE, source_removed(7, 12, "e-w8"), copied(1, 16, "x")],
        ),
        history(
            OTHER,
            HANDED_ON,
            copy(1, 7, 10, told("created", seen(1))),
            acts=[OTHER_LANDED, HANDED_ON_LANDED, copied(1, 8, "y")],
        ),
    ],
    "a_rename_loses_nothing": [
        history(AT_SOURCE, MOVED, acts=[SOURCE, source_removed(1, 6, "e-w8"), copied(1, 9, "x")]),
        history(AT_SOURCE, MOVED, acts=[SOURCE, source_removed(1, 6, "e-w8")]),
        history(AT_SOURCE, MOVED, acts=[SOURCE, copied(1, 6, "x"), source_removed(1, 9, None)]),
        history(
            AT_SOURCE,
            REPLACED,
            copy(1, 5, 40, told("created", seen(1)), moves=True),
            acts=[SOURCE, copied(1, 6, "x"), SOURCE_AFTER, source_removed(1, 30, "e-w9")],
        ),
        history(AT_SOURCE, MOVED, acts=[SOURCE, copied(1, 6, "x")]),
    ],
    "a_discarded_file_publishes_nothing": [
        history(create(1, 0, 10, told("discarded")), acts=[replace(LANDED, number=1)]),
        history(create(1, 0, 10, told("discarded")), acts=[replace(landing(20, 21, 1), number=1)]),
    ],
    "a_resumed_write_is_one_write": [
        history(
            resume(1, 0, 10, told("not written")),
            resume(2, 11, 20, told("created"), "y"),
            touches=[BEGUN, touch("part", 2, 12)],
        ),
        history(
            resume(1, 0, 10, told("not written")),
            resume(2, 11, 20, told("created"), write_id="w2"),
            touches=[BEGUN, touch("finish", 2, 12)],
        ),
        history(
            resume(1, 0, 10, told("not written")),
            create(2, 11, 20, told("created")),
            touches=[BEGUN, touch("part", 2, 12)],
        ),
    ],
    "a_sweep_takes_what_is_forgotten": [
        history(
            resume(1, 0, 20, told("created")),
            sweep(2, 5, 9),
            touches=[BEGUN, touch("abort", 2, 6), touch("finish", 1, 12)],
        ),
        history(
            resume(1, 0, 4, told("not written")),
            sweep(2, 5, 9, older_than_s=3600.0, named=["u1"]),
            touches=[BEGUN, touch("abort", 2, 6)],
        ),
        history(
            resume(1, 0, 4, None),
            sweep(2, 5, 9),
            touches=[BEGUN, touch("abort", 2, 6)],
            left=[LeftUpload("k", "u1", 1)],
        ),
    ],
    "an_upload_is_listed_while_it_is_open": [
        history(
            create(1, 0, 10, told("created")),
            ask(2, 12, 13, Asked("uploads", None), Told("uploads", uploads=("u1",))),
            touches=[BEGUN, touch("abort", 1, 8)],
            fresh_listings=True,
        ),
        history(
            create(1, 2, 10, told("created")),
            ask(2, 0, 1, Asked("uploads", None), Told("uploads", uploads=("u1",))),
            touches=[BEGUN],
            fresh_listings=True,
        ),
    ],
    "without_trouble_somebody_wins": [
        history(resume(1, 0, 10, told("not written")), resume(2, 11, 20, told("created")), faults=0),
        history(create(1, 0, 10, told("exists")), acts=[landing(1, 2, "x")], faults=0),
        history(WON, create(2, 0, 10, UNKNOWN), acts=[LANDED], faults=0),
        history(WON, create(2, 0, 10, told("not written")), acts=[LANDED], faults=0),
    ],
    "an_answer_is_one_that_is_documented": [
        history(ask(1, 0, 1, Asked("head", "k"), Told("wrong", words="KeyError"))),
    ],
}
