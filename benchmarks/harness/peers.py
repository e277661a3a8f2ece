"""Who is measured, and the environment of each: pins of one peer must not decide what another one gets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Peer:
    """`client`: its name in `benchmarks.harness.worker`. `requirements`: what its environment has; none for this
    library, which is measured in the environment that the benchmark runs in."""

    name: str
    client: str
    requirements: tuple[str, ...] = ()


OURS = Peer("storage-guard", "ours")
OUR_FILESYSTEM = Peer("storage-guard", "filesystem")
PEERS = {
    peer.name: peer
    for peer in (
        OURS,
        Peer("oss2", "oss2", ("oss2",)),
        Peer("oss-v2", "oss_v2", ("alibabacloud-oss-v2",)),
        Peer("opendal", "opendal", ("opendal",)),
        Peer("boto3", "boto3", ("boto3",)),
        Peer("obstore", "obstore", ("obstore",)),
        Peer("s3fs", "s3fs", ("s3fs",)),
        Peer("ossfs", "ossfs", ("ossfs",)),
    )
}


def default_cache() -> Path:
    """Where environments are kept from run to run."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "storage-guard-benchmarks"


def python_of(peer: Peer, cache: Path) -> str:
    """The interpreter that has this peer; its environment is made, with this interpreter and pip as it is configured,
    when it is not there. Raises CalledProcessError when pip cannot."""
    if not peer.requirements:
        return sys.executable
    folder = cache / f"{peer.name}-{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    made = folder / "requirements.json"
    wanted = json.dumps(peer.requirements)
    if made.is_file() and made.read_text(encoding="utf-8") == wanted:
        return str(python)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--quiet", *peer.requirements]
    subprocess.run(install, check=True, stdout=sys.stderr)
    made.write_text(wanted, encoding="utf-8")
    return str(python)
