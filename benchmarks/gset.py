"""The G-set at equal seconds: ours against dwave-samplers' tabu search and simulated annealing."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from benchmarks.cutters import OTHERS, bound, derandomized, searched
from benchmarks.measure import Turns, in_turn
from benchmarks.report import Effort, Report, Row, Target
from benchmarks.tables import best_known
from derandomization.laboratory.figures import Panel
from MAXCUT.graph import Graph, read_graph

RESTARTS = 2  # after the descent; they take half a minute on the largest graph
SEEDS = 42, 1, 2
# The whole, with its certificate, and what the restarts do alone: SDP, bound and one search. Three
# seeds of the whole take half an hour: it has the first.
OURS: dict[str, tuple[Callable[[Graph, int], float], Sequence[int]]] = {
    f"derandomized, {RESTARTS} restarts": (
        lambda graph, seed: derandomized(graph, RESTARTS, seed),
        SEEDS[:1],
    ),
    "one search": (lambda graph, seed: searched(graph, 0.0, seed), SEEDS),
}
MOST = 0.5  # of the graphs, to be won


def measure(effort: Effort) -> Report:
    """Every graph of the folder: first ours, then as many CPU seconds for each of the others."""
    if effort.gset is None:
        raise ValueError("gset is not given: the part gset needs the folder with its graphs")
    known = best_known(effort.gset)
    if effort.quick:
        known = dict(list(known.items())[:1])
    graphs = {name: read_graph(effort.gset / f"{name}.txt") for name in known}
    report = Report()
    for ours in OURS:
        _compare(report, ours, graphs, known)
    return report


def _compare(
    report: Report,
    ours: str,
    graphs: Mapping[str, Graph],
    known: Mapping[str, float],
) -> None:
    """One of ours on every graph, and the others."""
    ratios: dict[str, list[float]] = {name: [] for name in (ours, *OTHERS)}
    rows = [_one(ours, name, graph, known[name], ratios) for name, graph in graphs.items()]
    report.tables[f"cuts of the G-set, {ours}, equal CPU seconds"] = rows
    for name in OTHERS:
        _judge(report, list(known), (ours, name), ratios)
    report.tables[f"mean ratio to the best known cut, {ours}"] = [
        {"method": name, "mean": float(np.mean(each)), "lowest": min(each)}
        for name, each in ratios.items()
    ]
    report.panels.append(
        Panel(
            series={name: np.array(each)[:, None] for name, each in ratios.items()},
            x=list(known),
            x_label="",
            y_label="cut over the best known",
            title=f"The G-set, the seconds of {ours} for each",
            log_y=False,
            repetition="rounds",
        )
    )


def _one(
    ours: str,
    name: str,
    graph: Graph,
    best: float,
    ratios: dict[str, list[float]],
) -> Row:
    """The mean cut over the seeds; for each, ours first, then the others in as many seconds."""
    found: dict[str, list[Turns]] = {method: [] for method in ratios}
    cutter, seeds = OURS[ours]
    for seed in seeds:
        mine = in_turn({ours: partial(cutter, graph, seed)}, 1)[ours]
        contenders = {key: bound(each, graph, mine.cpu, seed) for key, each in OTHERS.items()}
        for method, done in {ours: mine, **in_turn(contenders, 1)}.items():
            found[method].append(done)
    row: dict[str, float | str | bool | None] = {"graph": name, "best known": f"{best:g}"}
    for method, turns in found.items():
        cut = float(np.mean([turn.outcomes[0] for turn in turns]))
        ratios[method].append(cut / best)
        row |= {method: f"{cut:.7g}", f"{method}, ratio": cut / best}
        row |= {f"{method}, CPU s": float(np.mean([turn.cpu for turn in turns]))}
    return row


def _judge(
    report: Report, graphs: list[str], pair: tuple[str, str], ratios: Mapping[str, list[float]]
) -> None:
    """Won, drawn and lost, by name, by the mean over the seeds."""
    ours, theirs = (np.array(ratios[name]) for name in pair)
    against = f"{pair[0]} against {pair[1]}"
    won = int((ours > theirs).sum())
    report.targets.append(
        Target(f"G-set: part of the graphs won, {against}", "≥", MOST, won / len(ours))
    )
    for word, which in (("drawn", ours == theirs), ("lost", ours < theirs)):
        listed = [graph for graph, it in zip(graphs, which, strict=True) if it]
        report.notes.append(f"{word}, {against}: {', '.join(listed) or 'none'}")
