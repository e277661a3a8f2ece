"""python -m storage_guard.testing.server --dialect oss|s3 --bucket NAME ...

Prints its URL as one line, and serves until SIGTERM or SIGINT. Exit code 0; 1 if the server itself failed, 2 if it
cannot be started.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from storage_guard.testing.server.buckets import utc_now
from storage_guard.testing.server.dialects import DIALECTS, Options, dialect
from storage_guard.testing.server.links import Link
from storage_guard.testing.server.running import Server, raise_failures

_MIB = 1024 * 1024


def main(arguments: Sequence[str]) -> int:
    given = _parser().parse_args(arguments)
    try:
        server = _server(given)
    except (OSError, ValueError, ModuleNotFoundError) as exc:
        sys.stderr.write(f"storage_guard.testing.server: {exc}\n")
        return 2
    asyncio.run(_serve(server, until_eof=given.until_eof))
    raise_failures(server)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m storage_guard.testing.server", allow_abbrev=False)
    parser.add_argument("--dialect", choices=sorted(DIALECTS), required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument("--bucket", action="append", default=[], metavar="NAME", help="a bucket that is there")
    parser.add_argument("--versioning", choices=("never", "enabled", "suspended"), default="never", help="of them all")
    parser.add_argument("--store", default="memory", metavar="memory|DIR", help="where bytes are kept")
    parser.add_argument("--discard", action="store_true", help="count bytes and throw them away")
    parser.add_argument("--region")
    parser.add_argument("--access-key-id", help="whose signatures hold; without one none is looked at")
    parser.add_argument("--access-key-secret")
    parser.add_argument("--session-token", help="without which the key is none")
    parser.add_argument("--expires-in-s", type=float, help="when the session token expires, from now")
    parser.add_argument(
        "--switch", action="append", default=[], metavar="NAME=VALUE", help="what S3 does otherwise: s3_switches.py"
    )
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of a round trip")
    parser.add_argument("--connection-mib-s", type=float, help="of each connection, each way")
    parser.add_argument("--total-mib-s", type=float, help="of all connections, each way")
    parser.add_argument("--until-eof", action="store_true", help="stop, too, when standard input ends")
    return parser


def _server(given: argparse.Namespace) -> Server:
    if (given.access_key_id is None) != (given.access_key_secret is None):
        raise ValueError("an access key is an id and a secret")
    expires_s = given.expires_in_s
    options = Options(
        buckets=tuple(given.bucket),
        folder=None if given.store == "memory" else Path(given.store),
        discard=given.discard,
        region=given.region,
        versioning=given.versioning,
        secrets={} if given.access_key_id is None else {given.access_key_id: given.access_key_secret},
        token=given.session_token,
        expires=None if expires_s is None else utc_now() + timedelta(seconds=expires_s),
        switches=dict(_pair(switch) for switch in given.switch),
    )
    if options.folder is not None and not options.folder.is_dir():
        raise ValueError(f"{options.folder} is no folder")
    link = None
    if given.latency_ms or given.connection_mib_s is not None or given.total_mib_s is not None:
        link = Link(
            latency_s=given.latency_ms / 1000,
            connection_bytes_per_s=_bytes(given.connection_mib_s),
            total_bytes_per_s=_bytes(given.total_mib_s),
        )
    made = dialect(given.dialect, options)
    return Server(made.dialect, host=given.host, port=given.port, cues=made.cues, link=link)


def _pair(switch: str) -> tuple[str, str]:
    name, sign, value = switch.partition("=")
    if not sign:
        raise ValueError(f"a switch is NAME=VALUE, not {switch!r}")
    return name, value


def _bytes(mib: float | None) -> float | None:
    return None if mib is None else mib * _MIB


async def _serve(server: Server, *, until_eof: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_eof:
        loop.add_reader(sys.stdin, stop.set)
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    await server.serve(stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
