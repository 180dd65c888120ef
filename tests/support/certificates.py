"""TLS for the Redshift stand-in: an authority of the test's own, and a certificate for localhost that it signed."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.redshift_standin.server import Standin


def prove_localhost(standin: Standin, folder: Path) -> Path:
    """Let the stand-in prove that it is localhost.

    Args:
        standin: It speaks TLS from then on.
        folder: For both certificates.

    Returns:
        The certificate of the authority, for SSL_CERT_FILE.
    """
    signer = _certificate(["Test authority"], None)
    own, authority = folder / "server.pem", folder / "ca.pem"
    own.write_bytes(_pem(*_certificate(["localhost"], signer)))
    authority.write_bytes(_pem(signer[0]))
    standin.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    standin.tls.load_cert_chain(own)
    return authority


def _certificate(names: list[str], signer: tuple[x509.Certificate, Any] | None) -> tuple[x509.Certificate, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    )
    return builder.sign(signer[1] if signer else key, hashes.SHA256()), key


def _pem(certificate: x509.Certificate, key: Any = None) -> bytes:
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    if key is None:
        return pem
    kind, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    return pem + bytes(key.private_bytes(encoding, kind, serialization.NoEncryption()))
