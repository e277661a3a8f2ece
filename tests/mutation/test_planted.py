"""The table of planted defects: what would be wrong, and the law that finds it.

Each row spoils one passage of the library in memory and runs the tests that are to notice; the first one that fails
must be the law that stands in the row. (`python tests/mutation/run.py` asks it of every small change of the core.)
Planted *drivers* stand in tests/contract/test_calibration.py and tests/properties/test_histories.py, planted disks in
tests/faults/test_local_forgetting.py, and defects of the state machine in tests/properties/test_outcome_worlds.py.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Planted:
    what: str
    module: str
    passage: str
    instead: str
    tests: str
    law: str


STORE, FAULTS, BAD = "unit/test_store_create.py", "faults/test_store_faults.py", "faults/test_store_bad_input.py"

TABLE = (
    # The core
    Planted(
        "an unknown signal counts as a no",
        "storage_guard.answers",
        "        case _:\n            return Answer.LOST",
        "        case _:\n            return Answer.REFUSED",
        FAULTS,
        "test_what_is_told_is_true_for_every_one_and_two_faults",
    ),
    Planted(
        "every attempt writes under a new id",
        "storage_guard.engine.payload",
        "            return driver.put_new(key, body, meta)",
        "            return driver.put_new(key, body, WriteMeta(f'{id(body)}'))",
        FAULTS,
        "test_what_is_told_is_true_for_every_one_and_two_faults",
    ),
    Planted(
        "what is left open is not cleaned up",
        "storage_guard.engine.creation",
        "        for _ in range(tries):",
        "        for _ in range(0):",
        STORE,
        "test_a_stream_longer_than_its_reach_is_refused_and_leaves_nothing",
    ),
    Planted(
        "Ctrl-C while a conflict is looked into carries no ticket",
        "storage_guard.outcome",
        "        return self.suspect or ((self.begun or not self.multipart) and self.doing is not Doing.PARTS)",
        "        return False",
        FAULTS,
        "test_ctrl_c_at_any_call_is_told_truly_behind_any_fault",
    ),
    Planted(
        "whoever is at the key is us",
        "storage_guard.engine.resolve",
        "        if seen.write_id == self.write_id:",
        "        if seen.write_id is not None:",
        STORE,
        "test_a_second_create_changes_nothing",
    ),
    Planted(
        "equal sizes are equal bytes",
        "storage_guard.engine.resolve",
        "            return Answer.EQUAL if theirs == crc else Answer.UNEQUAL",
        "            return Answer.EQUAL",
        STORE,
        "test_the_same_bytes_are_accepted_and_other_bytes_are_not",
    ),
    Planted(
        "a ticket forgets its upload",
        "storage_guard.engine.resolve",
        "            self.upload_id,\n            target.named",
        "            None,\n            target.named",
        FAULTS,
        "test_settle_calls_an_upload_back_and_is_sure_then",
    ),
    Planted(
        "a store for which nobody vouches is believed",
        "storage_guard.engine.policy",
        '            case "documented" | "raced" | "probed":',
        '            case "documented" | "raced" | "probed" | "unproven":',
        STORE,
        "test_a_store_that_nobody_vouches_for_is_refused_before_the_first_byte",
    ),
    Planted(
        "the store's deadline never ends",
        "storage_guard.retry",
        "        if until_s > max(self._since_s, self._progress[0]) + self._deadline_s:",
        "        if self._repetitions > 100:",
        "unit/test_retry.py",
        "test_patience_ends_when_the_next_wait_would_pass_the_deadline",
    ),
    Planted(
        "a removal is not pinned",
        "storage_guard.engine.removal",
        "            access.driver.remove(full_key, etag)",
        "            access.driver.remove(full_key, None)",
        "unit/test_removal.py",
        "test_a_new_life_between_the_look_and_the_removal_is_not_taken",
    ),
    Planted(
        "pieces are not pinned",
        "storage_guard.engine.ranges",
        "driver.read(pinned.full_key, start, stop, pinned.etag)",
        "driver.read(pinned.full_key, start, stop, None)",
        "faults/test_read_faults.py",
        "test_an_object_replaced_between_any_two_requests_is_an_error_or_whole_and_never_a_mix",
    ),
    Planted(
        "nobody looks whether a file changed",
        "storage_guard.engine.source",
        "            if done_bytes == self.size_bytes:",
        "            if done_bytes > self.size_bytes:",
        BAD,
        "test_a_file_that_changes_while_it_is_read_is_not_published",
    ),
    Planted(
        "a failed create leaves the caller's file at its end",
        "storage_guard.engine.source",
        "        if not done and self._start_again is not None:",
        "        if done and self._start_again is not None:",
        STORE,
        "test_a_file_ends_up_at_its_end_and_after_a_failure_where_it_stood",
    ),
    Planted(
        "a key may climb",
        "storage_guard.names",
        '    if "." in segments or ".." in segments:',
        '    if "." in segments:',
        BAD,
        "test_a_key_that_not_every_store_can_hold_is_refused_everywhere",
    ),
    # The local driver
    Planted(
        "the file is not synced",
        "storage_guard_local.publish",
        "                self._system.fsync(staged.fd)\n            except OSError as exc:\n                staged.sp",
        "                pass\n            except OSError as exc:\n                staged.sp",
        "faults/test_local_forgetting.py",
        "test_every_receipt_stands_a_crash_of_the_machine",
    ),
    Planted(
        "the folder is not synced",
        "storage_guard_local.publish",
        "                self._folders.sync(place)\n            except OSError as exc:\n                mess",
        "                pass\n            except OSError as exc:\n                mess",
        "faults/test_local_forgetting.py",
        "test_every_receipt_stands_a_crash_of_the_machine",
    ),
    Planted(
        "a loser answers before the winner is on the disk",
        "storage_guard_local.publish",
        "        if not self._durable:\n            return taken",
        "        if self._durable:\n            return taken",
        "faults/test_local_failures.py",
        "test_on_a_conflict_a_failed_sync_matters_only_if_the_object_is_ours",
    ),
    Planted(
        "links are followed",
        "storage_guard_local.folders",
        "                below = self._system.open(part, step | O_NOFOLLOW, dir_fd=fd)",
        "                below = self._system.open(part, step, dir_fd=fd)",
        "unit/test_local_driver.py",
        "test_nothing_is_read_or_written_through_a_symbolic_link",
    ),
    Planted(
        "a taken name is renamed away",
        "storage_guard_local.syscalls",
        "        os.link(proc_path(fd), name, dst_dir_fd=dir_fd)",
        "        os.link(proc_path(fd), name + '~', dst_dir_fd=dir_fd)\n"
        "        os.rename(name + '~', name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)",
        "contract/test_local.py -k TestLocalDurable",
        "test_",
    ),
    Planted(
        "a finish does not wait for its writers",
        "storage_guard_local.uploads",
        "self._turn.wait_for(lambda: not self._writing)\n            yield",
        "pass\n            yield",
        "unit/test_local_driver.py",
        "test_a_finish_waits_for_a_writer_that_is_late",
    ),
)


def source_of(module: str) -> str:
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).read_text()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.what)
def test_a_planted_defect_breaks_its_law(row: Planted, tmp_path: Path) -> None:
    source = source_of(row.module)
    assert source.count(row.passage) == 1, "the passage to spoil is no longer there"
    spoilt = tmp_path / "spoilt.py"
    spoilt.write_text(source.replace(row.passage, row.instead))
    where, _, more = row.tests.partition(" ")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "mutation.plugin", "-p", "no:cacheprovider"]
    command += [f"tests/{where}", *more.split()]
    env = os.environ | {"MUTANT_MODULE": row.module, "MUTANT_SOURCE": str(spoilt), "PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, cwd=TESTS.parent, env=env, capture_output=True, text=True, check=False, timeout=200)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert done.returncode == 1, f"nobody noticed: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert row.law in failed[0], f"another law was broken: {failed[0]}"
