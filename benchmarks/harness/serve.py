"""The discarding server of the benchmarks, in a process of its own: `python -m benchmarks.harness.serve`.

The loopback OSS of `storage_guard.testing.server`, which keeps no bytes, looks at no signature and compares what a
Content-MD5 says; over TLS with `--tls FILE` (key and certificate).
Its URL is the first line; each line on standard input is answered with what it has used so far, "forget" when its
objects are gone, and it stops when standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import ssl
import sys

from storage_guard.testing.server import Receiving, Request, Server
from storage_guard.testing.server.blobs import DiscardedBlobs
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.oss import OSSDialect
from storage_guard.testing.server.running import raise_failures


class _Counted(OSSDialect):
    """The dialect, and how many requests it received."""

    requests = 0

    def receive(self, request: Request) -> Receiving:
        self.requests += 1
        return super().receive(request)


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.harness.serve")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--tls", metavar="FILE")
    asked = parser.parse_args()
    tls = None
    if asked.tls is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(asked.tls)
    dialect = _Counted(Buckets([asked.bucket], blobs=DiscardedBlobs()))
    server = Server(dialect, tls=tls, remembered=0)
    # Objects that are kept make no garbage in circles, and to look for some among very many of them takes its time.
    gc.disable()
    asyncio.run(_serve(server, dialect, asked.bucket))
    raise_failures(server)


async def _serve(server: Server, dialect: _Counted, bucket: str) -> None:
    stop = asyncio.Event()

    def heard() -> None:
        line = sys.stdin.readline()
        if not line:
            stop.set()
            return
        if line.strip() == "forget":
            dialect.state.remove_bucket(bucket)
            dialect.state.add_bucket(bucket)
            gc.collect()
        used = resource.getrusage(resource.RUSAGE_SELF)
        _say(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "requests": dialect.requests}))

    asyncio.get_running_loop().add_reader(sys.stdin, heard)
    _say(server.url)
    await server.serve(stop)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
