from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_server import Loop, Reader, Web, answer

from reader_cli.engine.addresses import is_private, is_public

LOOPBACK_SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "127.0.0.2",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "2130706433",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[0:0:0:0:0:0:0:1]",
    "①②⑦.0.0.1",
]
NEVER = [
    "169.254.169.254",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
]


@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS)
def test_no_spelling_of_this_machine_is_reached_untrusted(reader: Reader, web: Web, host: str) -> None:
    web.page("/", "<p>private</p>")
    outcome = reader.read(f"http://{host}:{web.port}/", trusted=False)
    assert outcome.problem in ("url_blocked", "invalid_request")
    assert not web.visits


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]"])
def test_the_owner_reaches_this_machine(reader: Reader, web: Web, host: str) -> None:
    web.page("/", "<p>mine</p>")
    problem = reader.read(f"http://{host}:{web.port}/").problem
    # aiohttp refuses short spellings of IPv4 addresses by itself
    assert problem is None or (host == "127.1" and problem == "invalid_request")


@pytest.mark.parametrize("host", NEVER)
def test_some_addresses_are_for_nobody(reader: Reader, host: str) -> None:
    assert reader.read(f"http://{host}/", timeout_ms=2000).problem == "url_blocked"


def test_an_engine_without_private_addresses_trusts_nobody(loop: Loop, web: Web) -> None:
    reader = Reader(loop, allow_private=False)
    try:
        assert reader.read(web.page("/", "<p>private</p>")).problem == "url_blocked"
    finally:
        reader.close()
    assert not web.visits


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest", "http://[fe80::1]/", "http://224.0.0.1/"])
def test_a_private_page_leads_to_private_pages_but_not_everywhere(reader: Reader, web: Web, target: str) -> None:
    web.answers["/out"] = answer(status=302, Location=target)
    web.answers["/in"] = answer(status=302, Location=f"http://localhost:{web.port}/there")
    web.page("/there", "<p>there</p>")
    assert reader.read(f"{web.url}/out").problem == "url_blocked"
    assert reader.read(f"{web.url}/in").problem is None


def test_a_name_that_changes_its_address_gains_nothing(loop: Loop, web: Web, names: dict[str, list[str]]) -> None:
    """Whatever the first look-up said, the connection decides."""
    names |= {"rebinding.test": ["93.184.216.34", "127.0.0.1"], "inside.test": ["127.0.0.1"]}
    web.page("/", "<p>private</p>")
    reader = Reader(loop)
    try:
        assert reader.read(f"http://rebinding.test:{web.port}/").problem == "url_blocked"
        assert reader.read(f"http://inside.test:{web.port}/", trusted=False).problem == "url_blocked"
        assert not web.visits
        assert reader.read(f"http://inside.test:{web.port}/").problem is None
    finally:
        reader.close()


def test_a_kept_connection_to_a_private_host_serves_the_trusted_only(reader: Reader, web: Web) -> None:
    kept = answer("<p>private</p>").replace(b"Connection: close", b"Connection: keep-alive")
    web.answers["/"] = kept
    assert reader.read(web.url).problem is None
    assert reader.read(web.url, trusted=False).problem == "url_blocked"


PRIVATE_V4 = [IPv4Network(net) for net in ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


@given(st.one_of(*(st.ip_addresses(network=net) for net in PRIVATE_V4)))
def test_an_ipv4_address_is_as_private_inside_an_ipv6_one(address: IPv4Address) -> None:
    wrapped = [0xFFFF << 32, 0x64FF9B << 96, 0]
    texts = [str(IPv6Address(prefix | int(address))) for prefix in wrapped]
    texts.append(str(IPv6Address((0x2002 << 112) | int(address) << 80)))
    for text in texts:
        assert is_private(text)
        assert not is_public(text)


@given(st.ip_addresses())
def test_no_address_is_both(address: IPv4Address | IPv6Address) -> None:
    assert not (is_public(str(address)) and is_private(str(address)))
    assert not (is_public(str(address)) and not ip_address(str(address)).is_global)
