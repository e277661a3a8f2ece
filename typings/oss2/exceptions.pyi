from collections.abc import Mapping

class OssError(Exception):
    status: int
    request_id: str
    body: str | bytes
    code: str
    message: str
    headers: Mapping[str, str]

class ClientError(OssError):
    def __init__(self, message: str) -> None: ...

class RequestError(OssError): ...
class ServerError(OssError): ...
