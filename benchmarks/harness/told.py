"""What a client says of a create, asked in its own environment: `python -m benchmarks.harness.told CLIENT URL BUCKET`.

Each line on standard input names a call and a key, each is answered by a line: what was told, and in which words. Each
client is used as its documents say for a create that must not overwrite, with the retries that it ships with.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

REGION, KEY_ID, SECRET = "eu-central-1", "AKIAoutcomes", "secret-of-the-outcomes"
SMALL = b"ours" * 1024
LARGE = bytes(range(256)) * 45_056  # three parts of 5 MiB at most
PART_BYTES = 5 << 20
DEADLINE_S = 5.0

Told = Literal["created", "exists", "unknown", "error", "cannot"]


class CannotError(Exception):
    """The client has no such call."""


class Client(Protocol):
    """`exists` are the exceptions that say that the key is taken."""

    packages: tuple[str, ...]

    def prepare(self) -> None:
        """What it does once for a store, before anything is to go wrong."""

    @abstractmethod
    def small(self, key: str) -> None: ...

    @abstractmethod
    def large(self, key: str) -> None: ...

    @abstractmethod
    def failing(self, key: str) -> None:
        """A file whose writer fails behind the first block."""
        ...

    @abstractmethod
    def meaning(self, error: Exception) -> tuple[Told, str]:
        """What an exception tells, and its name."""
        ...

    def close(self) -> None: ...


class WriterError(Exception):
    """The caller's own."""


class Ours(Client):
    packages = ("storage-guard",)

    def __init__(self, url: str, bucket: str) -> None:
        self._package: Any = importlib.import_module("storage_guard")
        self._store = self._package.open_store(
            f"s3://{bucket}",
            endpoint_url=url,
            region=REGION,
            access_key_id=KEY_ID,
            secret_access_key=SECRET,
            part_bytes=PART_BYTES,
        )

    def prepare(self) -> None:
        with contextlib.suppress(self._package.GuaranteeMissing):  # which each create says, too
            self._store.check()

    def small(self, key: str) -> None:
        self._store.create(key, SMALL, deadline_s=DEADLINE_S)

    def large(self, key: str) -> None:
        self._store.create(key, LARGE, deadline_s=DEADLINE_S)

    def failing(self, key: str) -> None:
        with self._store.open(key, "xb") as file:
            file.write(LARGE[: 6 << 20])
            raise WriterError

    def meaning(self, error: Exception) -> tuple[Told, str]:
        if isinstance(error, self._package.OutcomeUnknown):
            return "unknown", type(error).__name__
        return ("exists" if isinstance(error, FileExistsError) else "error"), type(error).__name__

    def close(self) -> None:
        self._store.driver.close()


