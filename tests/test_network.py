"""TLS and proxies, for real: a certificate of an own authority, and a proxy on loopback."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme
from fake_faults import reply
from fake_server import FakeServer
from running import reader

Wrap = Callable[[socket.socket], socket.socket]


@contextmanager
def relay(port: int, wrap: Wrap = lambda incoming: incoming) -> Iterator[tuple[int, list[bytes]]]:
    """Passes connections on to `port`; yields its own port and the first piece of each connection. An absolute URI, as
    a proxy gets it, becomes a path."""
    listener = socket.create_server(("127.0.0.1", 0))
    heads: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(raw,), daemon=True).start()

    def converse(raw: socket.socket) -> None:
        with raw, suppress(OSError), wrap(raw) as incoming, socket.create_connection(("127.0.0.1", port)) as outgoing:
            head = incoming.recv(65536)
            heads.append(head)
            outgoing.sendall(head.replace(b"http://reader.example.com", b"", 1))
            back = threading.Thread(target=_copy, args=(outgoing, incoming), daemon=True)
            back.start()
            _copy(incoming, outgoing)
            back.join()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1], heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


def port_of(server: FakeServer) -> int:
    return int(server.url.rpartition(":")[2])


def test_a_certificate_is_checked_against_the_authority_that_one_names(
    server: FakeServer, home: dict[str, str], tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with relay(port_of(server), lambda raw: context.wrap_socket(raw, server_side=True)) as (port, _):
        environ = {**home, "READER_API_URL": f"https://localhost:{port}", "READER_API_KEY": server.key}
        assert reader("--ca-bundle", str(bundle), "credits", environ=environ).code == 0
        assert reader("credits", environ={**environ, "SSL_CERT_FILE": str(bundle)}).code == 0
        doctor = reader("doctor", "--json", environ=environ)
        (failed,) = [check for check in doctor.objects if check["ok"] is False]
        assert (doctor.code, failed["check"]) == (9, "tls") and "--ca-bundle" in failed["remedy"]
        untrusted = reader("credits", environ=environ)
        assert untrusted.code == 9 and "certificate" in untrusted.err and server.key not in untrusted.err
        wrong_name = {**environ, "READER_API_URL": f"https://127.0.0.1:{port}"}
        assert reader("--ca-bundle", str(bundle), "credits", environ=wrong_name).code == 9


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_server_is_reached_through_a_proxy(server: FakeServer, home: dict[str, str], how: str) -> None:
    with relay(port_of(server)) as (port, heads):
        proxy = f"http://user:p4ssw0rd@127.0.0.1:{port}"
        environ = {**home, "READER_API_URL": "http://reader.example.com", "READER_API_KEY": server.key}
        if how == "environment":
            done = reader("credits", environ={**environ, "HTTP_PROXY": proxy, "http_proxy": proxy})
        else:
            done = reader("--proxy", proxy, "credits", environ=environ)
        assert done.code == 0 and heads[0].startswith(b"GET http://reader.example.com/v1/usage/credits ")
        assert b"proxy-authorization" in heads[0].lower()


def test_the_proxy_is_not_asked_for_this_machine(server: FakeServer, home: dict[str, str]) -> None:
    nowhere = "http://127.0.0.1:1"
    environ = {**home, "READER_API_URL": server.url, "READER_API_KEY": server.key, "HTTP_PROXY": nowhere}
    assert reader("credits", environ={**environ, "http_proxy": nowhere, "ALL_PROXY": nowhere}).code == 0


def test_a_dead_proxy_is_said_without_its_password(home: dict[str, str]) -> None:
    environ = {**home, "READER_API_URL": "http://reader.example.com", "READER_API_KEY": "rdr_0123456789abcdef"}
    done = reader("--proxy", "http://user:p4ssw0rd@127.0.0.1:1", "doctor", environ=environ)
    assert done.code == 9 and "FAIL  proxy" in done.out.decode()
    assert "p4ssw0rd" not in done.err + done.out.decode()


def test_a_redirect_to_another_host_does_not_get_the_key(server: FakeServer, home: dict[str, str]) -> None:
    with FakeServer() as other:
        server.inject(reply(302, headers={"location": f"{other.url}/v1/usage/credits"}), times=9)
        environ = {**home, "READER_API_URL": server.url, "READER_API_KEY": server.key}
        done = reader("credits", environ=environ)
        assert done.code == 9 and "redirects to" in done.err and other.count("") == 0
