"""Who lacks what an extra brings is told the command that brings it, in one line, on every way in."""

from __future__ import annotations

import subprocess
import sys

import pytest

# "None" is how Python itself marks a module that cannot be imported.
WITHOUT = "import runpy, sys; sys.modules[sys.argv.pop(1)] = None; "
PROGRAM = "sys.argv = sys.argv[1:]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"


def without(module: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code, module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("module", "code", "extra"),
    [
        ("botocore", "from storage_guard_s3 import S3Driver", "s3"),
        ("boto3", "from storage_guard_s3 import S3Driver", "s3"),
        ("awscrt", "from storage_guard_s3 import S3Driver", "s3"),
        ("awscrt", "import storage_guard_s3.driver", "s3"),
        ("awscrt", "import storage_guard.testing.server.s3", "s3"),
        ("oss2", "from storage_guard_oss import OSSDriver", "oss"),
        ("oss2", "import storage_guard_oss.opening", "oss"),
        ("botocore", "import storage_guard; storage_guard.open_store('s3://bucket')", "s3"),
        ("oss2", "import storage_guard; storage_guard.open_store('oss://bucket')", "oss"),
        ("cryptography", "import benchmarks.harness.certificates", "bench"),
    ],
)
def test_an_import_that_lacks_an_extra_ends_with_the_command_that_brings_it(module: str, code: str, extra: str) -> None:
    done = without(module, code)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("ModuleNotFoundError: ")
    assert f" needs {module}" in last
    assert last.endswith(f": pip install 'storage-guard[{extra}]'")


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("awscrt", ("storage_guard.testing.server", "--dialect", "s3"), "s3"),
        ("botocore", ("storage_guard.doctor", "s3://bucket"), "s3"),
        ("oss2", ("storage_guard.doctor", "oss://bucket"), "oss"),
        ("botocore", ("storage_guard.tune", "s3://bucket"), "s3"),
        ("oss2", ("storage_guard.tune", "oss://bucket"), "oss"),
    ],
)
def test_a_program_that_lacks_an_extra_says_so_in_one_line(module: str, arguments: tuple[str, ...], extra: str) -> None:
    done = without(module, PROGRAM, *arguments)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith(f"{arguments[0]}: ")
    assert line.endswith(f": pip install 'storage-guard[{extra}]'")
