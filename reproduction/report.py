"""The report of a run: read from its results.json files, written as REPORT.md and report.html."""

import base64
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from derandomization.files.content import printable
from reproduction.claims import EXPERIMENT_COMMANDS
from reproduction.differences import DIFFERENCES, Difference, measure
from reproduction.evidence import Finding, Record, find, problems_of, read_record
from reproduction.jobs import MAINS, is_made_by_other_code, read_manifest, read_text

REPORT, PAGE = "REPORT.md", "report.html"
TITLE = "A derandomization framework for structure discovery, reproduced"
PAPER = "Tsikouras, Pantis, Mitliagkas, Tzamos (ICLR 2026, arXiv 2510.19382)"
NOTE = (
    "Numbers are means over the seeds with their 95% interval (Student's t; computed from the "
    "logarithms where positive values spread over more than a decade). The reference is what they "
    "are compared with, and its kind stands after it: the paper's number, a proven bound, or a "
    "baseline, which is what another method reached in the same runs. “Exact” is measured with "
    "exact expectations, “sampled” with the paper's own sampling; a study has one number. A claim "
    "holds if every check that decides it holds, on every seed and with both estimators. The table "
    "shows the first check that fails or, if none fails, the first check; the sections show all "
    "of them. The command of a row prints its numbers. “Open” means that no theorem decides the "
    "question. The first seed is the experiment's "
    "default. Other seeds draw other points and, for MAXCUT, other graphs: figure 4's claim is "
    "about the paper's own graph and is checked on the default seed only. Seconds are for the "
    "command on one core."
)
NUMBERS = ("reference", "exact", "sampled")  # columns of the table of results
# Characters of a text that Markdown would otherwise read as markup; _cell adds the vertical bar.
# GitHub also makes links of addresses, and formulas of what is between dollar signs.
MARKUP = re.compile(
    r"[\\`*~$]|(?<=\w)@(?=[A-Za-z])|:(?=//)|(?<=www)\."
    r"|(?<=\])\(|<(?=[A-Za-z/!?])|&(?=[#A-Za-z])|(?<!\w)_|_(?!\w)"
)
STYLE, SCRIPT = (Path(__file__).with_name(f"report.{kind}") for kind in ("css", "js"))
# A number, or the interval after it: neither is split between two lines.
NUMBER = re.compile(r"(?<![\w.])[−-]?\d[\d.]*(?:e[+-]?\d+)?%?(?![\w.])|\[[−-]?\d[^\]]*\]")
CELL_CLASSES = {"holds": "holds", "does not hold": "fails", "open": "open", "–": "none"}


@dataclass(frozen=True)
class Report:
    """The content of a report."""

    output_dir: Path
    commands: dict[str, str]  # what made it: of each job's command, the command of its run
    records: list[Record]  # of the jobs that are finished
    stale: list[Record]  # those of them that another version of the code made
    problems: list[str]  # one for each results.json and each number that is missing
    findings: list[Finding]  # one per claim
    differences: list[tuple[Difference, list[tuple[str, str]]]]  # with labels and numbers

    @property
    def verdicts(self) -> str:
        """How many claims hold, do not hold, are open and were not run."""
        plural = {"holds": "hold", "does not hold": "do not hold"}
        counts = Counter(finding.verdict for finding in self.findings)
        return ", ".join(
            f"{count} {verdict if count == 1 else plural.get(verdict, verdict)}"
            for verdict, count in counts.items()
        )

    @property
    def made_by(self) -> str:
        """The commands of the runs, as Markdown."""
        return " and ".join(f"`{command}`" for command in dict.fromkeys(self.commands.values()))

    @property
    def environment(self) -> str:
        """Versions, devices and commits of the jobs."""
        environments = [record.data.get("environment", {}) for record in self.records]
        names = {"python": "Python", "torch": "torch", "device": "on", "git_commit": "commit"}
        shown = []
        for key, name in names.items():
            values = dict.fromkeys(str(each.get(key, "")) for each in environments)
            known = [value[:12] if key == "git_commit" else value for value in values if value]
            if known:
                shown.append(f"{name} {_text(printable(' and '.join(known)))}")
        return ", ".join(shown)


