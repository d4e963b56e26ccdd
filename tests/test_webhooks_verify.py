"""Signatures: what is genuine, what only was, and what never has been."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listening import SECRET, sign_by_hand
from running import reader

from reader_cli.webhooks import Verdict, sign, verify

BODY = b'{"event": "job.completed", "jobId": "job_1"}'
SIGNATURES = st.text() | st.just(None) | st.builds("sha256={}".format, st.text("0123456789abcdefABCDEF", max_size=70))


@given(body=st.binary(max_size=200), timestamp=st.integers(0, 2**40), secret=st.text(min_size=1, max_size=40))
def test_what_is_signed_is_valid_for_five_minutes_either_way(body: bytes, timestamp: int, secret: str) -> None:
    signature = sign(body, timestamp, secret=secret)
    for age, verdict in ((0, "valid"), (300, "valid"), (-300, "valid"), (301, "stale"), (-301, "stale")):
        assert verify(body, str(timestamp), signature, secret=secret, now=timestamp + age) == verdict
    assert verify(body + b" ", str(timestamp), signature, secret=secret, now=timestamp) == "forged"
    assert verify(body, str(timestamp + 1), signature, secret=secret, now=timestamp) == "forged"
    assert verify(body, str(timestamp), signature, secret=secret + "x", now=timestamp) == "forged"
    assert verify(body, f"0{timestamp}", signature, secret=secret, now=timestamp) == "forged"


@given(timestamp=st.text() | st.just(None), signature=SIGNATURES)
def test_nothing_that_a_sender_can_say_raises(timestamp: str | None, signature: str | None) -> None:
    assert verify(BODY, timestamp, signature, secret=SECRET) is Verdict.FORGED
    assert verify(BODY, "1700000000", signature, secret=SECRET, now=1.7e9) is Verdict.FORGED


def test_only_a_valid_one_is_true() -> None:
    headers = sign_by_hand(BODY)
    assert verify(BODY, headers["x-reader-timestamp"], headers["x-reader-signature"], secret=SECRET)
    assert not Verdict.STALE and not Verdict.FORGED
    with pytest.raises(ValueError, match="empty"):
        verify(BODY, "1", "sha256=", secret="")


def test_the_contracts_own_words() -> None:
    """Made with openssl: printf '%s' "1700000000.$BODY" | openssl dgst -sha256 -hmac "$SECRET"."""
    command = ["openssl", "dgst", "-sha256", "-hmac", SECRET]
    try:
        made = subprocess.run(command, input=b"1700000000." + BODY, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert sign(BODY, 1_700_000_000, secret=SECRET) == "sha256=" + made.stdout.decode().split()[-1]


def test_a_receiver_that_imports_it_loads_nothing_else() -> None:
    heavy = ["httpx", "typer", "rich", "sqlite3", "http.server", "starlette"]
    code = f"import sys, reader_cli.webhooks; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_command(home: dict[str, str], tmp_path: Path) -> None:
    secret, body = tmp_path / "secret", tmp_path / "body"
    secret.write_text(SECRET + "\n")
    body.write_bytes(BODY)
    headers = sign_by_hand(BODY)
    stamp, good = headers["x-reader-timestamp"], headers["x-reader-signature"]
    old = sign_by_hand(BODY, age=400)
    encoded = "sha256=" + base64.b64encode(bytes.fromhex(good[7:])).decode()

    def run(timestamp: str, signature: str, file: str = "-", *more: str) -> tuple[int, str, str]:
        arguments = ["--secret-file", str(secret), "--timestamp", timestamp, "--signature", signature, *more]
        done = reader("webhooks", "verify", *arguments, file, environ=home, stdin=BODY)
        assert SECRET not in done.err and SECRET not in done.out.decode()
        return done.code, done.out.decode(), done.err

    assert run(stamp, good) == (0, "valid\n", "") and run(stamp, good, str(body))[0] == 0
    assert run(old["x-reader-timestamp"], old["x-reader-signature"])[:2] == (6, "stale\n")
    assert run(old["x-reader-timestamp"], old["x-reader-signature"], "-", "--max-age", "10m")[:2] == (0, "valid\n")
    for wrong in (encoded, good.upper(), good[:-1], "", "ÿ"):
        assert run(stamp, wrong)[:2] == (6, "forged\n")
    code, out, err = run(stamp, "sha256=0", "-", "--json")
    assert json.loads(out) == {"verdict": "forged"} and json.loads(err)["error"]["code"] == "forged" and code == 6
    from_environment = {**home, "READER_WEBHOOK_SECRET": SECRET}
    arguments = ["--timestamp", str(int(time.time())), "--signature", "sha256=0", "-"]
    assert reader("webhooks", "verify", *arguments, environ=from_environment, stdin=BODY).out == b"forged\n"
    none = reader("webhooks", "verify", *arguments, environ=home, stdin=BODY)
    assert none.code == 6 and none.out == b"" and "READER_WEBHOOK_SECRET" in none.err
