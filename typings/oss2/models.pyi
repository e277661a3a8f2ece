from collections.abc import Mapping

from oss2.http import Response

class RequestResult:
    resp: Response
    status: int
    headers: Mapping[str, str]
    request_id: str

class PutObjectResult(RequestResult):
    etag: str
    crc: int | None

class BucketVersioningConfig:
    def __init__(self, status: str | None = None) -> None: ...
