"""How well pages become markdown: ours beside trafilatura's own markdown, on the same pages in the same run.

    python benchmarks/extraction.py FOLDER... [--every N]

A folder with a `ground-truth.json` ({id: {"url", "articleBody"}}, pages beside it as ID.html.gz) is scored by F1 over
4-word shingles, as the article-extraction-benchmark does it. Any other folder is searched for .html files, and what is
counted are their code blocks and data tables that are still code blocks and tables in the markdown.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

import trafilatura
from selectolax.lexbor import LexborHTMLParser, LexborNode

from reader_cli.engine.extract import extract
from reader_cli.engine.tasks import Task

WORDS = 4  # in a shingle
TABLE_KEPT = 0.9  # of its cells


def ours(body: bytes, url: str) -> str:
    return extract(Task(body, "html", None, url)).markdown or ""


def theirs(body: bytes, url: str) -> str:
    return trafilatura.extract(body, url=url, output_format="markdown") or ""


@dataclass
class Score:
    """CPU seconds a page, and one tuple a page of what was found: (precision, recall), or (kept, all) of each kind."""

    seconds: list[float] = field(default_factory=list)
    articles: list[tuple[float, float]] = field(default_factory=list)
    code: list[tuple[int, int]] = field(default_factory=list)
    tables: list[tuple[int, int]] = field(default_factory=list)

    def row(self, name: str) -> str:
        cells = [name, f"{1000 * mean(self.seconds):.1f}", f1(self.articles), kept(self.code), kept(self.tables)]
        return "| " + " | ".join(cells) + " |"


def f1(articles: list[tuple[float, float]]) -> str:
    if not articles:
        return "-"
    precision, recall = (mean(values) for values in zip(*articles, strict=True))
    return f"{2 * precision * recall / (precision + recall):.4f}"


def kept(counts: list[tuple[int, int]]) -> str:
    found, total = sum(some for some, _ in counts), sum(every for _, every in counts)
    return f"{found} of {total} ({found / total:.1%})" if total else "-"


def plain(markdown: str) -> str:
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", " ", markdown)
    text = re.sub(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?:[^()\s]|\([^)]*\))*(?:\s+\"[^\"]*\")?\)", r"\1", text)
    return re.sub(r"[*_`]+", "", re.sub(r"\\([\\`*_{}\[\]()#+\-.!|<>~])", r"\1", text))


def shingles(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    return Counter(tuple(words[start : start + WORDS]) for start in range(max(1, len(words) - WORDS + 1)))


def score_article(markdown: str, truth: str) -> tuple[float, float]:
    found, wanted = shingles(plain(markdown)), shingles(truth)
    common = (found & wanted).total()
    return common / max(1, found.total()), common / max(1, wanted.total())


def letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)


def wanted_blocks(html: str) -> tuple[list[str], list[list[str]]]:
    """The code blocks of a page, and the cells of its data tables: at least two by two, without code or tables."""
    tree = LexborHTMLParser(html)
    for node in tree.css("nav, script, style, button, pre input, .sphinxsidebar, .navheader, .navfooter"):
        node.decompose()
    code = [block for pre in tree.css("pre") for block in blocks_of(pre)]
    tables = []
    for table in tree.css("table:not([role=presentation])"):
        rows = [[letters(cell.text()) for cell in row.css("td, th")] for row in table.css("tr")]
        if len(rows) > 1 and max(map(len, rows)) > 1 and not table.css_first("table table, pre"):
            tables.append([cell for row in rows for cell in row if cell])
    return [text for block in code if (text := letters(block.text()))], tables


def blocks_of(pre: LexborNode) -> list[LexborNode]:
    """Some documentation puts one example in several languages into one block."""
    languages = pre.css("code[class*=language-]")
    return languages if len(languages) > 1 else [pre]


def fences(markdown: str) -> list[str]:
    found: list[str] = []
    inside: list[str] | None = None
    for line in markdown.split("\n"):
        if line.strip(" >").startswith("```"):
            if inside is not None:
                found.append(letters("".join(inside)))
            inside = [] if inside is None else None
        elif inside is not None:
            inside.append(line)
    return found


def score_blocks(markdown: str, html: str, score: Score) -> None:
    code, tables = wanted_blocks(html)
    fenced = fences(markdown)
    rows = letters(plain("\n".join(line for line in markdown.split("\n") if "|" in line)))
    score.code.append((sum(any(block in fence for fence in fenced) for block in code), len(code)))
    whole = sum(sum(cell in rows for cell in cells) >= TABLE_KEPT * len(cells) for cells in tables)
    score.tables.append((whole, len(tables)))


def pages_of(folder: Path, every: int) -> Iterable[tuple[bytes, str, str | None]]:
    """Bytes, URL and the article that a person marked, if one did."""
    truth = folder / "ground-truth.json"
    if truth.exists():
        for name, page in sorted(json.loads(truth.read_text()).items())[::every]:
            yield gzip.decompress((folder / f"{name}.html.gz").read_bytes()), page["url"], page["articleBody"]
    else:
        for file in sorted(folder.rglob("*.html"))[::every]:
            yield file.read_bytes(), file.absolute().as_uri(), None


def measure(function: Callable[[bytes, str], str], page: tuple[bytes, str, str | None], score: Score) -> None:
    body, url, article = page
    started = time.process_time()
    markdown = function(body, url)
    score.seconds.append(time.process_time() - started)
    if article is None:
        score_blocks(markdown, body.decode("utf-8", "replace"), score)
    else:
        score.articles.append(score_article(markdown, article))


def main() -> None:
    parser = argparse.ArgumentParser(description="Scores markdown: ours beside trafilatura's own.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth page only")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    for function in (ours, theirs):
        function(b"<article><p>imports and caches are paid before the clock runs</p></article>", "http://localhost/")
    for folder in options.folders:
        mine, other = Score(), Score()
        for page in pages_of(folder, options.every):
            measure(ours, page, mine)
            measure(theirs, page, other)
        print(f"\n{folder}: {len(mine.seconds)} pages\n")
        print("| | CPU ms a page | F1 | code blocks kept | tables kept |\n|---|---|---|---|---|")
        print(mine.row("reader"), other.row("trafilatura's markdown"), sep="\n", flush=True)


if __name__ == "__main__":
    main()
