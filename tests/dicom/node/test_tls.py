"""With TLS, a node takes certificates of its authority alone, and shows its own to peers."""

from __future__ import annotations

import datetime
import shutil
import ssl
from ipaddress import ip_address
from pathlib import Path

import pydicom
import pytest
from bedside.dicom.node.sections import Tls
from bedside.dicom.node.tls import client_context, server_context
from bedside.runtime.errors import InputError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from . import parties
from .test_receiver import receiving


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder, name):
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.authority.crt"
        self.file.write_bytes(self._signed(self._key, name, authority=True))

    def issue(self, name):
        """Writes a certificate for 127.0.0.1 and its key; returns the settings of a node that uses them."""
        key = ec.generate_private_key(ec.SECP256R1())
        files = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        files[0].write_bytes(self._signed(key, name, authority=False))
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Tls(certificate=str(files[0]), key=str(files[1]), authority=str(self.file))

    def _signed(self, key, name, *, authority):
        named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self._name)])
        start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        made = (
            x509.CertificateBuilder()
            .subject_name(named)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        )
        return made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "ours")


def section(tls):
    return "[tls]\n" + "\n".join(f"{name} = {getattr(tls, name)!r}" for name in ("certificate", "key", "authority"))


def test_a_sender_of_the_authority_is_served(tmp_path, authority):
    (file, *_) = parties.series(tmp_path / "ct", 3)
    with receiving(tmp_path, section(authority.issue("node"))) as (queue, port):
        context = client_context(authority.issue("sender"))
        assert parties.send(port, [file], tls_args=(context, "127.0.0.1")) == [0]
        assert len(list(queue)) == 1


def test_no_tls_no_certificate_and_one_of_another_authority_are_refused(tmp_path, authority):
    (file, *_) = parties.series(tmp_path / "ct", 3)
    stranger = client_context(Authority(tmp_path, "theirs").issue("stranger"))
    stranger.load_verify_locations(authority.file)
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.load_verify_locations(authority.file)
    with receiving(tmp_path, section(authority.issue("node"))) as (queue, port):
        assert parties.send(port, [file]) == [None]
        for context in (bare, stranger):
            assert parties.send(port, [file], tls_args=(context, "127.0.0.1")) == [None]
        assert list(queue) == []


def test_versions_before_1_2_are_refused(authority):
    for context in (server_context(authority.issue("a")), client_context(authority.issue("b"))):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_peers_are_verified_by_authority_and_name(authority):
    context = client_context(authority.issue("node"))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("field", ["certificate", "key", "authority"])
@pytest.mark.parametrize("wrong", ["missing", "no PEM", "another kind of PEM"])
def test_the_file_that_cannot_be_used_is_named(tmp_path, authority, field, wrong):
    tls = authority.issue("node")
    file = Path(getattr(tls, field))
    if wrong == "missing":
        file.unlink()
    elif wrong == "no PEM":
        file.write_text("no PEM")
    else:
        shutil.copy(tls.certificate if field == "key" else tls.key, file)
    for context in (server_context, client_context):
        with pytest.raises(
            InputError, match=rf'^tls\.{field}: "{file.name}" cannot be used \(.*\); expected .* PEM file'
        ):
            context(tls)


def test_the_key_of_another_certificate_is_named(tmp_path, authority):
    tls = authority.issue("node")
    authority.issue("other")
    (tmp_path / "other.key").rename(tls.key)
    with pytest.raises(InputError, match=r'tls\.key: "node\.key" cannot be used \(KEY_VALUES_MISMATCH\); expected the'):
        server_context(tls)


def test_what_is_sent_over_tls_is_whole(tmp_path, authority):
    (file, *_) = parties.series(tmp_path / "ct", 3)
    made = pydicom.dcmread(file)
    made.Rows = made.Columns = 700
    made.PixelData = bytes(range(256)) * (2 * 700 * 700 // 256) + bytes(2 * 700 * 700 % 256)
    made.save_as(file)
    with receiving(tmp_path, section(authority.issue("node"))) as (queue, port):
        assert parties.send(port, [file], tls_args=(client_context(authority.issue("s")), "127.0.0.1")) == [0]
        (series,) = queue
        assert pydicom.dcmread(series.files()[0]).PixelData == made.PixelData
