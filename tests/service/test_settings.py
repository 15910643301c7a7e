"""HTTPS: with a certificate and its key, and refused where they do not fit."""

import datetime
import ipaddress
import ssl

import httpx
import pytest
from bedside.runtime import InputError, UsageError
from bedside.service.settings import Settings
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .running import Client, running


def written(path, content):
    path.write_bytes(content)
    return path


def key_pem(key, passphrase=None):
    protection = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A certificate of 127.0.0.1 that signed itself, and its key."""
    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bedside test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return written(folder / "server.pem", pem), written(folder / "server.key", key_pem(key)), key


def test_a_scan_goes_over_https_and_plain_http_is_not_answered(toy_bundle, pair):
    certificate, key, _ = pair
    with running(toy_bundle, certificate=certificate, key=key) as plain:
        url = str(plain.base_url)
        assert url.startswith("https://127.0.0.1:")
        with Client(base_url=url, verify=ssl.create_default_context(cafile=str(certificate)), timeout=60) as client:
            assert client.finished(client.post_scan().json())["code"] == 0
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            plain.get("api/v1")
        with pytest.raises(httpx.HTTPError):
            httpx.get(url.replace("https", "http", 1) + "api/v1")


def test_a_certificate_without_its_key_is_refused(pair, tmp_path):
    certificate, _, key = pair
    other = written(tmp_path / "other.key", key_pem(ec.generate_private_key(ec.SECP256R1())))
    locked = written(tmp_path / "locked.key", key_pem(key, b"secret"))
    for given in (None, other, locked, tmp_path / "missing.key", certificate):
        with pytest.raises(InputError, match=r'"server\.pem": expected a certificate and its private key'):
            Settings(certificate=certificate, key=given)
    with pytest.raises(InputError):
        Settings(certificate=written(tmp_path / "no.pem", b"no certificate"))


def test_a_key_without_a_certificate_is_a_usage_error(pair):
    with pytest.raises(UsageError, match="--certificate"):
        Settings(key=pair[1])
