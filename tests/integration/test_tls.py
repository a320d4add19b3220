"""The four modes of TLS to a server, with certificates of our own, and the ways to prove a password with and without it."""

import contextlib
import datetime
import ipaddress
import socket
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.servers import Why, wait_until
from support.twin import SIDES

ON_BOTH_FAMILIES = pytest.mark.pairings("mariadb-10.11/mariadb-10.11", "mariadb-10.11/mysql-9.7")
WITH_MYSQL = pytest.mark.pairings("mariadb-10.11/mysql-9.7")
DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates; all of its files lie in one folder."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = self._write(f"{name}.pem", self._sign(self.subject, self.key, 30 * DAY, is_ca=True))

    def _sign(self, subject, key, lifetime, is_ca=False, host=None):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.subject)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - 30 * DAY).not_valid_after(now + lifetime)
                   .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True))
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([host]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, name, thing):
        if isinstance(thing, x509.Certificate):
            data = thing.public_bytes(serialization.Encoding.PEM)
        else:
            data = thing.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption())
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def server(self, host="127.0.0.1", lifetime=30 * DAY):
        """A server's options for a certificate of this host."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            name = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        return {"ssl_ca": self.file, "ssl_cert": self._write("server.pem", self._sign(subject, key, lifetime, host=name)),
                "ssl_key": self._write("server.key", key)}


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "ours")


@pytest.fixture
def stranger(tmp_path):
    return Authority(tmp_path, "strangers")


@pytest.fixture
def serve(pair, make_twin):
    """Starts the right server with these options and makes the pair, with this tls section for it."""
    def go(options, tls=None):
        server = pair[1]
        server.stop()
        server.set_options(**options)
        server.start()
        twin = make_twin()
        twin.daemon.write_config()
        twin.daemon.init()
        write_tls(twin, tls)
        return twin
    return go


def write_tls(twin, tls):
    config = twin.daemon.config()
    if tls:
        config["servers"]["customer"]["tls"] = tls
    twin.daemon.write_config(config)



def works(twin):
    code, text = twin.daemon.command("check")
    assert code == 0, text
    twin.daemon.start()
    for n, side in enumerate(SIDES):
        twin.insert(side, n + 1)
    twin.settle()


def is_refused(twin, *words):
    """check fails, run does not get ready, and both say why."""
    code, text = twin.daemon.command("check")
    assert code == 1, text
    failed = [line for line in text.splitlines() if "FAIL" in line and "customer" in line]
    assert failed and all(word in text for word in words), text
    twin.daemon.start(ready=False)
    wait_until("run says so too", lambda: all(word in twin.daemon.log().replace(text, "") for word in words)
               or Why(twin.daemon.log_tail()), 20)
    assert not twin.daemon.is_ready()


def encrypted(twin):
    """How many connections by TLS the right server has taken."""
    return int(twin.servers["right"].rows("SHOW GLOBAL STATUS LIKE 'Ssl_finished_accepts'")[0][1])


@ON_BOTH_FAMILIES
@pytest.mark.parametrize("mode", ["required", "verify_ca", "verify_identity"])
def test_each_mode_works_with_the_right_certificate(serve, authority, mode):
    twin = serve(authority.server(), {"mode": mode, **({} if mode == "required" else {"ca": authority.file})})
    before = encrypted(twin)
    works(twin)
    assert encrypted(twin) > before


@ON_BOTH_FAMILIES
def test_off_asks_for_none(serve, authority):
    twin = serve(authority.server(), {"mode": "off"})
    before = encrypted(twin)
    works(twin)
    assert encrypted(twin) == before


@ON_BOTH_FAMILIES
def test_a_certificate_of_another_authority_is_refused(serve, authority, stranger):
    is_refused(serve(stranger.server(), {"mode": "verify_identity", "ca": authority.file}), "certificate", "tls.ca")


@ON_BOTH_FAMILIES
def test_verify_ca_refuses_another_authority_too(serve, authority, stranger):
    is_refused(serve(stranger.server(), {"mode": "verify_ca", "ca": authority.file}), "certificate", "tls.ca")


def test_required_looks_at_no_certificate(serve, stranger):
    works(serve(stranger.server("db.example", -DAY), {"mode": "required"}))


@ON_BOTH_FAMILIES
def test_a_certificate_of_another_host(serve, authority):
    """Refused where the identity counts, taken where the authority alone does."""
    twin = serve(authority.server("db.example"), {"mode": "verify_identity", "ca": authority.file})
    is_refused(twin, "certificate", "for the host")
    twin.daemon.kill()
    write_tls(twin, {"mode": "verify_ca", "ca": authority.file})
    works(twin)


@pytest.mark.parametrize("mode", ["verify_ca", "verify_identity"])
def test_an_expired_certificate_is_refused(serve, authority, mode):
    is_refused(serve(authority.server(lifetime=-DAY), {"mode": mode, "ca": authority.file}), "certificate", "expired")


@pytest.mark.parametrize("mode", ["required", "verify_ca", "verify_identity"])
def test_a_server_without_tls_is_refused(serve, authority, mode):
    is_refused(serve({"skip_ssl": ""}, {"mode": mode, **({} if mode == "required" else {"ca": authority.file})}),
               "does not offer TLS", "tls.mode")


@WITH_MYSQL
@pytest.mark.parametrize("tls", ["off", "required", "verify_ca"])
def test_a_sha2_password_that_the_server_has_not_cached(serve, authority, tls):
    twin = serve(authority.server(), {"mode": tls, **({"ca": authority.file} if tls == "verify_ca" else {})})
    assert twin.servers["right"].value("SELECT plugin FROM mysql.user WHERE user = 'twinlog'") == "caching_sha2_password"
    twin.sql("right", "FLUSH PRIVILEGES")  # the cache is empty again
    works(twin)


class Listener:
    """Passes a connection on and keeps what the client says."""

    def __init__(self, port):
        self.said = b""
        self.target = port
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return  # closed
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source, target, is_client):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_client:
                    self.said += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()


@WITH_MYSQL
@pytest.mark.parametrize("mode", ["required", "verify_ca", "verify_identity"])
def test_no_password_goes_in_the_open_to_a_server_without_tls(serve, authority, mode):
    """Whoever stands between may take the server's TLS away, and would be told the password itself."""
    no_files = {"auto_generate_certs": "OFF", "ssl_ca": "none.pem", "ssl_cert": "none.pem", "ssl_key": "none.key"}
    twin = serve(no_files)
    twin.servers["right"].sql("FLUSH PRIVILEGES")
    listener = Listener(twin.servers["right"].port)
    config = twin.daemon.config()
    config["servers"]["customer"]["port"] = listener.port
    config["servers"]["customer"]["tls"] = {"mode": mode, **({} if mode == "required" else {"ca": authority.file})}
    twin.daemon.write_config(config)
    code, text = twin.daemon.command("check")
    listener.close()
    assert code == 1 and "FAIL  customer" in text and "does not offer TLS" in text, text
    assert twin.passwords["customer"].encode() not in listener.said
