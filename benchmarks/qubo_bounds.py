"""minimize_qubo on the Biq Mac library: energies, gaps and seconds with two restarts."""

import re
from collections.abc import Sequence
from typing import Any

from benchmarks.measure import now
from benchmarks.report import Effort, Report, Target
from benchmarks.tables import best_known
from derandomization.files.quadratic import read_quadratic_file
from MAXCUT.quadratic import QuadraticModel
from MAXCUT.qubo import minimize_qubo

INSTANCES, FAMILIES = "every instance", "every family"
FAMILY = re.compile(r"gka(?=\d+(?P<series>[a-z]))|[a-z]+")
RESTARTS = 2
SECONDS = 10.0  # wanted of each, at most
Instance = dict[str, Any]


def measure(effort: Effort) -> Report:
    """Minimise every .qubo of the folder."""
    if effort.biqmac is None:
        raise ValueError("biqmac is not given: the part qubo_bounds needs the folder of problems")
    known = best_known(effort.biqmac)
    paths = sorted(effort.biqmac.glob("*.qubo"))[: 1 if effort.quick else None]
    rows: list[Instance] = []
    for path in paths:
        model = read_quadratic_file(path, lambda terms: QuadraticModel(*terms))
        started = now()
        found = minimize_qubo(model, restarts=RESTARTS)
        rows.append(
            {
                "instance": path.stem,
                "variables": model.num_variables,
                "best known": known[path.stem],
                "energy": found.energy,
                "lower bound": found.lower_bound,
                "gap %": 100 * found.relative_gap,
                "gap % of the range": 100 * found.gap_in_range,
                "s": now().since(started).cpu,
            }
        )
    reached = sum(row["energy"] <= row["best known"] for row in rows)
    valid = sum(row["lower bound"] <= row["best known"] for row in rows)
    count = f"of {len(rows)} instances"
    return Report(
        tables={FAMILIES: list(families(rows)), INSTANCES: list(rows)},
        targets=[
            Target(f"best known energy reached, {count}", "≥", len(rows), reached),
            Target(f"lower bound at most the best known energy, {count}", "≥", len(rows), valid),
            Target("CPU seconds, the longest", "≤", SECONDS, max(row["s"] for row in rows)),
        ],
    )


def family(name: str) -> str:
    """The family of an instance: be of be100.1, gka b of gka4b."""
    match = FAMILY.match(name)
    if match is None:
        return name
    return " ".join(part for part in (match.group(), match["series"]) if part)


def families(rows: Sequence[Instance]) -> list[Instance]:
    """A row for each family, with the smallest and the largest of each number."""
    names = sorted({family(row["instance"]) for row in rows})
    return [_family(name, [r for r in rows if family(r["instance"]) == name]) for name in names]


def _family(name: str, rows: Sequence[Instance]) -> Instance:
    columns = ("variables", "gap %", "gap % of the range", "s")
    ranges = {column: [row[column] for row in rows] for column in columns}
    spread = {
        f"{word} {column}": pick(numbers)
        for column, numbers in ranges.items()
        for word, pick in (("least", min), ("largest", max))
    }
    return {"family": name, "instances": len(rows), **spread}
