"""Which small changes of the core would no test notice?

    python tests/mutation/run.py [MODULE ...] [--list] [--jobs 2]

For each module the tests that are about it are run against each of its mutants, the quick ones first, until one fails.
A mutant that survives must stand in SURVIVORS with the reason why no test can or should notice it; one that does not,
and a reason for a mutant that is killed or gone, are errors (exit 1). `--list` only counts.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
HOUSE = TESTS.parent
sys.path.insert(0, str(TESTS))

from mutation.mutants import Mutant, mutants  # noqa: E402
from mutation.survivors import SURVIVORS  # noqa: E402

# What is tried in order. Each group is one pytest run; the last ones are the long ones.
STORE = ("faults/test_store_faults.py", "faults/test_store_bad_input.py", "unit/test_store_create.py")
OF_UPLOADS = ("unit/test_sweeping.py", "unit/test_resuming.py")
OF_FILES = ("unit/test_writer.py", "unit/test_text_writer.py", "unit/test_reader.py")
PURE = ("wire/test_transport_pure.py", "wire/test_incoming.py")
EXCHANGES = ("wire/test_transport.py", "wire/test_transport_outcomes.py", "wire/test_transport_routes.py")
GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "plan": (("properties/test_plan.py",), ("unit/test_store_create.py",)),
    "retry": (("unit/test_retry.py",), ("faults/test_store_faults.py",)),
    "caller": (("unit/test_caller.py",),),
    "concurrency": (("unit/test_concurrency.py",), ("properties/test_simulated_link.py",)),
    "lanes": (("unit/test_lanes.py",), ("properties/test_simulated_link.py", "unit/test_sending.py")),
    "sending": (("unit/test_sending.py",), ("properties/test_simulated_link.py",), STORE),
    "ticket": (("unit/test_ticket.py",), STORE),
    "outcome": (("unit/test_outcome.py", "faults/test_store_faults.py"), ("properties/test_outcome_worlds.py",)),
    "store": (STORE, OF_UPLOADS, OF_FILES, ("unit/test_create_many.py",)),
    "policy": (STORE, OF_UPLOADS),
    "creation": (STORE,),
    "resolve": (STORE,),
    "many": (("unit/test_create_many.py", "faults/test_create_many_ends.py"), ("faults/test_create_many_faults.py",)),
    "removal": (("unit/test_removal.py", *STORE),),
    "heads": (PURE, EXCHANGES),
    "incoming": (PURE, EXCHANGES),
    "messages": (PURE, EXCHANGES),
    "meanings": (PURE, EXCHANGES),
    "routes": (PURE, EXCHANGES),
    "outgoing": (("wire/test_outgoing.py",), EXCHANGES),
    "connecting": (("wire/test_connecting.py", "wire/test_transport_routes.py"), EXCHANGES),
    "addresses": (("wire/test_connecting.py",), EXCHANGES),
}
ROOMS = (".", "engine", "uploads", "files", "wire")  # where a module may be
LONGEST_S = 300
MOST_BYTES = 2 << 30


@dataclass(frozen=True)
class Verdict:
    mutant: Mutant
    killed_by: str  # "" when it survived
    seconds: float


def path_of(module: str) -> Path:
    (found,) = (path for room in ROOMS if (path := HOUSE / "storage_guard" / room / f"{module}.py").exists())
    return found


def judge(module: str, mutant: Mutant) -> Verdict:
    began_s = time.monotonic()
    name = ".".join(path_of(module).relative_to(HOUSE).with_suffix("").parts)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "mutant.py"
        source.write_text(mutant.source)
        for group in GROUPS[module]:
            killed_by = _run(name, source, group)
            if killed_by:
                return Verdict(mutant, killed_by, time.monotonic() - began_s)
    return Verdict(mutant, "", time.monotonic() - began_s)


def _run(module: str, source: Path, tests: Sequence[str]) -> str:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "mutation.plugin", "-p", "no:cacheprovider"]
    command += ["--deselect", "tests/properties/test_outcome_worlds.py::test_a_planted_defect"]
    command += ["-k", "not planted and not instrument", "-o", "timeout=60", *(f"tests/{each}" for each in tests)]
    more = {"MUTANT_MODULE": module, "MUTANT_SOURCE": str(source), "PYTHONPATH": str(TESTS)}
    try:
        done = subprocess.run(
            command,
            cwd=HOUSE,
            env=os.environ | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
            preexec_fn=_bounded,
        )
    except subprocess.TimeoutExpired:
        return "it never ends"
    if done.returncode == 0:
        return ""
    if "MemoryError" in done.stdout + done.stderr:
        return "it takes all the memory"
    if done.returncode not in (1, 2):
        raise RuntimeError(f"pytest itself failed:\n{done.stdout}\n{done.stderr}")
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0] if failed else "it cannot be imported"


def _bounded() -> None:
    """What a loop that never ends collects must not take the machine with it. Not RLIMIT_AS: what is mapped and never
    touched, the data of simulated uploads, takes nothing."""
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("modules", nargs="*", default=list(GROUPS))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    wrong = 0
    for module in asked.modules:
        every = list(mutants(path_of(module).read_text()))
        if asked.list:
            print(f"{module}: {len(every)} mutants")
            continue
        with ThreadPoolExecutor(asked.jobs) as pool:
            verdicts = list(pool.map(partial(judge, module), every))
        survived = {each.mutant.name: each.mutant.line for each in verdicts if not each.killed_by}
        reasons = SURVIVORS.get(module, {})
        print(f"{module}: {len(every)} mutants, {len(every) - len(survived)} killed, {len(survived)} survive")
        for name, line in survived.items():
            print(f"  {'explained' if name in reasons else 'UNEXPLAINED'} line {line}: {name}")
        for name in reasons.keys() - survived.keys():
            print(f"  STALE reason: {name}")
        wrong += len(survived.keys() ^ reasons.keys())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
