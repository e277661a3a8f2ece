"""What is built is whole, holds nothing else, and works where the checkout is not."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from installed.environment import ROOT, Environment, build_wheel, names_in

BACKENDS = {folder.name: folder for folder in (ROOT / "backends").glob("storage_guard_*")}
PACKAGES = {"storage_guard": ROOT / "storage_guard", **BACKENDS}
FOR_LATER = {"fastcrc", "asyncio", "multiprocessing", "ssl", "ctypes", "importlib.metadata", *BACKENDS}
SERVICES = {"oss2", "boto3", "botocore", "awscrt", "fsspec", "pytest"}


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        return message_from_string(archive.read(name).decode())


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    found = {name for name in names_in(wheel) if ".dist-info/" not in name}
    wanted = {
        f"{package}/{path.relative_to(folder)}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert {f"{package}/py.typed" for package in PACKAGES} <= found
    assert found == wanted


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    said = {name.partition(".dist-info/")[2] for name in names_in(wheel) if ".dist-info/" in name}
    assert said == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_only_dependency_is_fastcrc(metadata: Message) -> None:
    requirements = metadata.get_all("Requires-Dist", [])
    always = [each for each in requirements if "extra ==" not in each]
    assert [re.split(r"[^\w-]", each)[0] for each in always] == ["fastcrc"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(metadata.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_the_source_distribution_has_the_tests_and_makes_the_same_wheel(
    sdist: Path, wheel: Path, tmp_path: Path
) -> None:
    for name in (
        "tests/conftest.py",
        "tests/installed/test_wheel.py",
        "tests/third_party/guard_sqlite.py",
        "README.md",
    ):
        assert (sdist / name).is_file(), f"{name} is missing"
    assert (sdist / "docs" / "testing.md").is_file()
    assert sorted(names_in(build_wheel(sdist, tmp_path))) == sorted(names_in(wheel))


def test_it_is_the_installed_library_that_is_tried(environment: Environment) -> None:
    code = (
        "import storage_guard, storage_guard_local as local; print(storage_guard.__file__, local.__file__, sep='\\n')"
    )
    for line in environment.run("-c", code).splitlines():
        assert Path(line).is_relative_to(environment.folder)
    assert "No broken requirements" in environment.pip("check")


def test_entry_points_lead_to_the_backends(environment: Environment) -> None:
    code = """
import storage_guard
for url in ("folder", "file:///tmp/folder", "memory://name"):
    print(type(storage_guard.open_store(url).driver).__name__)
"""
    assert environment.run("-c", code).split() == ["LocalDriver", "LocalDriver", "MemoryDriver"]


@pytest.mark.parametrize(("scheme", "missing"), [("oss", "oss2"), ("s3", "botocore")])
def test_a_backend_whose_sdk_is_missing_says_what_to_install(
    environment: Environment, scheme: str, missing: str
) -> None:
    code = f"""
import storage_guard
try:
    storage_guard.open_store("{scheme}://bucket", region="cn-hangzhou")
except ModuleNotFoundError as error:
    print(error)
"""
    said = f"{scheme}:// needs {missing}: pip install 'storage-guard[{scheme}]'\n"
    assert environment.run("-c", code) == said


def test_importing_the_library_loads_nothing_for_later(environment: Environment) -> None:
    code = "import json, sys, storage_guard; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(environment.run("-c", code)))
    bare = set(json.loads(environment.run("-c", code.replace(", storage_guard", ""))))
    assert "storage_guard.store" in loaded - bare
    assert sorted((loaded - bare) & (FOR_LATER | SERVICES)) == []
    own = {name for name in loaded if name.startswith("storage_guard")}
    assert sorted(name for name in own if re.match(r"storage_guard\.(memory|testing|demo|wire)\b", name)) == []


def test_the_contract_says_what_it_needs(environment: Environment) -> None:
    code = """
import storage_guard.testing
try:
    storage_guard.testing.DriverContract
except ImportError as error:
    print(error)
"""
    assert "pip install 'storage-guard[testing]'" in environment.run("-c", code)


def test_the_demo_keeps_its_promises(environment: Environment) -> None:
    (environment.cwd / "small file.bin").write_bytes(b"\0small\xff" * 5)
    assert "all held" in environment.run("-m", "storage_guard.demo", "small file.bin")
    assert [path.name for path in environment.cwd.iterdir()] == ["small file.bin"]


def test_the_readme_tells_the_truth(environment: Environment) -> None:
    """Its Python runs from top to bottom, as somebody reads it, in an empty folder."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert blocks, "README.md shows no Python"
    script = environment.cwd / "readme.py"
    script.write_text("\n".join(blocks))
    environment.run(script.name)


def test_a_third_party_is_found_by_its_entry_point(environment: Environment) -> None:
    wheel = build_wheel(ROOT / "tests" / "third_party", environment.cwd)
    assert [name for name in names_in(wheel) if ".dist-info/" not in name] == ["guard_sqlite.py"]
    environment.pip("install", "--quiet", "--no-deps", "--no-index", str(wheel))
    code = """
import sys
from storage_guard import ObjectExists, open_store
store = open_store(sys.argv[1], busy_timeout_s=1.0, part_bytes=10, multipart_from_bytes=20)
assert store.create("key", b"x" * 25).parts == 3
try:
    store.create("key", b"other")
except ObjectExists as error:
    print(error)
print(store.driver)
"""
    said = environment.run("-c", code, f"sqlite://{environment.cwd}/archive.db/some/folder")
    assert "sqlite://" in said
    assert f"SQLiteDriver('{environment.cwd}/archive.db')" in said
    assert "No broken requirements" in environment.pip("check")
