"""TLS on the loopback, with a key of nobody."""

from __future__ import annotations

import ssl
from pathlib import Path

# Of nobody: made for these tests, for "localhost" and 127.0.0.1.
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8M9q0hH6BR8wiueH
ROMHTAiPYwB3bP6glQw+wEnJ+F2hRANCAAQgS7ikRE3TQRHmxky6mKMmyeTH0E4m
wZFsRmL8p4VP8DvaybRW0HL3ib0KVOKCmdLxOH7bwoiQgGBarYlkzBFL
-----END PRIVATE KEY-----
"""
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBaDCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCBLuKRETdNBEebG
TLqYoybJ5MfQTibBkWxGYvynhU/wO9rJtFbQcveJvQpU4oKZ0vE4ftvCiJCAYFqt
iWTMEUujTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBTHbb1nteCOb48IKziTrJvera2k3DAKBggqhkjOPQQD
AgNJADBGAiEAh6p4cBvVePQtEeOanCiR2VaxyGvw9OjXqDD/auUcbG0CIQC69rht
x9lLc1GEKlQM6y0zNkEuO2m9YgE4xdpLcNhA2g==
-----END CERTIFICATE-----
"""


def server_tls(folder: Path, key: str = KEY, certificate: str = CERTIFICATE) -> tuple[ssl.SSLContext, str]:
    """What a server takes, and the file in `folder` for who trusts it."""
    both, trusted = folder / "server.pem", folder / "trusted.pem"
    both.write_text(key + certificate)
    trusted.write_text(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, str(trusted)
