"""From a page's bytes to markdown. Runs in a worker process: nothing here waits for anything.

Articles go through trafilatura, which knows their boilerplate best. Pages with code blocks, pages that are mostly
tables, and pages too large for it are stripped by rule and converted as they are, because it drops code and tables and
takes minutes on 100,000 paragraphs. Measured by benchmarks/extraction.py.
"""

from __future__ import annotations

import html
import re

from html_to_markdown import ConversionOptions, PreprocessingOptions, convert
from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from reader_cli.engine import content
from reader_cli.engine.charset import decode
from reader_cli.engine.faults import PageFault
from reader_cli.engine.tasks import Extracted, Task
from reader_cli.models import ErrorCode

LARGE = 1_000_000  # characters of HTML, scripts aside: trafilatura needs a second for them
MANY = 5_000  # blocks; its time grows with their square
BLOCKS = "p, div, li, tr, br, table"
SHORT = 200  # characters; an article with less was probably not found
REFERENCE = 0.1  # of the text in tables and definition lists: from here on they are what the page is about

MARKDOWN = ConversionOptions(
    extract_metadata=False,
    compact_tables=True,
    autolinks=False,
    preprocessing=PreprocessingOptions(enabled=False),  # what is left out has been decided here
)

QUOTE = re.compile(r"</?q\b[^>]*>", re.IGNORECASE)  # trafilatura makes a block of it
# XHTML may close these in one tag; the HTML parser would take the rest of the page for their content.
SELF_CLOSED = re.compile(r"<(a|div|iframe|p|script|span|style|textarea|title)\b([^<>]*)/>", re.IGNORECASE)


def extract(task: Task) -> Extracted:
    """Raises PageFault for selectors that are not CSS, or that match nothing."""
    text = decode(task.body, task.charset)
    if task.kind == "text":
        return _formatted(task, Extracted(), text, f"<pre>{html.escape(text)}</pre>")
    if task.kind == "xhtml":
        text = SELF_CLOSED.sub(r"<\1\2></\1>", text)
    tree = LexborHTMLParser(text)
    base = content.base_url(tree, task.url)
    result = Extracted(**content.head(tree, base), links=content.links(tree, base), hollow=content.is_hollow(tree))
    main = _chosen(task, tree, text)
    content.mend_links(main, base)
    return _formatted(task, result, _markdown(main), main.html or "")


def _markdown(node: LexborNode) -> str:
    """Falls back to the bare text where elements are nested too deep to convert."""
    return convert(node.html or "", MARKDOWN).content or node.text(separator=" ").strip()


def _formatted(task: Task, result: Extracted, markdown: str, markup: str) -> Extracted:
    result.markdown = markdown if "markdown" in task.formats else None
    result.html = markup if "html" in task.formats else None
    return result


def _chosen(task: Task, tree: LexborHTMLParser, text: str) -> LexborNode:
    """What the page is read for: the elements that were asked for, its main content, or all of it."""
    for selector in task.exclude:
        content.drop(_matches(tree, selector))
    wanted = [node for selector in task.include for node in _matches(tree, selector)]
    if task.include and not wanted:
        raise PageFault(ErrorCode.INVALID_REQUEST, f"no element matches {', '.join(task.include)}")
    if wanted:
        return content.tidy(content.joined(wanted))
    if not task.main:
        return content.tidy(content.body(tree))
    return _main(tree, (tree.html or "") if task.exclude else text)


def _matches(tree: LexborHTMLParser, selector: str) -> list[LexborNode]:
    try:
        return tree.css(selector)
    except (SelectolaxError, ValueError) as error:
        raise PageFault(ErrorCode.INVALID_REQUEST, f"not a CSS selector: {selector}") from error


def _main(tree: LexborHTMLParser, text: str) -> LexborNode:
    if len(text) > LARGE:
        content.drop(tree.css("script, style, svg"))
        text = tree.html or ""
    if len(text) < LARGE and not tree.css_first("pre") and len(tree.css(BLOCKS)) < MANY:
        container = None
        if tree.css_first("th, dl"):
            container = content.container(tree)
            if container.tag != "body" and content.reference_share(container) > REFERENCE:
                return container
        article = _article(text)
        if len(article.text()) >= SHORT:
            return article
        return max(article, container or content.container(tree), key=lambda node: len(node.text()))
    return content.container(tree)


def _article(text: str) -> LexborNode:
    import trafilatura

    found = trafilatura.extract(
        QUOTE.sub('"', text),
        output_format="html",
        fast=True,
        include_comments=False,
        include_links=True,
        include_formatting=True,
    )
    return content.body(LexborHTMLParser(found or ""))
