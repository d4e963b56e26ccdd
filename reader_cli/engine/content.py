"""What a page says about itself, and where its content is: rules over the parsed page.

Every function takes nodes of one tree and may change that tree.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

INVISIBLE = (
    "script, style, template, noscript, iframe, object, embed, svg, canvas, button, input, select, textarea, dialog,"
    " [hidden], td.linenos, td.gutter"
)
ANCHORS = frozenset("¶#§🔗")  # what links from a heading to itself show
FURNITURE = (
    "nav, footer, form, aside:not([class*=footnote]):not([class*=admonition]):not([role^=doc-]), [role=navigation],"
    " [role=banner], [role=contentinfo], [role=complementary], [role=search], [role=dialog]"
)
NAMEABLE = "div, section, ul, ol, table, header, p"
# Class names and ids that mark furniture: a whole name, with the usual prefixes and suffixes. Anything looser takes
# a chapter whose id is "logical-replication-subscription" for an advertisement.
FURNITURE_NAME = re.compile(
    r"(?:(?:site|page|main|global|top|bottom|left|right|primary|secondary|sub|post|entry|article|js|c|l|o)[-_]{0,2})?"
    r"(?:nav(?:bar|header|footer|igation|links)?|menu|side-?bar|sphinxsidebar|breadcrumbs?|footer|masthead|cookies?"
    r"|consent|gdpr|shar(?:e|ing)|social|related|recommend(?:ed|ations)|advert(?:s|isement)?|ads?|promos?|newsletter"
    r"|subscribe|pagination|pager|skip-?(?:link|to-content)|comments?|disqus|popup|modal|sponsor(?:s|ed)?)"
    r"(?:[-_]{1,2}(?:wrapper|container|content|inner|outer|list|links?|bar|block|section|area|box|buttons?|icons?"
    r"|posts?|articles?|stories|items?|menu|nav|thread|widget|form|banner|notice|\d+))*"
    r"|(?:site|page|global)[-_]header",
    re.IGNORECASE,
)
MOST_LINKS = 5000
WEB = ("http://", "https://")
CONTAINERS = ("main", "[role=main]", "article")
DENSE = 0.4  # of the page's text: a container with less is not all of its content

LITTLE = 200  # characters of text; a page with scripts and less than this may be an empty shell
# Where the well-known frameworks put what they make.
APP = "#root, #app, #__next, #__nuxt, #___gatsby, #svelte, #q-app, app-root, [ng-app], [data-reactroot], [data-v-app]"

LANGUAGE = re.compile(r"(?:^|\s)(?:lang(?:uage)?|highlight|brush:?)[-: ]\s*([\w+#.-]+)")
TABLE_PARTS = ("thead", "tbody", "tfoot", "tr", "td", "th", "caption")


def base_url(tree: LexborHTMLParser, url: str) -> str:
    base = tree.css_first("base[href]")
    return _join(url, base.attributes["href"]) or url if base else url


def head(tree: LexborHTMLParser, base: str) -> dict[str, Any]:
    """`title`, `description`, `language`, `canonical`; None where the page doesn't say."""
    root = tree.root
    canonical = tree.css_first("link[rel=canonical][href]")
    return {
        "title": _text(tree, "title") or _meta(tree, "og:title") or _text(tree, "h1"),
        "description": _meta(tree, "description") or _meta(tree, "og:description"),
        "language": ((root.attributes.get("lang") if root else None) or _meta(tree, "og:locale") or "").strip() or None,
        "canonical": _join(base, canonical.attributes["href"]) if canonical else None,
    }


def links(tree: LexborHTMLParser, base: str) -> list[str]:
    """The first of the page's http(s) links, absolute, without fragments, each once, in order."""
    found = (_join(base, node.attributes["href"]) for node in tree.css("a[href], area[href]")[:MOST_LINKS])
    return list(dict.fromkeys(link.partition("#")[0] for link in found if link))


def is_hollow(tree: LexborHTMLParser) -> bool:
    """Whether it is an application's shell: scripts, hardly any text, and a place for content or a word about
    JavaScript for those without."""
    page = tree.body
    if page is None or tree.css_first("script") is None:
        return False
    unseen = sum(len(node.text()) for node in page.css("script, style, noscript, template"))
    if len(page.text()) - unseen - page.text().count("\n") >= LITTLE:
        return False
    notes = " ".join(node.text() for node in tree.css("noscript")).lower()
    return tree.css_first(APP) is not None or "javascript" in notes


def mend_links(node: LexborNode, base: str) -> None:
    """Makes links absolute, and drops those with which headings link to themselves."""
    drop(link for link in node.css("a") if link.text().strip() in ANCHORS)
    for attribute in ("href", "src"):
        for linked in node.css(f"[{attribute}]"):
            value = linked.attributes[attribute]
            if value and not value.startswith("data:"):
                linked.attrs[attribute] = _join(base, value) or value


