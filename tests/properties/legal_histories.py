"""Legal histories, close to those that break a law."""

from __future__ import annotations

from dataclasses import replace

from properties.told_histories import (
    AT_SOURCE,
    BEGUN,
    CONTENTS,
    HANDED_ON,
    HANDED_ON_LANDED,
    LANDED,
    MOVED,
    OTHER,
    OTHER_LANDED,
    SOURCE,
    UNKNOWN,
    WON,
    ask,
    copied,
    copy,
    create,
    head,
    history,
    landing,
    pieces,
    read,
    removal,
    remove,
    resume,
    scan,
    seen,
    settle,
    source_removed,
    sweep,
    told,
    touch,
)
from storage_guard.testing.histories import Asked, Call, History, LeftUpload, Told
from storage_guard.testing.histories.history import NEVER

LEGAL: dict[str, History] = {
    "one wins": history(WON, create(2, 1, 9, told("exists", seen(1))), acts=[LANDED], faults=0),
    "a removal is a new life": history(
        WON,
        remove(2, 11, 14),
        create(3, 15, 20, told("created", seen(3))),
        head(4, 21, 22, seen(3)),
        acts=[LANDED, removal(12, 13, "e-w1", 2), landing(16, 17, 3)],
    ),
    "a removal that may yet take effect": history(
        WON, remove(2, 11, 14, "unknown"), head(3, 15, 16, seen(1)), head(4, 17, 18), acts=[LANDED, removal(12, NEVER)]
    ),
    "who looks meanwhile may see it or not": history(
        WON, head(2, 3, 6), head(3, 3, 6, seen(1)), read(4, 3, 6, CONTENTS["x"]), acts=[LANDED]
    ),
    "who looks while it is removed may see it or not": history(
        WON,
        remove(2, 11, 20),
        head(3, 12, 19),
        head(4, 12, 19, seen(1)),
        acts=[LANDED, removal(13, 15, "e-w1", 2)],
    ),
    "a lost write lands late, and nobody was told that it would not": history(
        create(1, 0, 10, UNKNOWN), head(2, 11, 12), head(3, 21, 22, seen(1)), acts=[landing(15, 16, 1)]
    ),
    "a conflict, a removal, and the late request brings it back": history(
        WON,
        create(2, 1, 9, told("exists", seen(1))),
        remove(3, 11, 14),
        head(4, 21, 22, seen(2)),
        acts=[LANDED, removal(12, 13, "e-w1", 3), landing(15, 16, 2)],
    ),
    "who has died may have won": history(create(1, 0, NEVER, None), head(2, 11, 12, seen(1)), acts=[LANDED]),
    "two callers of one id and the same bytes": history(
        create(1, 0, 10, told("created", seen("mine")), write_id="mine"),
        create(2, 0, 10, told("created", seen("mine")), write_id="mine"),
        acts=[landing(4, 5, "mine")],
    ),
    "one id with other bytes is a conflict": history(
        create(1, 0, 10, told("created", seen("mine")), write_id="mine"),
        create(2, 0, 10, told("exists", seen("mine")), "y", write_id="mine"),
        acts=[landing(4, 5, "mine")],
    ),
    "a name that another wrote under is not judged by what landed": history(
        create(1, 0, 10, told("not written"), write_id="mine"),
        create(2, 11, 20, told("created", seen("mine")), write_id="mine"),
        acts=[landing(14, 15, "mine")],
    ),
    "equal bytes of another": history(WON, create(2, 11, 20, told("same", seen(1))), acts=[LANDED]),
    "a stream that was cut short": history(WON, read(2, 11, 12, CONTENTS["x"][:5], whole=False), acts=[LANDED]),
    "a listing may be stale": history(WON, scan(2, 11, 12), acts=[LANDED]),
    "a fresh listing": history(WON, scan(2, 11, 12, seen(1)), acts=[LANDED], fresh_listings=True),
    "left uploads that were named": history(
        create(1, 0, 10, UNKNOWN),
        create(2, 0, 10, Told("not written", notes=("upload u2 of 'k' is left open",))),
        create(3, 0, 10, Told("not written", notes=("opening an upload of 'k' was not answered",))),
        create(4, 0, NEVER, None),
        left=[LeftUpload("k", f"u{number}", number) for number in (1, 2, 3, 4)],
    ),
    "a removal that was sent twice finds nothing": history(
        WON, remove(2, 11, 14, "absent"), head(3, 15, 16), acts=[LANDED, removal(12, 13, "e-w1", 2)]
    ),
    "a removal that was sent twice finds another object": history(
        WON,
        remove(2, 11, 20, "changed"),
        create(3, 13, 19, told("created", seen(3))),
        acts=[LANDED, removal(12, 13, "e-w1", 2), landing(14, 15, 3)],
    ),
    "two of one write, and the second has sent nothing": history(
        resume(1, 0, 10, UNKNOWN),
        replace(resume(2, 11, 20, told("created", seen(1))), write_ids=()),
        settle(3, 21, 22, 1, told("created", seen(1))),
        acts=[LANDED],
    ),
    "data of its own that fails": history(
        Call(1, "A", Asked("create", "k", content="x", sound=False), 0, 9, told("not written"), ("w1",)), faults=0
    ),
    "a copy of what was removed meanwhile": history(
        AT_SOURCE,
        copy(1, 5, 10, told("created", seen(1))),
        head(3, 11, 12, seen(1)),
        read(4, 11, 12, CONTENTS["x"]),
        acts=[SOURCE, source_removed(7, 6, "e-w8"), copied(1, 8, "x")],
    ),
    "a copy of a copy that was gone before anybody could look at it": history(
        OTHER,
        HANDED_ON,
        copy(1, 7, 10, told("created", seen(1))),
        read(4, 11, 12, CONTENTS["x"]),
        acts=[OTHER_LANDED, HANDED_ON_LANDED, copied(1, 8, "x"), source_removed(7, 12, "e-w6")],
    ),
    "copies of each other": history(
        HANDED_ON,
        replace(HANDED_ON, number=5, asked=Asked("create", "o", "copy s to o", source="s", sound=False)),
        acts=[HANDED_ON_LANDED, replace(HANDED_ON_LANDED, key="o", number=5, write_id="w5", etag="e-w5")],
    ),
    "a copy that finds no source": history(copy(1, 0, 10, told("absent"))),
    "a rename": history(AT_SOURCE, MOVED, acts=[SOURCE, copied(1, 6, "x"), source_removed(1, 9, "e-w8")]),
    "a rename whose source somebody else removed": history(
        AT_SOURCE, MOVED, acts=[SOURCE, copied(1, 6, "x"), source_removed(5, 9, "e-w8")]
    ),
    "a rename that ends before its removal": history(
        AT_SOURCE,
        replace(MOVED, told=replace(told("created", seen(1)), incomplete=True)),
        acts=[SOURCE, copied(1, 6, "x")],
    ),
    "a file that is read here and there": history(
        WON, pieces(2, 11, 12, (6, 2, b"of"), (0, 1 << 40, CONTENTS["x"]), (99, 5, b"")), acts=[LANDED]
    ),
    "a discarded file": history(create(1, 0, 10, told("discarded")), head(2, 11, 12)),
    "an upload that another goes on with": history(
        resume(1, 0, 10, told("not written")),
        resume(2, 11, 20, told("created", seen(1))),
        acts=[replace(landing(14, 15, 1), number=2)],
        touches=[BEGUN, touch("part", 1, 4), touch("part", 2, 12), touch("finish", 2, 14)],
    ),
    "of two who resume one is told": history(
        resume(1, 0, 10, told("created", seen(1))), resume(2, 5, 8, told("not written")), acts=[LANDED], faults=0
    ),
    "a sweep of what is forgotten": history(
        resume(1, 0, 4, told("not written")), sweep(2, 5, 9), touches=[BEGUN, touch("abort", 2, 6)]
    ),
    "a sweep of what was named": history(
        resume(1, 0, 20, told("not written")),
        sweep(2, 5, 9, named=["u1"]),
        touches=[BEGUN, touch("abort", 2, 6), touch("part", 1, 12)],
    ),
    "an abort that arrives when the sweep is over": history(
        resume(1, 0, 4, told("not written")),
        ask(2, 5, 9, Asked("sweep", None), Told("swept")),
        resume(3, 10, 20, told("not written")),
        touches=[BEGUN, touch("part", 3, 11), touch("abort", 2, 13, late=True), touch("part", 3, 15)],
    ),
    "an upload that is listed while it is open": history(
        create(1, 0, 10, told("created", seen(1))),
        ask(2, 5, 6, Asked("uploads", None), Told("uploads", uploads=("u1", "of somebody else"))),
        acts=[LANDED],
        touches=[BEGUN, touch("abort", 1, 8)],
        fresh_listings=True,
    ),
    "nothing at all": history(),
}
