from __future__ import annotations

import csv
import gzip
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reader_cli.errors import UsageError
from reader_cli.inputs import FORMATS, InputResult, read_inputs
from reader_cli.inputs.urls import clean_url


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # the same bytes in every process: they become the names of tests


def read(data: bytes | str = b"", form: str = "lines", **options: Any) -> InputResult:
    data = data.encode() if isinstance(data, str) else data
    return read_inputs([], ["-"], stdin=io.BytesIO(data), input_format=form, **options)


def urls(result: InputResult) -> list[str]:
    return [item.url for item in result.items]


def refusal(data: bytes | str = b"", form: str = "lines", **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        read(data, form, **options)
    return caught.value.message


# Lines


def test_lines_without_comments_blanks_bom_and_carriage_returns() -> None:
    result = read("\ufeffhttps://a.example/1\r\n\r\n# no\r\n  https://a.example/2#part  \nhttps://a.example/3")
    assert urls(result) == ["https://a.example/1", "https://a.example/2#part", "https://a.example/3"]
    assert [(item.source, item.line, item.record) for item in result.items][1] == ("-", 4, None)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("example.com", "https://example.com"),
        ("example.com/a?b", "https://example.com/a?b"),
        ("example.com:8443/a", "https://example.com:8443/a"),
        ("//example.com/a", "https://example.com/a"),
        ("localhost", "http://localhost"),
        ("localhost:8000/x", "http://localhost:8000/x"),
        ("api.localhost:8000", "http://api.localhost:8000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000/x", "http://[::1]:8000/x"),
        ("[2001:db8::1]/x", "https://[2001:db8::1]/x"),
        ("192.168.0.1", "https://192.168.0.1"),
        ("intranet:8080", "https://intranet:8080"),
        ("http://intranet/x", "http://intranet/x"),
        ("HTTPS://Example.COM/A", "HTTPS://Example.COM/A"),
        ("http://user:pa:ss@example.com/", "http://user:pa:ss@example.com/"),
        ("münchen.de/straße", "https://münchen.de/straße"),
        ("https://例え.テスト/", "https://例え.テスト/"),
    ],
)
def test_what_is_sent_is_what_was_written_and_a_scheme(written: str, sent: str) -> None:
    assert urls(read(written)) == [sent]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("https://a.example/a b", "contains a space"),
        ("https://a.example/\xa0", "contains a space"),
        ("https://a.example/\x1b[31m", "contains a control"),
        ("https://a.example/\u202e", "contains a control"),
        ("ftp://a.example/", "scheme other than"),
        ("mailto:joe@a.example", "scheme other than"),
        ("javascript:alert(1)", "scheme other than"),
        ("file:///etc/passwd", "scheme other than"),
        ("http:/a.example", "scheme other than"),
        ("joe@a.example", "is not a URL"),
        ("hello", "is not a URL"),
        ("/etc/passwd", "is not a URL"),
        ("https://", "no valid host name"),
        ("https://a..example/", "no valid host name"),
        ("https://a%2eexample/", "no valid host name"),
        ('"https://a.example/"', "no valid host name"),
        ("https://a.example:70000/", "port above"),
        ("https://a.example:port/", "is not a URL"),
        ("https://[::z]/", "IPv6"),
        ('{"url": "https://a.example/"}', "--input-format jsonl"),
    ],
)
def test_what_is_no_url(written: str, reason: str) -> None:
    message = refusal(f"https://a.example/\n{written}x\n" if written.endswith("\xa0") else f"# x\n{written}\n")
    assert reason in message and "standard input, line 2" in message
    assert message.replace("\n", "").isprintable()


def test_a_line_that_is_not_utf8_is_a_bad_line() -> None:
    data = b"https://a.example/\xff\nhttps://a.example/2\n"
    assert "line 1 is not UTF-8 text" in refusal(data)
    result = read(data, skip_invalid=True)
    assert urls(result) == ["https://a.example/2"] and len(result.skipped) == 1


