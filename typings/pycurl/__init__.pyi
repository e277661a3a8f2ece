# What is used of pycurl 7.49.

from collections.abc import Callable, Sequence
from typing import Final, final

version: Final[str]

class error(Exception):  # noqa: N801
    args: tuple[int, str]

@final
class Curl:
    def __init__(self) -> None: ...
    def setopt(
        self,
        option: int,
        value: str
        | bytes
        | int
        | Sequence[str]
        | Callable[[int], memoryview | bytes | int]
        | Callable[[bytes], int | None]
        | Callable[[int, int, int, int], int]
        | Callable[[str, str, int, int], int],
        /,
    ) -> None: ...
    def unsetopt(self, option: int, /) -> None: ...
    def getinfo(self, info: int, /) -> int: ...
    def perform(self) -> None: ...
    def close(self) -> None: ...

@final
class CurlMulti:
    def __init__(self) -> None: ...
    def setopt(self, option: int, value: int | Callable[[int, int, CurlMulti, object], None], /) -> None: ...
    def add_handle(self, curl: Curl, /) -> None: ...
    def remove_handle(self, curl: Curl, /) -> None: ...
    def socket_action(self, fd: int, events: int, /) -> tuple[int, int]: ...
    def info_read(self) -> tuple[int, list[Curl], list[tuple[Curl, int, str]]]: ...
    def timeout(self) -> int: ...
    def close(self) -> None: ...

# Options of an easy handle.
BUFFERSIZE: Final[int]
CAINFO: Final[int]
CAPATH: Final[int]
CONNECTTIMEOUT_MS: Final[int]
CUSTOMREQUEST: Final[int]
FOLLOWLOCATION: Final[int]
HEADERFUNCTION: Final[int]
HEADEROPT: Final[int]
HEADER_SEPARATE: Final[int]
HTTPGET: Final[int]
HTTPHEADER: Final[int]
HTTPPROXYTUNNEL: Final[int]
HTTP_CONTENT_DECODING: Final[int]
HTTP_VERSION: Final[int]
CURL_HTTP_VERSION_1_1: Final[int]
INFILESIZE_LARGE: Final[int]
LOW_SPEED_LIMIT: Final[int]
LOW_SPEED_TIME: Final[int]
MAXAGE_CONN: Final[int]
MAXCONNECTS: Final[int]
MAXFILESIZE_LARGE: Final[int]
NETRC: Final[int]
NETRC_IGNORED: Final[int]
NOBODY: Final[int]
NOPROGRESS: Final[int]
NOPROXY: Final[int]
NOSIGNAL: Final[int]
PATH_AS_IS: Final[int]
POST: Final[int]
POSTFIELDS: Final[int]
PREREQFUNCTION: Final[int]
PREREQFUNC_ABORT: Final[int]
PREREQFUNC_OK: Final[int]
PROTOCOLS: Final[int]
PROTO_HTTP: Final[int]
PROTO_HTTPS: Final[int]
PROXY: Final[int]
PROXYAUTH: Final[int]
PROXYPASSWORD: Final[int]
PROXYUSERNAME: Final[int]
PROXY_CAINFO: Final[int]
PROXY_CAPATH: Final[int]
HTTPAUTH_BASIC: Final[int]
READFUNCTION: Final[int]
READFUNC_ABORT: Final[int]
SSLCERT: Final[int]
SSLKEY: Final[int]
SSL_VERIFYHOST: Final[int]
SSL_VERIFYPEER: Final[int]
TCP_KEEPALIVE: Final[int]
TCP_NODELAY: Final[int]
TIMEOUT_MS: Final[int]
UPLOAD: Final[int]
UPLOAD_BUFFERSIZE: Final[int]
URL: Final[int]
USERAGENT: Final[int]
WRITEFUNCTION: Final[int]
XFERINFOFUNCTION: Final[int]

# What a handle knows afterwards.
ACTIVESOCKET: Final[int]
HTTP_CONNECTCODE: Final[int]
SIZE_UPLOAD_T: Final[int]

# Multi handles.
CSELECT_ERR: Final[int]
CSELECT_IN: Final[int]
CSELECT_OUT: Final[int]
M_MAXCONNECTS: Final[int]
M_SOCKETFUNCTION: Final[int]
POLL_IN: Final[int]
POLL_INOUT: Final[int]
POLL_OUT: Final[int]
POLL_REMOVE: Final[int]
SOCKET_TIMEOUT: Final[int]

# What may go wrong.
E_ABORTED_BY_CALLBACK: Final[int]
E_BAD_FUNCTION_ARGUMENT: Final[int]
E_COULDNT_CONNECT: Final[int]
E_COULDNT_RESOLVE_HOST: Final[int]
E_COULDNT_RESOLVE_PROXY: Final[int]
E_FILESIZE_EXCEEDED: Final[int]
E_GOT_NOTHING: Final[int]
E_NOT_BUILT_IN: Final[int]
E_OK: Final[int]
E_OPERATION_TIMEDOUT: Final[int]
E_PARTIAL_FILE: Final[int]
E_PEER_FAILED_VERIFICATION: Final[int]
E_RECV_ERROR: Final[int]
E_SEND_ERROR: Final[int]
E_SEND_FAIL_REWIND: Final[int]
E_SSL_CACERT_BADFILE: Final[int]
E_SSL_CERTPROBLEM: Final[int]
E_SSL_CIPHER: Final[int]
E_SSL_CONNECT_ERROR: Final[int]
E_SSL_CRL_BADFILE: Final[int]
E_SSL_INVALIDCERTSTATUS: Final[int]
E_SSL_ISSUER_ERROR: Final[int]
E_UNSUPPORTED_PROTOCOL: Final[int]
E_URL_MALFORMAT: Final[int]
E_USE_SSL_FAILED: Final[int]
E_WRITE_ERROR: Final[int]
E_OUT_OF_MEMORY: Final[int]
E_FAILED_INIT: Final[int]
E_INTERFACE_FAILED: Final[int]
E_UNKNOWN_OPTION: Final[int]
E_SSL_ENGINE_NOTFOUND: Final[int]
E_SSL_ENGINE_SETFAILED: Final[int]
E_SSL_ENGINE_INITFAILED: Final[int]
E_SSL_PINNEDPUBKEYNOTMATCH: Final[int]
E_HTTP2: Final[int]
E_TOO_MANY_REDIRECTS: Final[int]
E_BAD_CONTENT_ENCODING: Final[int]
E_FTP_WEIRD_SERVER_REPLY: Final[int]
E_HTTP_POST_ERROR: Final[int]
E_READ_ERROR: Final[int]
E_UPLOAD_FAILED: Final[int]
E_AGAIN: Final[int]
E_NO_CONNECTION_AVAILABLE: Final[int]
E_LOGIN_DENIED: Final[int]
E_SSL_SHUTDOWN_FAILED: Final[int]
E_CHUNK_FAILED: Final[int]
