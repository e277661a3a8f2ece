"""An authority and a certificate for 127.0.0.1, both for the length of one benchmark."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from storage_guard import extras

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ModuleNotFoundError as exc:
    raise extras.missing(exc, "a benchmark", "bench") from exc

_DAYS = 7


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """Files: the authority's certificate, for clients; the server's key and certificate, for the server."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _named("storage-guard benchmarks")
    signed = _begun(authority, authority, authority_key.public_key())
    signed = signed.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    trusted = folder / "authority.pem"
    trusted.write_bytes(signed.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    # A leaf of its own: some clients take no authority's certificate from a server.
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _begun(_named("127.0.0.1"), authority, key.public_key())
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
    leaf = leaf.add_extension(names, critical=False)
    leaf = leaf.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    served = folder / "server.pem"
    served.touch(mode=0o600)
    served.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + leaf.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    return trusted, served


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
    )
