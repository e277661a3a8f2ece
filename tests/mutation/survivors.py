"""Mutants that no test notices, each with the reason why that is right."""

from __future__ import annotations

SURVIVORS: dict[str, dict[str, str]] = {
    "addresses": {
        "Addresses.connect: left_s <= 0: LtE as Lt": "one instant",
        "Addresses.connect: if addresses: always True (2)": "it only looks more often",
        "Addresses.connect: 1: 2": "a millisecond",
        "Addresses.connect: 1000: 1001": "the same",
        "Addresses._find: found[0] < monotonic(): Lt as LtE": "one instant",
        "_begin: 1: 2": "any number but 0 switches it on",
        "_begin: 1: 2 (2)": "the same",
        "_looked_up.ask: 0: 1": "AI_PASSIVE, which means nothing where a host is named",
        "_looked_up: 0.0: 1.0": "the time is not over before it has begun",
    },
    "caller": {
        "_here: if trace is not None: always True": "what was raised and caught has a trace",
    },
    "concurrency": {
        "Concurrency.__init__: 0.0: 1.0": "a byte a second is no more than nothing",
        "Concurrency._thins: 0.0: 1.0": "the same",
        "Concurrency.__init__: 0: 1": "rounds are counted anew when a climb ends, and it begins with one",
    },
    "outcome": {
        "Write: False: True": "`named`: `start` and `resume` always say it",
        "Write: False: True (8)": "`ours`: said whenever COMPARE is next",
        "Write: Why.LOST: GONE": "`why`: said whenever HEAD or ABORT is next",
        "_aborted: write.aborts + 1: Add as Sub (2)": "behind an abort that found nothing, any number but 0 will do",
        "_aborted: 1: 2 (2)": "the same",
        "_parts_sent: replace(write, doing=Doing.HEAD, why=Why.GONE): without why": (
            "of an upload that nobody fenced an absent object means the same, whatever made us look"
        ),
        "_parts_sent: Why.GONE: GONE_SOLE": "the same, of a suspect write",
        "step: if write.pause: always True": "taking away a pause that is not there saves only time",
        "_committed: replace(write, doing=Doing.HEAD, why=Why.REPLAY): without why": (
            "a replay follows a lost finish, and an absent object means the same behind both"
        ),
    },
    "outgoing": {
        "whole: if len(pieces) == 1: always False": "it saves a copy",
        "Outgoing.read: if len(piece) > most_bytes: always True": "so much of a short piece is all of it",
        "Outgoing.read: len(piece) > most_bytes: Gt as GtE": "the same",
    },
    "plan": {
        "plan_known: needed_bytes > MiB: Gt as GtE": "a whole MiB is rounded up to itself",
        "StreamPlan.part_bytes: 62: 63": "the largest part of any store is far below either power",
    },
    "retry": {
        "RetryPolicy.wait_s: 40: 41": "any power is as good that is past every cap and does not overflow",
    },
    "heads": {
        "_body_bytes: 64: 65": "how much of a bad answer a message shows",
        "_body_bytes: 64: 65 (2)": "the same",
        "_status: 64: 65": "the same",
    },
    "incoming": {
        "Incoming.__init__: 0: 1 (2)": "`_at`: the first bytes begin at none",
        "Incoming.__init__: 0: 1 (3)": "`_bound`: said by the head",
        "Incoming.__init__: 0: 1 (4)": "`_chunk_bytes`: said by the head, and by each chunk",
        "Incoming.feed: if self._at < len(self._rest): always True": "nothing in front of the data; it saves a copy",
        "Incoming.feed: self._at < len(self._rest): Lt as LtE": "the same",
        "Incoming.answer: if len(body) == 1: always False": "it saves a copy",
        "Incoming._take_data: if not piece: always False": "an empty piece in a body only costs a copy of it",
        "Incoming._take_head: end < 0: Lt as LtE": "a head without a byte is lost either way",
        "Incoming._take_head: 0: 1": "the same",
        "Incoming._take_head: 64: 65": "how much of a bad answer a message shows",
        "Incoming._take_size: 64: 65": "the same",
    },
    "messages": {
        "head_of: if not (values.isascii() and values.isprintable()): always True": "each is looked at again",
        "_refuse_value: 64: 65": "how much of a bad name a message shows",
        "_lowered: 64: 65": "the same",
    },
    "policy": {
        "Policy: False: True": "what a repr shows",
        "Policy: False: True (2)": "the same",
        "Policy.wanted: if chosen is not NO_OPTIONS: always True": "no options are good options; it saves time",
        "Policy.payload: 1: 2": "the second part of a stream is as large as the first",
        "Policy.plan: 1: 2": "one byte past what a request takes goes in parts whatever the threshold",
    },
    "ticket": {
        "parse: 40: 41": "how much of a bad ticket a message shows",
    },
}
