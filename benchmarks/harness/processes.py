"""The processes of a benchmark: one server, and a worker for each side that is compared."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal

from benchmarks.harness.clients.base import Target
from benchmarks.harness.peers import Peer

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "benchmark"
REGIONS: Mapping[str, str] = MappingProxyType({"oss": "cn-hangzhou", "s3": "us-east-1"})
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
_STOP_S = 30.0


@dataclass(frozen=True)
class Used:
    """By a server since it began."""

    cpu_s: float
    requests: int
    connections: int


class _Spoken:
    """A process that answers a line of standard input with one of standard output."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self._process = process
        self._name = name

    def ask(self, line: str) -> str:
        stdin, stdout = _pipes(self._process)
        stdin.write(f"{line}\n")
        stdin.flush()
        return self.hear(stdout)

    def hear(self, stdout: IO[str]) -> str:
        """Raises RuntimeError if the process has ended; what it had to say is on standard error."""
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} has ended")
        return line.strip()


class Server(_Spoken):
    """`url` is where it is."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(process, "the server")
        self.url = self.hear(_pipes(process)[1])

    def used(self) -> Used:
        return Used(**json.loads(self.ask("used")))

    def forget(self) -> Used:
        """All objects: each run begins with an empty bucket, whoever came before."""
        return Used(**json.loads(self.ask("forget")))


class Worker(_Spoken):
    """`facts` is what its client says of itself."""

    def __init__(self, process: subprocess.Popen[str], peer: Peer, target: Target, options: dict[str, Any]) -> None:
        super().__init__(process, f"the worker of {peer.name}")
        wanted = {"client": peer.client, "target": asdict(target), "options": options}
        self.facts: dict[str, str] = json.loads(self.ask(json.dumps(wanted)))["facts"]

    def carry_out(self, job: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.ask(json.dumps(job)))
        return answer


def target_of(server: Server, service: Literal["oss", "s3"] = "oss") -> Target:
    """For a client of this server."""
    return Target(server.url, BUCKET, REGIONS[service], "nobody", "nothing", service)


@contextlib.contextmanager
def serving(
    certificate: Path | None,
    *,
    service: str = "oss",
    link: str | None = None,
    copy_mb_s: float | None = None,
    examined: bool = False,
) -> Generator[Server]:
    """A discarding server; over TLS with the file of a key and a certificate; at the end of a link that `road_of`
    knows; a request that copies copies so many MB a second. `examined`: bytes are kept until it is first told to
    forget, for clients that examine it before."""
    command = [sys.executable, "-m", "benchmarks.harness.serve", "--bucket", BUCKET, "--service", service]
    if link is not None:
        command += ["--link", link]
    if copy_mb_s is not None:
        command += ["--copy-mb-s", f"{copy_mb_s}"]
    if examined:
        command.append("--examined")
    if certificate is not None:
        command += ["--tls", str(certificate)]
    with _started(command, {"PYTHONPATH": _paths(ours=True)}) as process:
        yield Server(process)


@contextlib.contextmanager
def working(
    peer: Peer, python: str, target: Server | Target, options: dict[str, Any], authority: Path | None
) -> Generator[Worker]:
    """A worker in the environment of `python`, that trusts the authority's certificate."""
    more = {"PYTHONPATH": _paths(ours=not peer.requirements)}
    if authority is not None:
        # requests, and this library, which takes over what requests would trust; OpenSSL and rustls; botocore.
        more |= {"REQUESTS_CA_BUNDLE": str(authority), "SSL_CERT_FILE": str(authority), "AWS_CA_BUNDLE": str(authority)}
    with _started([python, "-m", "benchmarks.harness.worker"], more) as process:
        yield Worker(process, peer, target_of(target) if isinstance(target, Server) else target, options)


def _paths(*, ours: bool) -> str:
    """Of a peer's environment nothing but the benchmarks themselves is hidden or added to."""
    return os.pathsep.join([str(ROOT), *(path for path in sys.path if path and ours)])


@contextlib.contextmanager
def _started(command: list[str], more: dict[str, str]) -> Generator[subprocess.Popen[str]]:
    env = {name: value for name, value in os.environ.items() if name.lower() not in _PROXIES} | more
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT)
    with process:
        try:
            yield process
        finally:
            _pipes(process)[0].close()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("it was started without pipes")
    return process.stdin, process.stdout