def test_bad_lines_are_told_ten_at_a_time() -> None:
    message = refusal("\n".join(["https://a.example/", *(f"bad {number}" for number in range(25))]))
    assert "line 11 " in message and "line 12 " not in message and "and 15 more" in message


def test_spellings_of_one_url_are_duplicates() -> None:
    same = ["https://a.example", "https://a.example/", "HTTPS://A.EXAMPLE:443/#", "a.example", "https://a.example:/"]
    other = ["http://a.example/", "https://a.example/A", "https://a.example/a", "https://a.example/#a"]
    result = read("\n".join([*same, *other]))
    assert urls(result) == ["https://a.example", *other] and result.duplicates == 4
    assert len(read("\n".join([*same, *other]), keep_duplicates=True).items) == 9
    assert read("münchen.de\nxn--mnchen-3ya.de\nMÜNCHEN.de").duplicates == 2


@settings(deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"(https?://)?[\w.\[\]:@-]{0,30}([/?#]\S{0,20})?", fullmatch=True))
@example("https://a.example:00080/")
@example("https://[::ffff:1.2.3.4]/")
def test_a_url_that_passes_once_passes_again_the_same(text: str) -> None:
    try:
        url, identity = clean_url(text)
    except ValueError as error:
        assert str(error)
        return
    assert url.endswith(text.removeprefix("//")) and clean_url(url) == (url, identity)
    assert clean_url(identity)[1] == identity


# Arguments


def test_arguments_files_and_standard_input_together(tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("id,url\n7,b.example\n")
    result = read_inputs(["a.example", "-"], [str(tmp_path / "more.csv")], stdin=io.BytesIO(b"c.example\na.example\n"))
    assert urls(result) == ["https://a.example", "https://b.example", "https://c.example"]
    assert [item.source for item in result.items] == ["args", str(tmp_path / "more.csv"), "-"]
    assert result.items[1].record == {"id": "7"} and result.duplicates == 1


def test_a_file_given_for_a_url_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("urls.txt").write_text("https://a.example/\n")
    with pytest.raises(UsageError) as caught:
        read_inputs(["urls.txt"], [], stdin=io.BytesIO())
    assert "-f" in caught.value.hint
    assert urls(read_inputs(["https://urls.txt"], [], stdin=io.BytesIO())) == ["https://urls.txt"]
    with pytest.raises(UsageError, match="argument 2 contains a space"):
        read_inputs(["a.example", "b c"], [], stdin=io.BytesIO())


def test_standard_input_is_read_once() -> None:
    with pytest.raises(UsageError, match="only once"):
        read_inputs(["-"], ["-"], stdin=io.BytesIO())


# Files that cannot be lists


@pytest.mark.parametrize("form", ["lines", "csv", "jsonl"])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("https://a.example/".encode("utf-16"), "UTF-16"),
        (b"url\0x", "NUL"),
        (packed(b"a.example"), "compressed"),
        (b"x" * (3 << 20), "longer than 1 MiB"),
    ],
)
def test_what_is_no_text_is_refused_whatever_is_skipped(data: bytes, reason: str, form: str) -> None:
    assert reason in refusal(data, form, skip_invalid=True)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name, reason in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file")):
        with pytest.raises(UsageError, match=reason):
            read_inputs([], [str(name)], stdin=io.BytesIO())
    with pytest.raises(UsageError, match="not an input format"):
        read(form="yaml")


@settings(deadline=None)
@given(st.sampled_from(FORMATS), st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.booleans())
def test_any_bytes_are_read_or_refused_in_one_printable_message(form: str, data: bytes, skip: bool) -> None:
    try:
        result = read(data, form, skip_invalid=skip)
    except UsageError as error:
        assert error.message.replace("\n", "").isprintable()
    else:
        assert skip or not result.skipped
        json.dumps([item.record for item in result.items], allow_nan=False).encode()


# Tables and JSON lines