class Boto3(Client):
    """Parts by hand: `upload_file` takes no condition."""

    packages = ("boto3", "botocore")

    def __init__(self, url: str, bucket: str) -> None:
        self._bucket = bucket
        session: Any = importlib.import_module("boto3.session").Session(KEY_ID, SECRET, region_name=REGION)
        self._client = session.client("s3", endpoint_url=url)
        self._refused: Any = importlib.import_module("botocore.exceptions").ClientError

    def small(self, key: str) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=SMALL, IfNoneMatch="*")

    def large(self, key: str) -> None:
        about = {"Bucket": self._bucket, "Key": key}
        upload = {**about, "UploadId": self._client.create_multipart_upload(**about)["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            for number, piece in enumerate(_pieces(), 1):
                told = self._client.upload_part(**upload, PartNumber=number, Body=piece)
                parts.append({"PartNumber": number, "ETag": told["ETag"], "ChecksumCRC32": told["ChecksumCRC32"]})
            self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
        except Exception as error:
            try:
                self._client.abort_multipart_upload(**upload)
            except Exception as another:  # noqa: BLE001 - the first one counts
                error.add_note(str(another))
            raise

    def failing(self, key: str) -> None:
        raise CannotError(key)

    def meaning(self, error: Exception) -> tuple[Told, str]:
        if not isinstance(error, self._refused):
            return "error", type(error).__name__
        code = str(getattr(error, "response", {}).get("Error", {}).get("Code"))
        return ("exists" if code == "PreconditionFailed" else "error"), f"ClientError {code}"

    def close(self) -> None:
        self._client.close()


class Obstore(Client):
    """`mode="create"` is one request, whatever the size."""

    packages = ("obstore",)

    def __init__(self, url: str, bucket: str) -> None:
        self._obstore: Any = importlib.import_module("obstore")
        store: Any = importlib.import_module("obstore.store")
        self._store = store.S3Store(
            bucket,
            endpoint=url,
            region=REGION,
            access_key_id=KEY_ID,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
        )

    def small(self, key: str) -> None:
        self._obstore.put(self._store, key, SMALL, mode="create")

    def large(self, key: str) -> None:
        self._obstore.put(self._store, key, LARGE, mode="create")

    def failing(self, key: str) -> None:
        raise CannotError(key)  # open_writer takes no condition

    def meaning(self, error: Exception) -> tuple[Told, str]:
        name = type(error).__name__
        return ("exists" if name == "AlreadyExistsError" else "error"), name


class Opendal(Client):
    packages = ("opendal",)

    def __init__(self, url: str, bucket: str) -> None:
        opendal: Any = importlib.import_module("opendal")
        self._operator = opendal.Operator(
            "s3",
            endpoint=url,
            bucket=bucket,
            region=REGION,
            access_key_id=KEY_ID,
            secret_access_key=SECRET,
        )

    def small(self, key: str) -> None:
        self._operator.write(key, SMALL, if_not_exists=True)

    def large(self, key: str) -> None:
        self._operator.write(key, LARGE, if_not_exists=True, chunk=PART_BYTES)

    def failing(self, key: str) -> None:
        with self._operator.open(key, "wb", if_not_exists=True, chunk=PART_BYTES) as file:
            file.write(LARGE[: 6 << 20])
            raise WriterError

    def meaning(self, error: Exception) -> tuple[Told, str]:
        name = type(error).__name__
        return ("exists" if name == "ConditionNotMatch" else "error"), name


class S3fs(Client):
    packages = ("s3fs", "aiobotocore", "botocore")

    def __init__(self, url: str, bucket: str) -> None:
        s3fs: Any = importlib.import_module("s3fs")
        self._bucket = bucket
        self._system = s3fs.S3FileSystem(
            key=KEY_ID,
            secret=SECRET,
            endpoint_url=url,
            client_kwargs={"region_name": REGION},
            skip_instance_cache=True,
        )

    def small(self, key: str) -> None:
        self._system.pipe_file(f"{self._bucket}/{key}", SMALL, mode="create")

    def large(self, key: str) -> None:
        self._system.pipe_file(f"{self._bucket}/{key}", LARGE, mode="create", chunksize=PART_BYTES)

    def failing(self, key: str) -> None:
        with self._system.open(f"{self._bucket}/{key}", "xb", block_size=PART_BYTES) as file:
            file.write(LARGE[: 6 << 20])
            raise WriterError

    def meaning(self, error: Exception) -> tuple[Told, str]:
        name = type(error).__name__
        number = f" {error.errno}" if isinstance(error, OSError) and error.errno else ""
        return ("exists" if isinstance(error, FileExistsError) else "error"), name + number


CLIENTS: dict[str, Callable[[str, str], Client]] = {
    "storage-guard": Ours,
    "boto3": Boto3,
    "obstore": Obstore,
    "opendal": Opendal,
    "s3fs": S3fs,
}


def _pieces() -> Iterator[bytes]:
    yield from (LARGE[start : start + PART_BYTES] for start in range(0, len(LARGE), PART_BYTES))


def asked(client: Client, call: str, key: str) -> tuple[Told, str]:
    """What it tells of a create: "small", "large" or "failing"."""
    ways = {"small": client.small, "large": client.large, "failing": client.failing}
    try:
        ways[call](key)
    except CannotError:
        return "cannot", "no such call"
    except WriterError:
        return "error", "the caller's own"
    except Exception as error:  # noqa: BLE001 - this is what is asked about
        return client.meaning(error)
    return "created", "returned"


def main() -> None:
    name, url, bucket = sys.argv[1:]
    client = CLIENTS[name](url, bucket)
    client.prepare()
    versions = {package: importlib.metadata.version(package) for package in client.packages}
    print(json.dumps(versions), flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        print(json.dumps(asked(client, wanted["call"], wanted["key"])), flush=True)
    client.close()


if __name__ == "__main__":
    main()
