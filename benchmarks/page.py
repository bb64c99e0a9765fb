"""docs/BENCHMARKS.md, made from benchmarks/results.json alone: ``python -m benchmarks.page``."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from derandomization.laboratory.run import readable
from reproduction.report import MARKUP, markdown_table

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results.json", ROOT / "docs" / "BENCHMARKS.md"
MAX_ROWS = 40  # of a table that is shown
# A note with one of these words says where another tool is as good or better, unless it ends in
# a sign that there is no such place.
LOSING = re.compile(r"\b(another|lost|drawn|better|faster|equal)\b")
NOWHERE = ("none", "–")
# In tables with one of these columns all methods compute the same, so that less time is better.
SAME_RESULT = ("level", "solver", "parameters")
WHICH = ("method", "solver", "level", "n", "parameters")  # columns that name such a row
INTRODUCTION = (
    "`python benchmarks/run.py` measures this and `python -m benchmarks.page` writes it. Ratios "
    "are of processor times: the median, lowest and highest of several rounds. Whole numbers are "
    "complete, others have four digits."
)
# Of each part the heading, and what is compared with what.
PARTS = {
    "core": (
        "Optimizer and eigenvalue",
        "A step of perturbed gradient descent is compared with one of `torch.optim.SGD`, and the "
        "smallest eigenvalue of a Hessian by Lanczos with all eigenvalues of the dense matrix.",
    ),
    "growth": (
        "Growth of time and memory",
        "A step is compared with itself at other sizes: edges, hidden units and pairs of points.",
    ),
    "startup": (
        "Start-up",
        "Imports of the packages and `--help` of the commands are compared with `import torch`.",
    ),
    "neural_networks": (
        "Figure 3",
        "Perturbed gradient descent on the exact risk is compared with the published sampling and "
        "with Adam and L-BFGS on the exact risk.",
    ),
    "directions": (
        "Directions on which labels depend",
        "`PrincipalSubspace` is compared with SIR, SAVE, PHD, OPG, xRFM and rMAVE by the error of "
        "the directions that they find.",
    ),
    "samples": (
        "Points that are needed to find directions",
        "`PrincipalSubspace` is compared with rMAVE, OPG, SIR and xRFM by the number of points "
        "from which they find the directions.",
    ),
    "reduction": (
        "Dimension reduction on real data",
        "`PrincipalSubspace` is compared with PLS, PCA, SIR or LDA, and no reduction by the score "
        "on held-out data.",
    ),
    "johnson_lindenstrauss": (
        "Figures 6 and 7",
        "The descent on exact moments is compared with batches of draws, and the learned embedding "
        "with random projections and PCA by the largest distortion.",
    ),
    "maxcut": (
        "Figures 4 and 5, the relaxation and random graphs",
        "The exact descent is compared with the score-function estimator, the SDP's solver with "
        "other solvers, and cuts with those of other methods in equal time.",
    ),
    "gset": (
        "Cuts of the G-set",
        "Cuts are compared with those of tabu search and simulated annealing in equal time.",
    ),
    "triangle_bounds": (
        "Upper bounds with triangle inequalities",
        "The bound with triangle inequalities is compared with the bound of the SDP.",
    ),
    "qubo_bounds": (
        "Bounds of quadratic binary problems",
        "Energies and lower bounds are compared with the best known energies of the Biq Mac "
        "library.",
    ),
    "quadratic": (
        "Energies of quadratic binary problems",
        "The SDP with a search is compared with simulated annealing and tabu search in equal time "
        "on the Biq Mac library.",
    ),
}
# Of each entry of an environment how it is written; the system's kernel is left out.
CIRCUMSTANCES = {
    "python": "Python {}",
    "torch": "torch {}",
    "numpy": "numpy {}",
    "scipy": "scipy {}",
    "networkx": "networkx {}",
    "scikit-learn": "scikit-learn {}",
    "device": "on {}",
    "instructions": "instructions {}",
    "threads": "threads: {}",
    "cores": "cores: {}",
    "git_commit": "commit {:.12}",
}

Record = Mapping[str, Any]


def page(records: Mapping[str, Record]) -> str:
    """The page as Markdown, from the records of the parts by name."""
    lines = ["# Compared with other tools", "", INTRODUCTION, ""]
    lines += _where_others_win(records)
    for name, record in records.items():
        lines += ["", *_section(name, record)]
    return "\n".join(lines) + "\n"


def is_losing(note: str) -> bool:
    """Whether a note says that another tool or method is as good or better somewhere."""
    return bool(LOSING.search(note)) and not note.rstrip().endswith(NOWHERE)


def _where_others_win(records: Mapping[str, Record]) -> Iterator[str]:
    """Every unmet target, every note on where others are as good, and every row that is faster."""
    yield from ("## Where other tools do as well or better", "")
    targets = [
        [PARTS[name][0], *_target(target)[:3]]
        for name, record in records.items()
        for target in record["targets"]
        if not target["met"]
    ]
    notes = [
        f"- {PARTS[name][0]}: {note}"
        for name, record in records.items()
        for note in record["notes"]
        if is_losing(note)
    ]
    faster = [
        f"- {PARTS[name][0]}, {_text(title)}: {each}"
        for name, record in records.items()
        for title, rows in record["tables"].items()
        for each in _faster(rows)
    ]
    if targets:
        yield from ("Targets that are not met:", "")
        yield from markdown_table(("part", "target", "wanted", "measured"), targets)
    if notes:
        yield from ("", "Where another method is as good or better:", "", *notes)
    if faster:
        yield from ("", "Where another method needs less processor time for the same:", "", *faster)
    if not (targets or notes or faster):
        yield "Every target is met, and no other tool is as good or faster."


def _faster(rows: Sequence[Record]) -> Iterator[str]:
    """The rows of methods that compute the same in less time than the one compared with."""
    for row in rows:
        ratio = row.get("ratio")
        if ratio is not None and ratio < 1 and any(column in row for column in SAME_RESULT):
            which = ", ".join(f"{column} {_cell(row[column])}" for column in WHICH if column in row)
            yield f"{which}: ratio {_cell(ratio)}"


def _section(name: str, record: Record) -> Iterator[str]:
    """What one part measured."""
    heading, sentence = PARTS[name]
    yield from (f"## {heading}", "", sentence)
    if record["targets"]:
        heads = ("target", "wanted", "measured", "spread", "met")
        yield from ("", *markdown_table(heads, [_target(each) for each in record["targets"]]))
    for title, rows in record["tables"].items():
        yield ""
        if len(rows) > MAX_ROWS:
            where = "[benchmarks/results.json](../benchmarks/results.json)"
            yield f"**{_text(title)}:** {len(rows)} rows in {where}."
        else:
            yield from (f"**{_text(title)}**", "", *_table(rows))
    if record["notes"]:
        yield from ("", *(f"- {note}" for note in record["notes"]))
    yield from ("", f"{_circumstances(record)}.")


def _target(target: Record) -> list[str]:
    spread = target["spread"]
    return [
        _text(target["statement"]),
        f"{target['sense']} {_cell(target['wanted'])}",
        _cell(target["measured"]),
        "–" if spread is None else " to ".join(map(_cell, spread)),
        "yes" if target["met"] else "no",
    ]


def _table(rows: Sequence[Record]) -> list[str]:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    return markdown_table([_text(column) for column in columns], cells)


def _circumstances(record: Record) -> str:
    """Versions, processor and rounds of a part, in one line."""
    known = record["environment"]
    shown = [form.format(known[key]) for key, form in CIRCUMSTANCES.items() if known.get(key)]
    shown.append(f"rounds: {record['settings']['repeats']}")
    return _text(", ".join(shown + ["sizes of a quick run"] * record["settings"]["quick"]))


def _cell(value: float | str | bool | None) -> str:
    """A whole number in full, another one to four digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and float(value).is_integer():
        return f"{value:.0f}"
    return _text(readable(value))


def _text(text: str) -> str:
    """Escape what Markdown would read as markup."""
    return MARKUP.sub(r"\\\g<0>", text)


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
