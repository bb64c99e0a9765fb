"""The report of a run, from its results.json files alone, and REPORT.md."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reproduction.claims import EXPERIMENTS
from reproduction.differences import DIFFERENCES, Difference, measure
from reproduction.evidence import Check, Finding, Record, findings, read_record
from reproduction.parts import read_manifest

TITLE = "A derandomization framework for structure discovery, reproduced"
PAPER = "Tsikouras, Pantis, Mitliagkas, Tzamos (ICLR 2026, arXiv 2510.19382)"
NOTE = (
    "Numbers are means over the seeds with their 95% interval (Student's t; of the logarithms "
    "where positive values spread over more than a decade). “Paper” is the paper's number or, "
    "where it states a bound or a comparison, what that comes to in these runs. A claim holds if "
    "it holds on every seed, by both estimators, wherever it speaks; the table shows the first "
    "check that fails or else the first of all, the sections every one. The first seed is the "
    "experiment's default. Other seeds draw other points and, for MAXCUT, other graphs: figure 4's "
    "claim is about the paper's own graph and is checked on the default seed alone. Seconds are of "
    "one run of the command on one core."
)
DIFFERENCES_TITLE = "Where the paper, its published code and this reproduction differ"


@dataclass(frozen=True)
class Report:
    """All that a report says.

    Attributes:
        output_dir: the run's folder.
        command: that made the run.
        records: its finished parts.
        problems: a line for every part without a results.json and every number missing in one.
        findings: a claim of the paper each.
        differences: with their numbers, by label.
    """

    output_dir: Path
    command: str
    records: list[Record]
    problems: list[str]
    findings: list[Finding]
    differences: list[tuple[Difference, list[tuple[str, str]]]]

    @property
    def verdicts(self) -> str:
        """How many claims hold, do not, are open and were not run."""
        words = [finding.word for finding in self.findings]
        counts = ((words.count(word), word) for word in dict.fromkeys(words))
        return ", ".join(f"{count} {_plural(word, count)}" for count, word in counts)

    @property
    def circumstances(self) -> str:
        """Versions, device and commit, where all parts agree on them."""
        environments = [record.data.get("environment", {}) for record in self.records]
        names = {"python": "Python", "torch": "torch", "device": "on", "git_commit": "commit"}
        shown = []
        for key, name in names.items():
            values = {str(each.get(key, "")) for each in environments}
            if len(values) == 1 and (value := values.pop()):
                shown.append(f"{name} {value[:12] if key == 'git_commit' else value}")
        return ", ".join(shown)


def read_report(output_dir: Path) -> Report:
    """Read the run that ended in a folder.

    Raises:
        ValueError: no run did.
    """
    command, parts = read_manifest(output_dir)
    records, problems = [], []
    for part in parts:
        try:
            records.append(read_record(part, output_dir))
        except ValueError as problem:
            problems.append(str(problem))
    differences = []
    for difference in DIFFERENCES:
        shown = []
        for number in difference.numbers:
            try:
                value = measure(number, records)
            except ValueError as problem:
                problems.append(str(problem))
                continue
            if value is not None:
                shown.append((number.label, value))
        differences.append((difference, shown))
    return Report(output_dir, command, records, problems, findings(records), differences)


def not_run(finding: Finding) -> str:
    """Why a claim was not checked."""
    in_experiments = any(finding.id in each.claims for each in EXPERIMENTS)
    return "not run" if in_experiments else "not run (needs --full)"


def markdown(report: Report) -> str:
    """REPORT.md."""
    lines = [f"# {TITLE}", "", f"{PAPER}. Made by `{report.command}`: {report.verdicts}."]
    if report.circumstances:
        lines += ["", f"{report.circumstances[0].upper()}{report.circumstances[1:]}."]
    lines += ["", NOTE, ""]
    lines += [f"**Missing:** {_cell(problem)}\n" for problem in report.problems]
    lines += results_table(report)
    lines += ["", f"## {DIFFERENCES_TITLE}"]
    for difference, numbers in report.differences:
        lines += ["", f"**{difference.title}.** {difference.text}", ""]
        lines += _table(("", "here"), numbers) if numbers else ["Not run."]
    lines += ["", "## Claim by claim"]
    shown: set[Path] = set()
    for finding in report.findings:
        if finding.checks:
            lines += ["", *_section(finding, report.output_dir, shown)]
    lines += ["", "## Commands", ""]
    lines += _table(("command", "seconds"), command_rows(report.records))
    return "\n".join(lines) + "\n"


def results_table(report: Report) -> list[str]:
    """A line a claim, in Markdown."""
    heads = ("id", "claim", "paper", "here", "verdict", "figure", "command", "seconds")
    return _table(heads, [_row(finding, report.output_dir) for finding in report.findings])


def check_rows(finding: Finding) -> Iterator[tuple[str, str, str, str, str]]:
    """A row for every check: where, statement, paper, here, on how many seeds it holds."""
    for check in finding.checks:
        yield check.source, check.statement, check.paper, check.measured, check.count


CHECK_HEADS = ("where", "checked", "paper", "here", "seeds it holds on")


def commands_of(checks: Sequence[Check]) -> list[str]:
    """The commands behind some checks, with the first seed of each."""
    return list(dict.fromkeys(check.records[0].part.command for check in checks))


def command_rows(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Every command that was run and its seconds."""
    return [
        (f"`{record.part.command}`", f"{record.data['wall_seconds']:.1f}") for record in records
    ]


def _row(finding: Finding, output_dir: Path) -> tuple[str, ...]:
    if not finding.checks:
        return finding.id, finding.statement, "–", "–", not_run(finding), "–", "–", "–"
    check, figure = finding.headline, finding.figure()
    picture = f"[figure](<{figure.relative_to(output_dir).as_posix()}>)" if figure else "–"
    return (
        f"[{finding.id}](#{_anchor(finding)})",
        finding.statement,
        check.paper,
        check.measured,
        finding.word,
        picture,
        f"`{check.records[0].part.command}`",
        f"{check.seconds:.1f}",
    )


def _section(finding: Finding, output_dir: Path, shown: set[Path]) -> list[str]:
    lines = [f"### {finding.id}", "", f"{finding.statement}: **{finding.word}**.", ""]
    lines += _table(CHECK_HEADS, list(check_rows(finding)))
    lines += ["", ", ".join(f"`{command}`" for command in commands_of(finding.checks))]
    figure = finding.figure()
    if figure and figure not in shown:
        shown.add(figure)
        path = figure.relative_to(output_dir).as_posix()
        lines += ["", f"![{finding.id}: {finding.statement}](<{path}>)"]
    return lines


def _anchor(finding: Finding) -> str:
    """The anchor that Markdown viewers give its heading."""
    return finding.id.lower().replace(".", "")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---"] * len(heads)
    return [f"| {' | '.join(map(_cell, row))} |" for row in (heads, rule, *rows)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _plural(word: str, count: int) -> str:
    if count == 1:
        return word
    return {"holds": "hold", "does not hold": "do not hold"}.get(word, word)
