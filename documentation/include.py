"""Parts of the repository's pages in the pages of the site, so that every fact is written once.

mkdocs.yml names this file as a hook. A line ``<!-- include README.md#your-graph -->`` becomes the
text below that heading, and without ``#`` the text below the page's title. With ``introduction``
instead of ``include`` it becomes that text up to the first heading in it. Links lead to the page
of the site that has their target; the text of a link to a file that the site does not have is kept
without the link.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
SITE = ROOT / "documentation"
DIRECTIVE = re.compile(r"^<!-- (include|introduction) ([^\s#]+)(?:#(\S+))? -->$", re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:!\[[^\]]*\]\([^)]*\)|[^\[\]])*)\]\((<[^>]*>|[^)\s]*)\)")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


class Heading(NamedTuple):
    """A heading of a page: the number of its line, its level and its anchor."""

    line: int
    level: int
    anchor: str


def headings(lines: list[str]) -> Iterator[Heading]:
    """The headings of a page, without comments in its code."""
    in_code = False
    for number, line in enumerate(lines):
        in_code ^= line.startswith("```")
        if not in_code and (found := re.match(r"(#+) (.+)", line)):
            yield Heading(number, len(found[1]), anchor_of(found[2]))


def anchor_of(heading: str) -> str:
    """The anchor that this site and viewers of Markdown give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


class Part(NamedTuple):
    """What a directive includes: the lines, and the anchors of the headings that they had."""

    lines: list[str]
    anchors: list[str]


def part(kind: str, name: str, anchor: str) -> Part:
    """The text that a directive includes; its highest headings get level 2."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = list(headings(lines))
    matching = [i for i, each in enumerate(found) if each.anchor == anchor or not anchor]
    if not matching:
        raise ValueError(f"{name} has no heading #{anchor}")
    first, *later = found[matching[0] :]
    level = 6 if kind == "introduction" else first.level
    end = next((each.line for each in later if each.level <= level), len(lines))
    inner = [each for each in later if each.line < end]
    for each in inner:
        lines[each.line] = "#" * (each.level - first.level + 1) + lines[each.line].lstrip("#")
    return Part(lines[first.line + 1 : end], [first.anchor, *(each.anchor for each in inner)])


def homes() -> dict[tuple[str, str], str]:
    """The page of the site that has a heading, by the heading's page and anchor."""
    found: dict[tuple[str, str], str] = {}
    for page in sorted(SITE.rglob("*.md")):
        for kind, name, anchor in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            included = part(kind, name, anchor)
            place = page.relative_to(SITE).as_posix()
            if not anchor and kind == "include":
                found[name, ""] = place
            found |= {(name, each): f"{place}#{each}" for each in included.anchors}
    return found


def with_links(text: str, name: str, page: str) -> str:
    """The text of a file with its links leading from a page of the site."""
    places = homes()

    def link(match: re.Match[str]) -> str:
        image, words, target = match[1], match[2], match[3].strip("<>")
        words = LINK.sub(link, words)
        if "://" in target:
            return f"{image}[{words}]({target})"
        path, _, anchor = target.partition("#")
        path = normpath((PurePosixPath(name).parent / path).as_posix()) if path else name
        place = path if path.endswith(".png") else places.get((path, anchor))
        if place is None:
            return words
        return f"{image}[{words}]({relpath(place, PurePosixPath(page).parent.as_posix())})"

    pieces, end = [], 0
    for code in FENCED.finditer(text):
        pieces += [LINK.sub(link, text[end : code.start()]), code[0]]
        end = code.end()
    return "".join(pieces) + LINK.sub(link, text[end:])


def expanded(markdown: str, page: str) -> str:
    """The text of a page of the site, its directives replaced by what they include."""

    def include(match: re.Match[str]) -> str:
        kind, name, anchor = match[1], match[2], match[3] or ""
        included = part(kind, name, anchor)
        text = with_links("\n".join(included.lines), name, page)
        return f'<a id="{included.anchors[0]}"></a>\n\n{text.strip()}\n'

    return DIRECTIVE.sub(include, markdown)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the figures of the published report."""
    for figure in sorted((ROOT / "docs").rglob("*.png")):
        path = figure.relative_to(ROOT).as_posix()
        files.append(File(path, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the directives of a page."""
    return expanded(markdown, page.file.src_uri)
