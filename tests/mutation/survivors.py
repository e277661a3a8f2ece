"""Mutants that no test notices, each with the reason why that is right."""

from __future__ import annotations

SURVIVORS: dict[str, dict[str, str]] = {
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
    "plan": {
        "plan_known: needed_bytes > MiB: Gt as GtE": "a whole MiB is rounded up to itself",
        "StreamPlan.part_bytes: 62: 63": "the largest part of any store is far below either power",
    },
    "retry": {
        "RetryPolicy.wait_s: 40: 41": "any power is as good that is past every cap and does not overflow",
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