def read_report(output_dir: Path) -> Report:
    """Read the runs that ended in a folder; ``ValueError`` if none did."""
    made = [(job, run) for run, jobs in read_manifest(output_dir).items() for job in jobs]
    # In the order of a single run, whatever was added to the folder first.
    made.sort(key=lambda pair: (bool(pair[0].study), list(MAINS).index(pair[0].experiment)))
    records, problems = [], []
    for job, _ in made:
        try:
            records.append(read_record(job, output_dir))
        except ValueError as problem:
            problems.append(str(problem))
    differences = []
    for difference in DIFFERENCES:
        shown = []
        for number in difference.numbers:
            try:
                if value := measure(number, records):
                    shown.append((number.label, value))
            except ValueError as problem:
                problems.append(str(problem))
        differences.append((difference, shown))
    commands = {job.command: run for job, run in made}
    stale = [record for record in records if is_made_by_other_code(record.job, output_dir)]
    return Report(output_dir, commands, records, stale, problems, find(records), differences)


def problems_in(output_dir: Path) -> list[str]:
    """One line for everything in a results folder that is missing, false or out of date."""
    report = read_report(output_dir)
    problems = report.problems + [each for record in report.records for each in problems_of(record)]
    problems += [f"{record.folder}: made by other code" for record in report.stale]
    for name, text in _pages(report).items():
        path = output_dir / name
        try:
            if read_text(path) != text:
                problems.append(f"{path}: is not what the results.json files say")
        except (OSError, ValueError):
            problems.append(f"{path}: missing or broken")
    return list(map(printable, problems))


def write_report(report: Report) -> None:
    """Write REPORT.md and report.html into the run's folder."""
    for name, text in _pages(report).items():
        (report.output_dir / name).write_text(text, encoding="utf-8")


def _pages(report: Report) -> dict[str, str]:
    text = markdown(report)
    return {REPORT: text, PAGE: html(text, report.output_dir)}


def markdown(report: Report) -> str:
    """Write the report as Markdown."""
    lines = [f"# {TITLE}", "", f"{PAPER}. Made by {report.made_by}: {report.verdicts}."]
    if environment := report.environment:
        lines += ["", f"{environment[0].upper()}{environment[1:]}."]
    lines += ["", NOTE, ""]
    lines += [f"**Missing:** {_cell(_text(problem))}\n" for problem in report.problems]
    if report.stale:
        commands = ", ".join(f"`{record.job.command}`" for record in report.stale)
        lines += [f"**Made by other code** than the code here: {commands}\n"]
    lines += results_table(report)
    lines += ["", "## Where the paper, its published code and this reproduction differ"]
    for difference, numbers in report.differences:
        lines += ["", f"**{difference.title}.** {difference.text}", ""]
        if difference.numbers:
            lines += markdown_table(("", "here"), numbers) if numbers else ["Not run."]
    lines += ["", "## Claim by claim"]
    shown: set[Path] = set()
    for finding in report.findings:
        if finding.checks:
            lines += ["", *_section(finding, report.output_dir, shown)]
    rows = [
        (f"`{command}`", f"{record.data['wall_seconds']:.1f}", f"`{report.commands[command]}`")
        for record in report.records
        for command in [record.job.command]
    ]
    lines += ["", "## Commands", "", *markdown_table(("command", "seconds", "run by"), rows)]
    return "\n".join(lines) + "\n"


def results_table(report: Report) -> list[str]:
    """Write a Markdown table with one row per claim."""
    heads = ("id", "claim", *NUMBERS, "verdict", "figure", "command", "seconds")
    return markdown_table(heads, [_row(each, report.output_dir) for each in report.findings])


def not_run(finding: Finding) -> str:
    """Say why a claim was not checked."""
    in_experiments = any(finding.id in each.claims for each in EXPERIMENT_COMMANDS.values())
    return "not run" if in_experiments else "not run (needs --full)"


def _row(finding: Finding, output_dir: Path) -> tuple[str, ...]:
    if not finding.checks:
        return finding.id, finding.statement, "–", "–", "–", not_run(finding), "–", "–", "–"
    figure = finding.figure()
    return (
        f"[{_text(finding.id)}](#{_anchor(finding.id)})",
        finding.statement,
        *map(_text, finding.numbers),
        finding.verdict,
        f"[figure](<{figure.relative_to(output_dir).as_posix()}>)" if figure else "–",
        f"`{finding.command}`",
        f"{finding.seconds:.1f}",
    )


def _section(finding: Finding, output_dir: Path, shown: set[Path]) -> list[str]:
    """Write every check of a finding, its commands, and its figure unless shown before."""
    id = _text(finding.id)
    lines = [f"### {id}", "", f"{finding.statement}: **{finding.verdict}**.", ""]
    rows = [
        (each.where, *map(_text, (each.statement, each.reference, each.measured)), each.count)
        for each in finding.checks
    ]
    lines += markdown_table(("where", "checked", "reference", "here", "seeds it holds on"), rows)
    commands = dict.fromkeys(check.records[0].job.command for check in finding.checks)
    lines += ["", ", ".join(f"`{command}`" for command in commands)]
    figure = finding.figure()
    if figure and figure not in shown:
        shown.add(figure)
        path = figure.relative_to(output_dir).as_posix()
        seen = re.sub(r"[\[\]]", r"\\\g<0>", _text(finding.figure_description()))
        lines += ["", f"![{id}: {seen or finding.statement}](<{path}>)"]
    return lines


