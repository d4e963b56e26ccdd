from __future__ import annotations

import pytest

from reader_cli.engine.extract import extract
from reader_cli.engine.faults import PageFault
from reader_cli.engine.tasks import Extracted, Task

PROSE = "<p>The harbour keeps its own clock: boats leave with the tide and come home when the light goes.</p>" * 4
FURNITURE = (
    '<nav><a href="/">Home</a></nav>{}<aside>Most read</aside><div class="share-buttons">Share this</div>'
    '<div id="cookie-banner">We value your privacy</div><footer>© The Harbour</footer>'
)


def read(body: str, head: str = "", **options: object) -> Extracted:
    page = f"<!doctype html><html lang=en-GB><head>{head}</head><body>{body}</body></html>"
    return extract(Task(page.encode(), "html", "utf-8", "http://site.test/dir/page", **options))  # type: ignore[arg-type]


def markdown(body: str, **options: object) -> str:
    return (read(body, **options).markdown or "").strip()


@pytest.mark.parametrize(
    "content",
    [
        f"<article><h1>Clocks</h1>{PROSE}</article>",
        f"<main><h1>Clocks</h1>{PROSE}<pre>tide --now</pre></main>",
        f"<div><h1>Clocks</h1>{PROSE}<pre>tide --now</pre></div>",
        f"<div role=main><h1>Clocks</h1>{PROSE}<dl><dt>ebb<dd>{PROSE}</dl></div>",
    ],
)
def test_the_furniture_of_a_page_is_left_out(content: str) -> None:
    text = markdown(FURNITURE.format(content))
    assert "# Clocks" in text
    assert "The harbour keeps its own clock" in text
    for furniture in ("Home", "Most read", "Share this", "privacy", "©"):
        assert furniture not in text


def test_all_of_the_page_where_that_is_wanted() -> None:
    text = markdown(FURNITURE.format(f"<main>{PROSE}</main>") + "<script>no()</script>", main=False)
    assert "[Home](http://site.test/)" in text
    assert "© The Harbour" in text
    assert "no()" not in text


@pytest.mark.parametrize(
    ("markup", "fence"),
    [
        ("<pre>a\n  b</pre>", "```\na\n  b\n```"),
        ('<pre><code class="language-python">x = 1\n</code></pre>', "```python\nx = 1\n```"),
        (
            '<div class="highlight-rust"><pre><span class="k">fn</span> <a href="#f">f</a>()</pre></div>',
            "```rust\nfn f()\n```",
        ),
        ('<pre class="brush: sql">SELECT<br>1</pre>', "```sql\nSELECT\n1\n```"),
        (
            "<table><tr><td class=linenos><pre>1\n2</pre></td><td class=code><pre>one\ntwo</pre></td></tr></table>",
            "```\none\ntwo\n```",
        ),
        (
            '<pre><code class="language-js">import a</code><code class="language-js">require(a)</code></pre>',
            "```js\nimport a\n```\n\n```js\nrequire(a)\n```",
        ),
        ("<ol><li>one<pre>code\n  in</pre><li>two</ol>", "   ```\n   code\n     in\n   ```"),
        ("<pre>a ``` b</pre>", "````\na ``` b\n````"),
    ],
)
def test_code_blocks(markup: str, fence: str) -> None:
    assert fence in markdown(f"<main>{PROSE}{markup}</main>")


def test_tables() -> None:
    data = "<table><tr><th>Port<th>Tide<tr><td>Łódź | Gdańsk<td><a href='t'>3 m</a></table>"
    text = markdown(f"<main>{PROSE}{data * 6}</main>")
    assert "| Port | Tide |\n| --- | --- |\n| Łódź \\| Gdańsk | [3 m](http://site.test/dir/t) |" in text


def test_tables_that_are_only_layout_are_unfolded() -> None:
    inner = "<table><tr><th>a<th>b<tr><td>1<td>2</table>"
    page = f"<table><tr><td>menu<td><h1>Title</h1>{PROSE}{inner}after</td></tr></table>"
    text = markdown(page, main=False)
    assert "# Title\n\nThe harbour" in text
    assert "| a | b |\n| --- | --- |\n| 1 | 2 |\n\nafter" in text


def test_links_are_absolute_and_headings_do_not_link_to_themselves() -> None:
    found = read(
        f'<main><h2>Part<a class="headerlink" href="#part">¶</a></h2>{PROSE}<p><a href="../up?q=1">up</a>'
        '<img src="i.png" alt="map"></p><a href="mailto:x@y">mail</a><a href="../up?q=1#there">again</a>'
        "<pre>x</pre></main>",
        head='<base href="/base/dir/">',
    )
    assert "## Part\n" in (found.markdown or "")
    assert "[up](http://site.test/base/up?q=1)" in (found.markdown or "")
    assert "![map](http://site.test/base/dir/i.png)" in (found.markdown or "")
    assert found.links == ["http://site.test/base/dir/", "http://site.test/base/up?q=1"]


def test_what_a_page_says_of_itself() -> None:
    found = read(
        PROSE,
        head="<title> Tides\n of  Ys </title><meta name=Description content='When to sail'>"
        "<link rel=canonical href='/tides'>",
    )
    assert (found.title, found.description, found.language) == ("Tides of Ys", "When to sail", "en-GB")
    assert found.canonical == "http://site.test/tides"
    assert read("<h1>Only <i>this</i></h1>").title == "Only this"


def test_selectors() -> None:
    page = '<div id="a">first<div class="b">inner</div></div><p class="b">second</p><p>third</p>'
    assert markdown(page, include=(".b",)) == "inner\n\nsecond"
    assert markdown(page, include=("#a", ".b")) == "first\n\ninner\n\nsecond"
    assert markdown(page, exclude=(".b", "p"), main=False) == "first"
    with pytest.raises(PageFault, match=r"no element matches \.c, \.d"):
        read(page, include=(".c", ".d"))
    for selector in ("p[", "::", "a >"):
        with pytest.raises(PageFault, match="not a CSS selector"):
            read(page, exclude=(selector,))


def test_html_is_the_cleaned_content() -> None:
    found = read(FURNITURE.format(f"<main>{PROSE}<a href=x>x</a><pre>1</pre></main>"), formats=("html",))
    assert found.markdown is None
    assert found.html is not None
    assert "<nav" not in found.html
    assert 'href="http://site.test/dir/x"' in found.html


@pytest.mark.parametrize(
    "text", ["日本語の文章がここにあります。", "نص عربي هنا", "हिन्दी में लेख", "Ελληνικό κείμενο", "🐚🌊"]
)
def test_every_script_survives(text: str) -> None:
    article = f"<article><h1>{text}</h1>{PROSE}<p>{text * 10}</p></article>"
    assert text * 10 in markdown(article)
    assert text * 10 in markdown(article + "<pre>x</pre>")


@pytest.mark.parametrize("body", ["", " ", "<p>", "\x00", "<frameset><frame src=a>", "<!--", "</html>text after"])
def test_pages_with_next_to_nothing(body: str) -> None:
    assert len(markdown(body)) < 20