cells = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=12)
names = st.lists(cells.map(str.strip).filter(lambda name: name and name.lower() != "url"), unique=True, max_size=4)


@settings(deadline=None)
@given(names, st.lists(st.lists(cells, min_size=4, max_size=4), max_size=6), st.sampled_from(["csv", "tsv"]), st.data())
def test_a_table_comes_back_as_it_was_written(
    header: list[str], rows: list[list[str]], form: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(header)))
    out = io.StringIO()
    # quoted throughout, so that the reader does not take a lone `;` in the header for the delimiter
    writer = csv.writer(out, delimiter="," if form == "csv" else "\t", quoting=csv.QUOTE_ALL)
    writer.writerow([*header[:at], "url", *header[at:], "last"])
    for number, row in enumerate(rows):
        cut = row[: len(header)]
        writer.writerow([*cut[:at], f"https://a.example/{number}", *cut[at:], "end"])
    result = read(out.getvalue(), form)
    assert urls(result) == [f"https://a.example/{number}" for number in range(len(rows))]
    wanted = [name if name not in header[:i] else f"{name}_{i}" for i, name in enumerate(header)]
    for item, row in zip(result.items, rows, strict=True):
        assert item.record is not None
        assert list(item.record.values()) == [*row[: len(header)], "end"]
        assert set(wanted) <= set(item.record) or "last" in header


def test_tables_of_all_kinds() -> None:
    assert [item.record for item in read("id;URL\n1;a.example\n", "csv").items] == [{"id": "1"}]
    assert urls(read("link,id\na.example,1\n", "csv", url_column="link")) == ["https://a.example"]
    assert urls(read("URL,x\n,\na.example,1\n\n", "csv")) == ["https://a.example"]
    assert read("url,,note,note\na.example,1,2,3\n", "csv").items[0].record == {
        "column_2": "1",
        "note": "2",
        "note_4": "3",
    }
    assert read("url,note\na.example\n", "csv").items[0].record == {}
    assert read("", "csv").items == []


def test_bad_rows_are_told_by_the_line_on_which_they_begin() -> None:
    table = 'url,note\na.example,"x\ny"\nb c,\n,z\nd.example,1,2\n'
    message = refusal(table, "csv")
    assert "line 4 contains a space" in message
    assert "line 5 has nothing under 'url'" in message
    assert "line 6 has 3 cells, the header 2" in message
    assert urls(read(table, "csv", skip_invalid=True)) == ["https://a.example"]
    assert "no column 'url', it has 'link'" in refusal("link\na.example\n", "csv")
    assert "line 3 is not a row of the table: a quote is never closed" in refusal('url\na.example\n"b\nc\nd', "csv")
    assert "a quote is never closed" in refusal('url\n"b\n' + "x\n" * 2_000_000, "csv")
    assert "line 2 is not UTF-8" in refusal(b"url,note\na.example,\xe9\n", "csv")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text().filter(lambda key: key != "url"), values, max_size=3), max_size=5))
def test_json_lines_come_back_as_they_were_written(records: list[dict[str, Any]]) -> None:
    lines = [json.dumps({"url": f"https://a.example/{i}", **record}) for i, record in enumerate(records)]
    result = read("\n".join(lines), "jsonl")
    assert [item.record for item in result.items] == records


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON"),
        ("[1]", "not a JSON object"),
        ('{"link": "a.example"}', "no string under the key 'url'"),
        ('{"url": 3}', "no string under the key 'url'"),
        ('{"url": "a.example", "x": NaN}', "NaN"),
        ('{"url": "a.example", "x": 1e999}', "beyond"),
        ('{"url": "a.example", "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"url": "a.example", "x": ' + "9" * 5000 + "}", "cannot be kept"),
    ],
)
def test_json_lines_that_are_none(line: str, reason: str) -> None:
    assert reason in refusal(f'{{"url": "ok.example"}}\n{line}\n', "jsonl")


# Sitemaps

NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def sitemap(*locs: str, index: bool = False) -> bytes:
    root, entry = ("sitemapindex", "sitemap") if index else ("urlset", "url")
    body = "".join(f"<{entry}>\n<loc> {loc} </loc><lastmod>2026</lastmod></{entry}>" for loc in locs)
    return f'<?xml version="1.0" encoding="UTF-8"?><{root} {NAMESPACE}>{body}</{root}>'.encode()


def site(pages: dict[str, bytes], block: int = 7) -> Any:
    def fetch(url: str) -> Iterator[bytes]:
        body = pages[url]
        yield from (body[at : at + block] for at in range(0, len(body), block))

    return fetch


def test_an_index_is_followed_through_files_packed_or_not_each_once() -> None:
    pages = {
        "https://a.example/index.xml": sitemap(
            "https://a.example/1.xml.gz", "https://a.example/2.xml", "https://a.example/index.xml", index=True
        ),
        "https://a.example/1.xml.gz": packed(sitemap("https://a.example/x?a=1&amp;b=2", "https://a.example/y")),
        "https://a.example/2.xml": sitemap("https://a.example/y", "https://a.example/z"),
    }
    result = read_inputs([], [], sitemaps=["https://a.example/index.xml"], stdin=io.BytesIO(), fetch=site(pages))
    assert urls(result) == ["https://a.example/x?a=1&b=2", "https://a.example/y", "https://a.example/z"]
    assert (result.items[2].source, result.items[2].line, result.duplicates) == ("https://a.example/2.xml", 3, 1)


def test_a_local_sitemap_by_suffix_and_by_option(tmp_path: Path) -> None:
    images = b'<image:image xmlns:image="i"><image:loc>https://a.example/i.png</image:loc></image:image>'
    data = sitemap("https://a.example/1", "a b").replace(b"<lastmod>", images + b"<lastmod>", 1)
    (tmp_path / "s.xml.gz").write_bytes(packed(data))
    for options in ({"files": [str(tmp_path / "s.xml.gz")]}, {"files": [], "sitemaps": [str(tmp_path / "s.xml.gz")]}):
        result = read_inputs([], stdin=io.BytesIO(), skip_invalid=True, **options)  # type: ignore[arg-type]
        assert urls(result) == ["https://a.example/1"] and result.skipped[0].reason == "contains a space"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><urlset><url><loc>&a;</loc></url></urlset>', "DOCTYPE"),
        (b"<html></html>", "its root is <html>"),
        (sitemap("a.example")[:-9], "not a sitemap"),
        (packed(sitemap("a.example"))[:-9], "cannot be unpacked"),
        (b"\x1f\x8bnonsense", "cannot be unpacked"),
        (b"<urlset>" * 100, "nested too deeply"),
        (sitemap("https://a.example/" + "x" * 20_000), "longer than"),
        (packed(b"<urlset>" + b" " * (120 << 20)), "larger than 100 MiB"),
    ],
)
def test_what_is_no_sitemap(data: bytes, reason: str) -> None:
    assert reason in refusal(data, "sitemap", skip_invalid=True)


def test_an_index_that_grows_for_ever_is_given_up() -> None:
    def fetch(url: str) -> Iterator[bytes]:
        yield sitemap(url + "1", index=True)

    with pytest.raises(UsageError, match="too deep"):
        read_inputs([], [], sitemaps=["https://a.example/"], stdin=io.BytesIO(), fetch=fetch)


# Size


def test_a_list_is_read_from_a_pipe_as_it_comes_in_little_memory(tmp_path: Path) -> None:
    """30,000 lines through a named pipe; what is kept is the items, not the file."""
    import tracemalloc

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    lines = b"".join(b"https://a.example/page/%d\n" % number for number in range(30_000))
    threading.Thread(target=pipe.write_bytes, args=(lines,), daemon=True).start()
    tracemalloc.start()
    try:
        result = read_inputs([], [str(pipe)], stdin=io.BytesIO())
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(result.items) == 30_000 and kept / 30_000 < 300 and peak / 30_000 < 600
