"""The discarding server of the benchmarks, in a process of its own: `python -m benchmarks.harness.serve`.

The loopback OSS, or S3, of `storage_guard.testing.server`, which keeps no bytes, looks at no signature and compares
what a Content-MD5 says (with `--examined` it keeps bytes until it first forgets); over TLS with `--tls FILE` (key and
certificate), at the end of a link with `--link`; as slow at copies with `--copy-mb-s`.
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

from benchmarks.harness.copies import Copies
from benchmarks.harness.roads import MB, road_of
from storage_guard.testing.server import Asked, Cues, Link, Receiving, Request, Server
from storage_guard.testing.server.blobs import DiscardedBlobs, MemoryBlobs, Sink
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.oss import OSSDialect
from storage_guard.testing.server.running import raise_failures
from storage_guard.testing.server.s3 import S3Dialect


class _Blobs(DiscardedBlobs):
    """Thrown away; while `kept`, kept, as an examination reads what it wrote."""

    def __init__(self, *, kept: bool) -> None:
        super().__init__()
        self.kept = kept

    def sink(self) -> Sink:
        return _KEPT.sink() if self.kept else super().sink()


_KEPT = MemoryBlobs(md5=False)


class _CountedOSS(OSSDialect):
    """The dialect, and how many requests it received."""

    requests = 0
    copies: Copies | None = None

    def asked(self, request: Request) -> Asked:
        if self.copies is not None:
            self.copies.see(request)
        return super().asked(request)

    def receive(self, request: Request) -> Receiving:
        self.requests += 1
        return super().receive(request)


class _CountedS3(S3Dialect):
    """The same."""

    requests = 0
    copies: Copies | None = None

    def asked(self, request: Request) -> Asked:
        if self.copies is not None:
            self.copies.see(request)
        return super().asked(request)

    def receive(self, request: Request) -> Receiving:
        self.requests += 1
        return super().receive(request)


_Counted = _CountedOSS | _CountedS3


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.harness.serve")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--tls", metavar="FILE")
    parser.add_argument("--service", choices=("oss", "s3"), default="oss")
    parser.add_argument("--link", type=road_of)
    parser.add_argument("--copy-mb-s", type=float, help="of one request that copies; as fast as it goes without")
    parser.add_argument("--examined", action="store_true")
    asked = parser.parse_args()
    tls = None
    if asked.tls is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(asked.tls)
    blobs = _Blobs(kept=asked.examined)
    buckets = Buckets([asked.bucket], blobs=blobs)
    dialect = _CountedOSS(buckets) if asked.service == "oss" else _CountedS3(buckets)
    link = None
    if asked.link is not None:
        link = Link(
            latency_s=asked.link.latency_ms / 1000,
            connection_bytes_per_s=asked.link.connection_mb_s * MB,
            total_bytes_per_s=asked.link.total_mb_s * MB,
        )
    cues = Cues()
    if asked.copy_mb_s is not None:
        dialect.copies = Copies(asked.copy_mb_s * MB, buckets)
        cues.on_request = dialect.copies.action
    server = Server(dialect, cues=cues, tls=tls, link=link, remembered=0)
    # Objects that are kept make no garbage in circles, and to look for some among very many of them takes its time.
    gc.disable()
    asyncio.run(_serve(server, dialect, asked.bucket, blobs))
    raise_failures(server)


async def _serve(server: Server, dialect: _Counted, bucket: str, blobs: _Blobs) -> None:
    stop = asyncio.Event()

    def heard() -> None:
        line = sys.stdin.readline()
        if not line:
            stop.set()
            return
        if line.strip() == "forget":
            dialect.state.remove_bucket(bucket)
            dialect.state.add_bucket(bucket)
            blobs.kept = False
            gc.collect()
        used = resource.getrusage(resource.RUSAGE_SELF)
        _say(
            json.dumps(
                {
                    "cpu_s": used.ru_utime + used.ru_stime,
                    "requests": dialect.requests,
                    "connections": server.connections,
                }
            )
        )

    asyncio.get_running_loop().add_reader(sys.stdin, heard)
    _say(server.url)
    await server.serve(stop)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
