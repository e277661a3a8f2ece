"""The programs of docs/filesystem.md and docs/recipes.md run as they stand, but that `/tmp` is a folder of their own;
what they link to is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from filesystem.worlds import KEY_ID, SECRET
from storage_guard.testing.server import running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.oss import OSSDialect

ROOT = Path(__file__).resolve().parents[2]
PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("filesystem.md", "recipes.md")}


def programs(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("name", "count"), [("filesystem.md", 4), ("recipes.md", 8)])
def test_the_programs_of_a_page_run_one_after_the_other_as_they_stand(name: str, count: int, tmp_path: Path) -> None:
    parts = programs(PAGES[name])
    assert len(parts) == count
    known = Credentials([Credential(KEY_ID, SECRET)])
    with running(OSSDialect(Buckets(["examplebucket"]), credentials=known, region="cn-hangzhou")) as server:
        options = {"endpoint": server.url, "access_key_id": KEY_ID, "access_key_secret": SECRET}
        done = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "-c", "\n".join(parts).replace("/tmp/", f"{tmp_path}/")],
            cwd=tmp_path,
            env={**os.environ, "FSSPEC_GUARDOSS": json.dumps(options)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", list(PAGES))
def test_a_link_leads_somewhere(name: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", PAGES[name]):
        if not target.startswith("https://"):
            page = (ROOT / "docs" / (target or name)).read_text()
            headings = [each.lower().replace(" ", "-") for each in re.findall(r"^#+ (.*)$", page, re.MULTILINE)]
            assert not anchor or anchor in headings, (target, anchor)
