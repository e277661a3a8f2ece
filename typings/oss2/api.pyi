from collections.abc import Mapping

from oss2.auth import AnonymousAuth, AuthBase, StsAuth
from oss2.http import Session
from oss2.models import BucketVersioningConfig, PutObjectResult, RequestResult

class _UrlMaker:
    is_cname: bool
    is_path_style: bool

class _Base:
    auth: AuthBase | StsAuth | AnonymousAuth
    endpoint: str
    session: Session
    timeout: float | tuple[float, float]
    app_name: str
    enable_crc: bool
    proxies: Mapping[str, str] | None
    region: str | None
    product: str
    cloudbox_id: str | None
    is_verify_object_strict: bool
    _make_url: _UrlMaker

class Bucket(_Base):
    bucket_name: str
    def __init__(
        self,
        auth: AuthBase | StsAuth | AnonymousAuth,
        endpoint: str,
        bucket_name: str,
        is_cname: bool = False,
        session: Session | None = None,
        connect_timeout: float | tuple[float, float] | None = None,
        app_name: str = "",
        enable_crc: bool = True,
        proxies: Mapping[str, str] | None = None,
        region: str | None = None,
        cloudbox_id: str | None = None,
        is_path_style: bool = False,
        is_verify_object_strict: bool = True,
    ) -> None: ...
    def sign_url(
        self,
        method: str,
        key: str,
        expires: int,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        slash_safe: bool = False,
    ) -> str: ...
    def put_object(self, key: str, data: bytes, headers: Mapping[str, str] | None = None) -> PutObjectResult: ...
    def put_bucket_versioning(self, config: BucketVersioningConfig) -> RequestResult: ...
