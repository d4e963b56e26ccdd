"""Any page comes out as one valid line that is harmless, and otherwise as it was sent."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reader_cli.output.jsonl import is_failed, mend, read_head, split_results, to_line

HOSTILE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")

any_text = st.text(st.characters(), max_size=20)  # lone surrogates included
numbers = st.integers(-(10**40), 10**40) | st.floats()
values: Any = st.recursive(
    st.none() | st.booleans() | numbers | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
pages = st.dictionaries(any_text, values, max_size=5)
indents = st.sampled_from([None, 0, 2, "\t"])


def as_sent(value: Any, indent: Any, *, escaped: bool) -> bytes:
    """What some server may write; raw surrogates as CESU-8 does."""
    return json.dumps(value, indent=indent, ensure_ascii=escaped).encode("utf-8", "surrogatepass")


def without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return {key: without_nan(item) for key, item in value.items()} if isinstance(value, dict) else value


def check_line(line: bytes, value: Any) -> None:
    text = line.decode()  # UTF-8
    assert not HOSTILE.search(text)
    assert json.dumps(json.loads(text, parse_constant=refuse)) == json.dumps(without_nan(value))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@given(pages, indents, st.booleans())
def test_any_page_is_mended_into_one_valid_line(page: Any, indent: Any, escaped: bool) -> None:
    check_line(mend(as_sent(page, indent, escaped=escaped)), page)


@given(pages.map(without_nan), indents, st.booleans())
def test_a_valid_page_becomes_a_line(page: Any, indent: Any, escaped: bool) -> None:
    check_line(to_line(as_sent(page, indent, escaped=escaped)), page)


@given(st.lists(pages, max_size=4), indents, st.booleans())
def test_an_answer_is_taken_apart_whatever_its_pages_hold(entries: list[Any], indent: Any, escaped: bool) -> None:
    rest = {"success": True, "data": {"id": "j", "results": [], "x": {"data": [1]}}, "pagination": {"hasMore": False}}
    answer = {**rest, "data": {"id": "j", "results": entries, "x": {"data": [1]}}}
    lines, remaining = split_results(as_sent(answer, indent, escaped=escaped))
    assert remaining == rest
    assert len(lines) == len(entries)
    for line, entry in zip(lines, entries, strict=True):
        check_line(line, entry)


def test_a_page_that_needs_nothing_is_passed_through_to_the_byte() -> None:
    page = '{ "url":"https://é.test/’",  "n": 1.50, "big": 123456789012345678901234567890, "n": 1e5, "s":"\\u2028\\/" }'
    assert to_line(page.encode()) == page.encode()


def test_numbers_order_and_repeated_keys_survive_the_mending() -> None:
    page = b'{"b": 1.50,\n "a": 1E400, "b": 123456789012345678901234567890,\r\n "c": NaN, "d": "\xc2\x9b\\ud800"}'
    assert mend(page) == b'{"b":1.50,"a":1E400,"b":123456789012345678901234567890,"c":null,"d":"\\u009b\\ud800"}'


def test_depth_is_no_limit() -> None:
    deep = b"[" * 50_000 + b"]" * 50_000
    page = b'{"url": "u", "error": "e",\n "extracted": ' + deep + b"}"
    assert mend(page) == b'{"url":"u","error":"e","extracted":' + deep + b"}"
    lines, _ = split_results(b'{"data": {"results": [' + page + b"]}}")
    assert lines == [mend(page)]
    assert is_failed(mend(page)) and read_head(mend(page)).url == "u"


@given(st.binary(max_size=60))
def test_bytes_that_are_no_json_break_nothing(junk: bytes) -> None:
    mend(junk)
    assert not is_failed(junk) or b"error" in junk
    assert isinstance(read_head(junk).url, str)


def test_a_page_failed_when_its_error_is_a_string() -> None:
    assert is_failed(b'{"url":"u","error":"HTTP 500"}')
    assert is_failed(b'{"url":"u","error":"lone \\ud800"}')
    for fine in (
        b'{"url":"\\ud800","metadata":{"error":"x"}}',
        b'{"url":"u"}',
        b'{"url":"u","error":null}',
        b'{"url":"u","markdown":"\\"error\\": \\"x\\""}',
    ):
        assert not is_failed(fine)
