"""How a backend says which promise it does not keep, and how the declaration is held to account."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import pytest

_Law = Callable[..., object]


class Departures:
    """Checks the `departures` of every subclass of the class that states the laws, and puts them in force."""

    departures: ClassVar[Mapping[str, str]] = {}
    """Names of laws that this backend does not keep, each with the reason. A law that holds after all is an error."""

    laws: ClassVar[Mapping[str, _Law]] = {}

    @classmethod
    def declare(cls) -> None:
        """Let the tests that a class has now be its laws."""
        cls.laws = {name: cast("_Law", getattr(cls, name)) for name in dir(cls) if name.startswith("test_")}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.laws:
            return
        unknown = sorted(cls.departures.keys() - cls.laws.keys())
        if unknown:
            raise TypeError(f"{cls.__name__} departs from what is not a law: {', '.join(unknown)}")
        for name, law in cls.laws.items():
            found = getattr(cls, name, None)
            if getattr(found, "_law", found) is not law:
                raise TypeError(
                    f"{cls.__name__} overrides {name}: a promise that is not kept is a departure, declare it"
                )
            reason = cls.departures.get(name)
            if reason is not None and not reason.strip():
                raise TypeError(f"{cls.__name__} departs from {name} without a reason")
            setattr(cls, name, law if reason is None else _departed(law, reason))


def _departed(law: _Law, reason: str) -> _Law:
    """A test that passes only if `law` fails."""

    @functools.wraps(law)
    def departed(*args: Any, **kwargs: Any) -> None:
        try:
            law(*args, **kwargs)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it raises, the law does not hold
            return
        pytest.fail(f"stale departure: the law holds here; it was said not to, because {reason}")

    departed.__dict__["_law"] = law
    return departed
