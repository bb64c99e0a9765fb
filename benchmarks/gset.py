"""The G-set at equal seconds: ours against dwave-samplers' tabu search and simulated annealing."""

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.cutters import OTHERS, bound, derandomized
from benchmarks.measure import in_turn
from benchmarks.report import Effort, Report, Row, Target
from derandomization.study_figures import Panel
from MAXCUT.readers import read_graph
from reproduction.tables import best_known

OURS = "derandomized"
RESTARTS = 2  # beside the descent: half a minute on the largest graph
SEED = 42
MOST = 0.5  # of the graphs, to be won or drawn


def measure(effort: Effort) -> Report:
    """Every graph of the folder: first ours, then as many CPU seconds for each of the others."""
    if effort.gset is None:
        raise ValueError("gset is not given: the part gset needs the folder with its graphs")
    known = best_known(effort.gset)
    if effort.quick:
        known = dict(list(known.items())[:1])
    report = Report()
    ratios: dict[str, list[float]] = {name: [] for name in (OURS, *OTHERS)}
    rows = [_one(effort.gset / f"{name}.txt", best, ratios) for name, best in known.items()]
    report.tables[f"cuts of the G-set, {RESTARTS} restarts of ours, equal CPU seconds"] = rows
    for name in OTHERS:
        theirs, ours = np.array(ratios[name]), np.array(ratios[OURS])
        _judge(report, list(known), name, ours, theirs)
    report.tables["mean ratio to the best known cut"] = [
        {"method": name, "mean": float(np.mean(each)), "lowest": min(each)}
        for name, each in ratios.items()
    ]
    report.panels.append(
        Panel(
            series={name: np.array(each)[:, None] for name, each in ratios.items()},
            x=list(known),
            x_label="",
            y_label="cut over the best known",
            title="The G-set at equal seconds",
            log_y=False,
            repetition="rounds",
        )
    )
    return report


def _one(path: Path, best: float, ratios: dict[str, list[float]]) -> Row:
    graph = read_graph(path)
    ours = in_turn({OURS: partial(derandomized, graph, RESTARTS, SEED)}, 1)[OURS]
    others = in_turn({name: bound(each, graph, ours.cpu, SEED) for name, each in OTHERS.items()}, 1)
    row: dict[str, float | str | bool | None] = {"graph": path.stem, "best known": f"{best:g}"}
    for name, done in {OURS: ours, **others}.items():
        value = done.outcomes[0]
        ratios[name].append(value / best)
        row |= {name: f"{value:g}", f"{name}, ratio": value / best, f"{name}, CPU s": done.cpu}
    return row


def _judge(
    report: Report, graphs: list[str], name: str, ours: np.ndarray, theirs: np.ndarray
) -> None:
    """Won, drawn and lost, by name."""
    won = int((ours > theirs).sum())
    report.targets.append(
        Target(f"G-set: part of the graphs won against {name}", "≥", MOST, won / len(ours))
    )
    for word, which in (("drawn", ours == theirs), ("lost", ours < theirs)):
        listed = [graph for graph, it in zip(graphs, which, strict=True) if it]
        report.notes.append(f"{word} against {name}: {', '.join(listed) or 'none'}")