def _anchor(heading: str) -> str:
    """The anchor that Markdown viewers give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write the lines of a Markdown table."""
    rule = ["---"] * len(heads)
    return [f"| {' | '.join(map(_cell, row))} |" for row in (heads, rule, *rows)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _text(text: str) -> str:
    """Escape markup in a text from results.json."""
    return MARKUP.sub(r"\\\g<0>", text)


def html(text: str, folder: Path) -> str:
    """Make one page of a report's Markdown, with the figures in ``folder`` inside."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    _label(tokens)
    _name_tables(tokens)
    _keep_numbers_whole(tokens)
    _embed_figures(tokens, folder)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(TITLE)}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n"
        f"</head>\n<body>\n{_navigation(tokens)}<main>\n"
        f"{parser.renderer.render(tokens, parser.options, {})}</main>\n"
        f"<script>\n{SCRIPT.read_text(encoding='utf-8')}</script>\n</body>\n</html>\n"
    )


def _label(tokens: Sequence[Token]) -> None:
    """Give headings their anchor, and cells their column (for narrow screens) and verdict."""
    heads: list[str] = []
    labels = itertools.cycle(heads)
    for opening, content in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            words = "".join(child.content for child in content.children or [])
            opening.attrSet("id", _anchor(words))
        elif opening.type == "thead_open":
            heads = []
        elif opening.type == "th_open":
            heads.append(content.content)
        elif opening.type == "tbody_open":
            labels = itertools.cycle(heads)
        elif opening.type == "td_open":
            opening.attrSet("data-head", next(labels))
            if content.content in CELL_CLASSES:
                opening.attrSet("class", CELL_CLASSES[content.content])


def _navigation(tokens: Sequence[Token]) -> str:
    """Links to the sections."""
    links = [
        f'<a href="#{opening.attrs["id"]}">{escape(content.content)}</a>'
        for opening, content in itertools.pairwise(tokens)
        if opening.type == "heading_open" and opening.tag == "h2"
    ]
    return f'<nav aria-label="Sections">{" ".join(links)}</nav>\n'


def _name_tables(tokens: list[Token]) -> None:
    """Give each table a caption for those who do not see it, and its heads their direction."""
    captions, caption = [], "Results, one row for each claim"
    for token, content in itertools.pairwise(tokens):
        if token.type == "th_open":
            token.attrSet("scope", "col")
        elif token.type == "heading_open" and token.tag != "h1":
            caption = f"Checks of {content.content}" if token.tag == "h3" else content.content
        elif token.type == "table_open":
            captions.append((token, caption))
    for token, text in captions:
        hidden = f'<caption class="unseen">{escape(text)}</caption>\n'
        tokens.insert(tokens.index(token) + 1, Token("html_block", "", 0, content=hidden))


def _keep_numbers_whole(tokens: Sequence[Token]) -> None:
    """Mark numbers and intervals in cells, which are not split between two lines."""
    for opening, content in itertools.pairwise(tokens):
        if opening.type != "td_open":
            continue
        found: list[Token] = []
        for child in content.children or []:
            found += _marked(child.content) if child.type == "text" else [child]
        content.children = found


def _marked(text: str) -> Iterator[Token]:
    """The text, with its numbers in elements of their own."""
    end = 0
    for number in NUMBER.finditer(text):
        yield Token("text", "", 0, content=text[end : number.start()])
        whole = f'<span class="number">{escape(number[0])}</span>'
        yield Token("html_inline", "", 0, content=whole)
        end = number.end()
    yield Token("text", "", 0, content=text[end:])


def _embed_figures(tokens: Sequence[Token], folder: Path) -> None:
    """Replace the path of each image by its data, and links to that path by links to the image."""
    inline = [child for token in tokens for child in token.children or []]
    anchors: dict[str | float, str] = {}
    for number, image in enumerate((each for each in inline if each.type == "image"), start=1):
        source = image.attrs["src"]
        path = folder / unquote(str(source))
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            image.attrSet("src", f"data:image/png;base64,{data}")
            image.attrSet("id", f"figure-{number}")
            anchors[source] = f"#figure-{number}"
    for link in inline:
        if link.type == "link_open" and link.attrs["href"] in anchors:
            link.attrSet("href", anchors[link.attrs["href"]])
