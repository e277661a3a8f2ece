from collections.abc import Mapping, MutableMapping

import requests

USER_AGENT: str

class Session:
    session: requests.Session
    def __init__(self, pool_size: int | None = None, adapter: requests.adapters.BaseAdapter | None = None) -> None: ...

class Request:
    method: str
    url: str
    params: MutableMapping[str, str]
    headers: MutableMapping[str, str | None]
    def __init__(
        self,
        method: str,
        url: str,
        data: bytes | None = None,
        params: MutableMapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        app_name: str = "",
        proxies: Mapping[str, str] | None = None,
        region: str | None = None,
        product: str | None = None,
        cloudbox_id: str | None = None,
    ) -> None: ...

class Response:
    status: int
    headers: Mapping[str, str]
    request_id: str
    def read(self, amt: int | None = None) -> bytes: ...
