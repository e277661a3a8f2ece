"""Where in the user's program something was asked for."""

from __future__ import annotations

from types import FrameType

_OURS = __name__.partition(".")[0]


def level() -> int:
    """The `stacklevel` with which a warning, raised by who calls this, points at the first line that is not ours."""
    frame = _here()  # never kept: a frame that refers to itself keeps all below it, with what they hold, alive
    found = 0
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
        found += 1
    return found


def place() -> str:
    """`file:line` of the first line that is not ours."""
    frame = _here()
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"


def _here() -> FrameType | None:
    """The frame of who calls this. Not by `inspect`, which takes milliseconds to import."""
    try:
        raise LookupError
    except LookupError as exc:
        trace = exc.__traceback__
        frame = trace.tb_frame.f_back if trace is not None else None
        del trace  # it refers to this frame
        return frame


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    # The standard library's context managers stand between two lines of ours.
    return name == "contextlib" or str(name).partition(".")[0] == _OURS
