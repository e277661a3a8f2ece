"""What is taken over from a client of the user's, and what is refused because it could not be honoured.

The client is only read. It sends nothing: not even its credentials' own requests go through it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import botocore
from botocore.client import BaseClient
from botocore.httpsession import URLLib3Session, get_cert_path

from storage_guard.checksum import crc64nvme
from storage_guard.wire.settings import Settings
from storage_guard_s3.addressing import Addresses
from storage_guard_s3.hosts import DOCUMENTED
from storage_guard_s3.sending import Sender
from storage_guard_s3.signing import Signing
from storage_guard_s3.sums import Known

crc64nvme(b"")  # awscrt, if it is missing, is missed when a store is opened, not in the middle of a create

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
CONNECTIONS = 128
"""Kept for use again: one for each of 64 threads that send parts, and as many for what goes on beside them."""

_BOTOS_TIMEOUT_S = 60
_BOTOS_CONNECTIONS = 10
_OWN = ("botocore", "boto3", "s3transfer", "awscrt")
_EVENTS = ("before-parameter-build", "before-call", "request-created", "choose-signer", "before-sign", "before-send")
_SIGNATURES = ("s3v4", "v4")


def adopted(
    client: Any,
    bucket: str,
    *,
    connect_timeout_s: float | None,
    read_timeout_s: float | None,
    headers: Mapping[str, str],
) -> tuple[Sender, Known]:
    """A sender with this client's settings. Raises TypeError, and ValueError that names what cannot be honoured."""
    _check_client(client)
    config = client.meta.config
    anonymous = config.signature_version is botocore.UNSIGNED
    if not anonymous and config.signature_version not in _SIGNATURES:
        raise ValueError(
            f"the client signs with signature_version={config.signature_version!r}: conditional writes want s3v4"
        )
    session = _session_of(client)
    proxies, connections = config.proxies, config.max_pool_connections
    certificate, key = _cert(config.client_cert)
    settings = Settings(
        connect_timeout_s=_timeout(connect_timeout_s, config.connect_timeout, CONNECT_TIMEOUT_S),
        idle_timeout_s=_timeout(read_timeout_s, config.read_timeout, READ_TIMEOUT_S),
        proxies=_proxies(config.proxies or {}, config.proxies_config or {}),
        trust_env=proxies is None,  # as botocore has it: those that are given replace the environment's
        ca=_ca(session),
        client_cert=certificate,
        client_key=key,
        user_agent=_printable(f"storage-guard {config.user_agent}"),
        pool_size=CONNECTIONS if connections in (None, _BOTOS_CONNECTIONS) else connections,
    )
    signing = Signing(functools.partial(_credentials_of, client), anonymous=anonymous)
    sender = Sender(bucket, Addresses(client), signing, settings, headers=dict(headers))
    return sender, _known(config, certain=sender.address.of.kind in DOCUMENTED)


def _known(config: Any, *, certain: bool) -> Known:
    """`payload_signing_enabled` has bodies hashed; a client that sums only what it must is for a store that knows no
    newer checksums."""
    s3: dict[str, Any] = config.s3 or {}
    hashed = bool(s3.get("payload_signing_enabled"))
    if getattr(config, "request_checksum_calculation", None) == "when_required":
        return Known("md5", certain=False, hashed=hashed)
    return Known("crc64nvme", certain=certain, hashed=hashed, heard=certain)


def _check_client(client: Any) -> None:
    if not isinstance(client, BaseClient):
        advice = ": give its .meta.client" if hasattr(getattr(client, "meta", None), "client") else ""
        raise TypeError(f"want a boto3 client of s3, not a {type(client).__name__}{advice}")
    if any(inspect.iscoroutinefunction(vars(each).get("_make_api_call")) for each in type(client).__mro__):
        raise TypeError("an asynchronous client cannot be read here: want boto3.client('s3')")
    service = client.meta.service_model.service_name
    if service != "s3":
        raise TypeError(f"want a client of s3, not of {service}")
    for handler in _handlers(client):
        module = getattr(inspect.unwrap(handler), "__module__", None) or type(handler).__module__
        if module.startswith("moto.") and not getattr(handler, "enabled", True):
            continue  # moto puts one into every client, and switches it on when it mocks
        if module.partition(".")[0] not in _OWN:
            raise ValueError(
                f"the client has an event handler of {module}, which no request of ours would pass by"
                + (": use moto's server in place of mock_aws" if module.startswith("moto.") else ": take it off")
            )


def _handlers(client: BaseClient) -> list[Any]:
    """What would see or change a request on its way."""
    events: Any = client.meta.events
    found = getattr(getattr(events, "_emitter", None), "_handlers", None)
    if found is None:
        return []
    handlers = [each for event in _EVENTS for each in found.prefix_search(f"{event}.s3.PutObject")]
    return [each.func if isinstance(each, functools.partial) else each for each in handlers]


def _session_of(client: Any) -> URLLib3Session:
    session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    if type(session) is not URLLib3Session:
        raise ValueError(f"the client sends through a {type(session).__name__}, which is not used here")
    return session


def _credentials_of(client: Any) -> Any:
    """botocore's object, which refreshes itself; None if there are none. Nothing public gives it."""
    return client._request_signer._credentials  # noqa: SLF001


def _proxies(proxies: Mapping[str, str | None], more: Mapping[str, Any]) -> dict[str, str]:
    named = [name for name, value in more.items() if value]
    if named:
        raise ValueError(f"the client's proxies_config has {', '.join(named)}, which cannot be honoured")
    for scheme, url in proxies.items():
        if url and url.lower().startswith("socks"):
            raise ValueError(f"the proxy for {scheme} speaks SOCKS, which is not supported here")
    return {scheme: url or "" for scheme, url in proxies.items()}


def _ca(session: Any) -> str | None:
    """Where botocore would look: AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE and the profile are in it already."""
    verify = session._verify  # noqa: SLF001
    if verify is False:
        raise ValueError("the client has verify=False: its answers could be anybody's")
    return get_cert_path(verify)


def _cert(cert: Any) -> tuple[str | None, str | None]:
    """The files of a client's certificate and of its key, which may be in the same."""
    if cert is None or isinstance(cert, str):
        return cert, None
    certificate, key = cert
    return str(certificate), str(key)


def _timeout(given_s: float | None, of_client_s: float | None, ours_s: float) -> float:
    """What was given; then what the user gave the client; then ours."""
    found_s: object = given_s
    if found_s is None:
        found_s = ours_s if of_client_s == _BOTOS_TIMEOUT_S else of_client_s
    if not isinstance(found_s, int | float) or not 0 < found_s < float("inf"):
        raise ValueError(f"a timeout is a positive number of seconds, got {found_s!r}")
    return float(found_s)


def _printable(text: str) -> str:
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in text)
