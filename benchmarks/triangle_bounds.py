"""What triangle inequalities gain on the Biq Mac library: gaps, proofs of optimality, seconds."""

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import now
from benchmarks.report import Effort, Report, Target
from benchmarks.tables import best_known
from MAXCUT.graph import read_graph
from MAXCUT.limits import Limits
from MAXCUT.optimizer import derandomize
from MAXCUT.partition import partition_of, tightened
from MAXCUT.sdp import solve_sdp

INSTANCES, FAMILIES = "every instance", "every family"
FAMILY = re.compile(r"t[23]g|pm1[sd]|[a-z]+[\d.]+")
RESTARTS = 2
DENSE = (("pm1d",), ("g05",), ("w01", "w05", "w09"))
SMALL = 100  # vertices, at most, of those
DENSE_QUOTIENT = 0.4  # wanted: the mean gap over the mean gap without triangle inequalities
ALL_QUOTIENT, MEDIUM = 0.5, 150  # the same for every family, up to so many vertices
SPARSE = ("pm1s", "t2g", "t3g", "ising2.5", "ising3.0", "w01")  # wanted: all proven optimal
Instance = dict[str, Any]


def measure(effort: Effort) -> Report:
    """Bound every graph of the folder in both ways."""
    if effort.biqmac is None:
        raise ValueError("biqmac is not given: the part triangle_bounds needs the folder of graphs")
    known = best_known(effort.biqmac)
    paths = sorted(effort.biqmac.glob("*.mc"))[: 1 if effort.quick else None]
    found = [one_instance(path, known[path.stem]) for path in paths]
    report = Report()
    report.tables[FAMILIES] = list(families(found))
    report.tables[INSTANCES] = list(found)
    report.notes.append(
        "gap: (upper bound − best known cut)/best known cut, in per cent, after integer bounds "
        "are rounded down; quotient: of the mean gaps; s: CPU seconds"
    )
    _judge(report, found)
    return report


def one_instance(path: Path, best: float) -> Instance:
    """A row: both gaps of one graph, what was proven, and the seconds of each step."""
    graph = read_graph(path)
    limits = Limits()
    started = now()
    solution = solve_sdp(graph, np.random.default_rng(0))
    relaxed = now()
    generator = torch.Generator().manual_seed(0)
    cut = derandomize(graph, solution, generator=generator, restarts=RESTARTS, limits=limits)
    cut_found = now()
    rounds: list[float] = []
    tight = tightened(graph, solution, cut, limits, progress=rounds.append)
    ended = now()
    before, after = (partition_of(graph, each, cut, limits) for each in (solution, tight))
    return {
        "instance": path.stem,
        "vertices": graph.num_vertices,
        "edges": len(graph.weights),
        "best known": best,
        "cut": cut.cut_value,
        "SDP bound": before.upper_bound,
        "triangle bound": after.upper_bound,
        "SDP gap %": 100 * (before.upper_bound - best) / best,
        "triangle gap %": 100 * (after.upper_bound - best) / best,
        "SDP proves": before.proven_optimal,
        "triangles prove": after.proven_optimal,
        "SDP s": relaxed.since(started).cpu,
        "cut s": cut_found.since(relaxed).cpu,
        "triangle s": ended.since(cut_found).cpu,
        "rounds": max(0, len(rounds) - 1),
    }


def family(name: str) -> str:
    """The family of an instance: w09 of w09_100.0, t2g of t2g10_7777."""
    match = FAMILY.match(name)
    return match.group() if match else name


def families(rows: Sequence[Instance]) -> list[Instance]:
    """A row for each family, with means and counts."""
    names = sorted({family(row["instance"]) for row in rows})
    return [_family(name, [r for r in rows if family(r["instance"]) == name]) for name in names]


def _family(name: str, rows: Sequence[Instance]) -> Instance:
    sizes = sorted({row["vertices"] for row in rows})
    seconds = [row["triangle s"] for row in rows]
    return {
        "family": name,
        "vertices": f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}",
        "instances": len(rows),
        "SDP gap %": mean(rows, "SDP gap %"),
        "triangle gap %": mean(rows, "triangle gap %"),
        "quotient": quotient(rows),
        "SDP proves": sum(row["SDP proves"] for row in rows),
        "triangles prove": sum(row["triangles prove"] for row in rows),
        "SDP s": mean(rows, "SDP s"),
        "triangle s": float(np.mean(seconds)),
        "longest triangle s": max(seconds),
    }


def mean(rows: Iterable[Instance], column: str) -> float:
    """The mean of a column."""
    return float(np.mean([row[column] for row in rows]))


def quotient(rows: Sequence[Instance]) -> float:
    """The mean gap with triangle inequalities over the mean gap without; 0 where both are 0."""
    before = mean(rows, "SDP gap %")
    return mean(rows, "triangle gap %") / before if before else 0.0


def _judge(report: Report, rows: Sequence[Instance]) -> None:
    """The targets, as far as there are such instances."""

    def chosen(names: Sequence[str], largest: float = math.inf) -> list[Instance]:
        return [r for r in rows if family(r["instance"]) in names and r["vertices"] <= largest]

    for names in DENSE:
        if group := chosen(names, SMALL):
            statement = f"quotient of the mean gaps, {', '.join(names)}, at most {SMALL} vertices"
            report.targets.append(Target(statement, "≤", DENSE_QUOTIENT, quotient(group)))
    medium = [row for row in rows if row["vertices"] <= MEDIUM]
    if medium:
        worst = max(row["quotient"] for row in families(medium))
        statement = f"largest quotient of a family, at most {MEDIUM} vertices"
        report.targets.append(Target(statement, "≤", ALL_QUOTIENT, worst))
    if sparse := chosen(SPARSE):
        statement = f"part proven optimal of {', '.join(SPARSE)}"
        report.targets.append(Target(statement, "≥", 1.0, mean(sparse, "triangles prove")))