def body(tree: LexborHTMLParser) -> LexborNode:
    found = tree.body or tree.root or LexborHTMLParser("<p>").body
    assert found is not None
    return found


def drop(nodes: Iterable[LexborNode]) -> None:
    for node in nodes:
        node.decompose()


def joined(nodes: list[LexborNode]) -> LexborNode:
    """One node that holds these, each once."""
    outermost = {node.mem_id: node for node in nodes if not any(_within(node, other) for other in nodes)}
    return body(LexborHTMLParser("".join(node.html or "" for node in outermost.values())))


def container(tree: LexborHTMLParser) -> LexborNode:
    """The element that holds the content, tidied and without the page's furniture."""
    page = body(tree)
    drop(page.css(INVISIBLE))
    _strip_furniture(page)
    total = len(page.text().strip())
    candidates = (tree.css(selector) for selector in CONTAINERS)
    dense = (found[0] for found in candidates if len(found) == 1 and len(found[0].text()) >= DENSE * total)
    return tidy(next(dense, page))


def reference_share(node: LexborNode) -> float:
    """How much of the text is in tables and definition lists."""
    return sum(len(found.text()) for found in node.css("table, dl")) / max(1, len(node.text()))


def tidy(node: LexborNode) -> LexborNode:
    """Drops what nobody sees, unfolds tables that are only layout, and makes code blocks plain text."""
    drop(node.css(INVISIBLE))
    for table in node.css("table"):
        if _is_layout(table):
            _unfold(table)
    for pre in node.css("pre"):
        tabs = pre.css("code[class*=language-]")
        pre.replace_with(_new(f"<div>{''.join(map(_code, tabs if len(tabs) > 1 else [pre]))}</div>"))
    return node


def _strip_furniture(page: LexborNode) -> None:
    """Whatever holds half of the text, or code, is content, whatever it is called."""
    most = len(page.text()) / 2
    drop(node for node in page.css(FURNITURE) if _is_spare(node, most))
    for node in page.css("header"):
        if not any(parent.tag in ("main", "article") for parent in _ancestors(node)):
            node.decompose()
    for node in page.css(NAMEABLE):
        names = f"{node.attributes.get('class') or ''} {node.attributes.get('id') or ''}".split()
        if any(map(FURNITURE_NAME.fullmatch, names)) and _is_spare(node, most):
            node.decompose()


def _is_spare(node: LexborNode, most: float) -> bool:
    return len(node.text()) < most and node.css_first("pre") is None


def _is_layout(table: LexborNode) -> bool:
    return (
        table.attributes.get("role") in ("presentation", "none")
        or table.css_first("table table, pre, h1, h2, h3") is not None
        or table.css_first("td:nth-child(2), th:nth-child(2)") is None
    )


def _unfold(table: LexborNode) -> None:
    """Puts what is in the cells where the table was, each cell in a block of its own. Tables in them stay."""
    parts, look_at = [table], [table]
    while look_at:
        found = [child for child in look_at.pop().iter() if child.tag in TABLE_PARTS]
        parts += found
        look_at += found
    for part in parts:
        part.insert_before(_new("<div></div>"))
        part.unwrap(delete_empty=True)


def _code(node: LexborNode) -> str:
    for line_break in node.css("br"):
        line_break.replace_with("\n")
    return f'<pre><code class="language-{_language(node)}">{html.escape(node.text())}</code></pre>'


def _language(node: LexborNode) -> str:
    classes = (one.attributes.get("class") or "" for one in (node, *node.css("code"), *_ancestors(node)))
    return next((found[1] for name in classes if (found := LANGUAGE.search(name))), "")


def _new(markup: str) -> LexborNode:
    node = LexborHTMLParser(markup).css_first("body > *")
    assert node is not None
    return node


def _ancestors(node: LexborNode) -> Iterable[LexborNode]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def _within(node: LexborNode, other: LexborNode) -> bool:
    return any(parent.mem_id == other.mem_id for parent in _ancestors(node))


@functools.lru_cache(maxsize=10_000)
def _join(base: str, link: str | None) -> str | None:
    """`link` as an absolute http(s) URL, None for anything else."""
    try:
        url = urljoin(base, (link or "").strip())
    except ValueError:
        return None
    return url if url.startswith(WEB) else None


def _meta(tree: LexborHTMLParser, name: str) -> str | None:
    found = tree.css_first(f'meta[name="{name}" i], meta[property="{name}" i]')
    return " ".join((found.attributes.get("content") or "").split()) or None if found else None


def _text(tree: LexborHTMLParser, selector: str) -> str | None:
    found = tree.css_first(selector)
    return " ".join(found.text().split()) or None if found else None
