"""report.html: one file with its figures inside, for any screen, light or dark."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from reproduction.evidence import Finding
from reproduction.report import (
    CHECK_HEADS,
    DIFFERENCES_TITLE,
    NOTE,
    PAPER,
    TITLE,
    Report,
    check_rows,
    command_rows,
    commands_of,
    not_run,
)

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5c636b; --page: #fff; --card: #f4f6f8;
  --line: #d9dee3; --yes: #00694a; --no: #b3261e; --open: #7a5200; --link: #005a9c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ea; --soft: #a2abb4; --page: #14171a; --card: #1e2327; --line: #363d44;
    --yes: #4fd1a5; --no: #ff8a80; --open: #ffc766; --link: #7cc0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; color: var(--ink);
  background: var(--page); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { margin-top: 3rem; }
a { color: var(--link); }
p { max-width: 46rem; } .soft, th { color: var(--soft); }
code { font: 0.85em ui-monospace, monospace; background: var(--card); padding: 0.1em 0.3em;
  border-radius: 4px; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: 0.93rem; }
th, td { text-align: left; vertical-align: top; padding: 0.45rem 0.6rem;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; white-space: nowrap; }
.claims td:first-child, .claims td:nth-child(5), .claims td:nth-child(7) { white-space: nowrap; }
.short th, .short td { width: 50%; } .short { max-width: 46rem; }
.holds { color: var(--yes); font-weight: 600; } .fails { color: var(--no); font-weight: 600; }
.open { color: var(--open); font-weight: 600; }
section { margin-top: 2rem; padding: 0.2rem 1rem 1rem; background: var(--card);
  border-radius: 10px; }
section code { background: var(--page); }
img { display: block; width: 100%; max-width: 46rem; height: auto; margin: 1rem 0 0;
  background: #fff; border-radius: 8px; }
@media (max-width: 700px) {
  .cards thead { display: none; }
  .cards tr { display: block; padding: 0.6rem 0; border-bottom: 1px solid var(--line); }
  .cards td { display: grid; grid-template-columns: 6rem 1fr; gap: 0.5rem; border: 0;
    padding: 0.15rem 0; }
  .cards td.none { display: none; }
  .cards td::before { content: attr(data-head); color: var(--soft); } }
"""
NONE = ' class="none"'  # left out of cards
CLASSES = {"holds": "holds", "does not hold": "fails", "open": "open"}


def html(report: Report) -> str:
    """The page, all of it."""
    body = [
        f"<h1>{escape(TITLE)}</h1>",
        f"<p>{escape(PAPER)}. Made by <code>{escape(report.command)}</code>: "
        f"<strong>{escape(report.verdicts)}</strong>.</p>",
        f'<p class="soft">{escape(report.circumstances)}</p>',
        f'<p class="soft">{escape(NOTE)}</p>',
        *(f'<p class="fails">Missing: {escape(problem)}</p>' for problem in report.problems),
        "<h2>The claims</h2>",
        _summary(report.findings),
        f"<h2>{escape(DIFFERENCES_TITLE)}</h2>",
        *_differences(report),
        "<h2>Claim by claim</h2>",
        *_sections(report.findings),
        "<h2>Commands</h2>",
        _table(
            ("command", "seconds"),
            [(_code(command), escape(took)) for command, took in command_rows(report.records)],
        ),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(TITLE)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _summary(findings: Sequence[Finding]) -> str:
    rows = []
    for finding in findings:
        if not finding.checks:
            reason = f'<span class="soft">{escape(not_run(finding))}</span>'
            rows.append((escape(finding.id), escape(finding.statement), "–", "–", reason, "–", "–"))
            continue
        check = finding.headline
        rows.append(
            (
                f'<a href="#{escape(finding.id)}">{escape(finding.id)}</a>',
                escape(finding.statement),
                escape(check.paper),
                escape(check.measured),
                _badge(finding),
                _code(check.records[0].part.command),
                f"{check.seconds:.1f}",
            )
        )
    return _table(
        ("id", "claim", "paper", "here", "verdict", "command", "seconds"), rows, "cards claims"
    )


def _differences(report: Report) -> list[str]:
    parts = []
    for difference, numbers in report.differences:
        parts.append(f"<h3>{escape(difference.title)}</h3><p>{escape(difference.text)}</p>")
        rows = [(escape(label), escape(value)) for label, value in numbers]
        parts.append(_table(("", "here"), rows, "short") if rows else "<p>Not run.</p>")
    return parts


def _sections(findings: Sequence[Finding]) -> list[str]:
    sections = []
    first_shown: dict[Path, str] = {}
    for finding in findings:
        if not finding.checks:
            continue
        rows = [tuple(escape(cell) for cell in row) for row in check_rows(finding)]
        commands = ", ".join(_code(command) for command in commands_of(finding.checks))
        sections.append(
            f'<section id="{escape(finding.id)}"><h3>{escape(finding.id)} · {_badge(finding)}</h3>'
            f"<p>{escape(finding.statement)}</p>{_table(CHECK_HEADS, rows)}"
            f'<p class="soft">{commands}</p>{_figure(finding, first_shown)}</section>'
        )
    return sections


def _figure(finding: Finding, first_shown: dict[Path, str]) -> str:
    """The figure inside the page, or a link to where it already is."""
    path = finding.figure()
    if path is None or not path.is_file():
        return ""
    if path in first_shown:
        id = escape(first_shown[path])
        return f'<p>The figure is under <a href="#{id}">{id}</a>.</p>'
    first_shown[path] = finding.id
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{escape(finding.statement)}" src="data:image/png;base64,{data}">'


def _badge(finding: Finding) -> str:
    return f'<span class="{CLASSES[finding.word]}">{escape(finding.word)}</span>'


def _code(command: str) -> str:
    return f"<code>{escape(command.strip('`'))}</code>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], name: str = "cards") -> str:
    """A table; on a narrow screen a row of ``cards`` is a card with its headings inside."""
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-head="{escape(head)}"{NONE if cell == "–" else ""}><span>{cell}</span></td>'
            for head, cell in zip(heads, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<table class="{name}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
