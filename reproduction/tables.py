"""The tables of runs beyond the paper: real graphs, real points, and the READMEs they stand in."""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from JohnsonLindenstrauss.estimator import LearnedProjection
from JohnsonLindenstrauss.model import cube_points
from reproduction.publish import put_between, without_machine

ROOT = Path(__file__).parents[1]
RUNS = "docs/runs"
MARKS = ("<!-- from docs/runs -->", "<!-- end -->")
RESTARTS = 8
TORUS = (100, 200)
DEEP = (
    "--depth 4 --width 300 --dimension 20 --indices 2 --frozen --estimator antithetic "
    "--regularization 1e-4"
)
AUTO_EPS = 0.1
Results = Mapping[str, Any]
POINTS = {
    "paper": ("figure 6's, 100 × 500", 30),
    "digits": ("scikit-learn's digits, 1 797 × 64", 20),
    "gaussian": ("Gaussian, 1 000 × 1 000", 100),
}


def write_inputs(folder: Path) -> None:
    """A ±1 torus, scikit-learn's digits and Gaussian points, as files."""
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(0)
    rows, columns = TORUS
    vertex = np.arange(rows * columns).reshape(TORUS)
    ends = [(vertex, np.roll(vertex, -1, axis=axis)) for axis in (0, 1)]
    edges = np.concatenate([np.stack([a.ravel(), b.ravel()], axis=1) for a, b in ends]) + 1
    signs = rng.choice([-1, 1], size=len(edges))
    lines = [f"{i} {j} {sign}" for (i, j), sign in zip(edges, signs, strict=True)]
    header = f"{rows * columns} {len(edges)}"
    (folder / "torus.rudy").write_text("\n".join([header, *lines]) + "\n")
    np.save(folder / "digits.npy", load_digits().data)
    np.save(folder / "gaussian.npy", rng.standard_normal((1000, 1000)))


def commands(gset: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The runs by name: an experiment and its options."""
    graphs = {graph: f"gset/{graph}.txt" for graph in gset} | {"torus": "torus.rudy"}
    for graph, file in graphs.items():
        cut = ["MAXCUT", "--graph-file", file]
        yield graph, cut
        yield f"{graph}-restarts", [*cut, "--restarts", str(RESTARTS)]
    for name, (_, k) in POINTS.items():
        data = [] if name == "paper" else ["--data", f"{name}.npy"]
        yield name, ["JohnsonLindenstrauss", "--pairs", "--num-components", str(k), *data]
    yield "deep-network", ["NeuralNetworks", *DEEP.split()]


def measure(gset: Path, only: Sequence[str] = ()) -> None:
    """Run what the tables show, one after the other, and keep each results.json.

    Args:
        gset: folder of the G-set's files, ``G1.txt`` and so on.
        only: names of runs; all if empty.
    """
    names = sorted((path.stem for path in gset.glob("G*.txt")), key=lambda name: int(name[1:]))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_inputs(folder)
        (folder / "gset").symlink_to(gset.resolve())
        for name, (experiment, *options) in commands(names):
            if only and name not in only:
                continue
            main = str(ROOT / experiment / "main.py")
            command = [sys.executable, main, "--quiet", "--output-dir", name, *options]
            subprocess.run(command, cwd=folder, check=True)
            record = json.loads((folder / name / "results.json").read_text(encoding="utf-8"))
            _keep(name, without_machine(record))
    if not only or "auto" in only:
        _keep("auto", _fewest_components())


def _fewest_components() -> dict[str, Any]:
    """``LearnedProjection("auto")`` on figure 6's points, as a record."""
    from sklearn.random_projection import johnson_lindenstrauss_min_dim

    points = cube_points(100, 500, torch.Generator().manual_seed(0)).numpy()
    began = time.perf_counter()
    projection = LearnedProjection("auto", eps=AUTO_EPS, random_state=0).fit(points)
    seconds = time.perf_counter() - began
    found = {
        "num_components": len(projection.components_),
        "max_distortion": projection.max_distortion_,
        "min_dim": int(johnson_lindenstrauss_min_dim(len(points), eps=AUTO_EPS)),
    }
    return {"results": found, "wall_seconds": seconds}


def _keep(name: str, record: Mapping[str, Any]) -> None:
    target = ROOT / RUNS / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False)
    target.write_text(text + "\n", encoding="utf-8")
    print(name, f"{record['wall_seconds']:.1f} s", flush=True)


def results(name: str) -> Results:
    """What a kept run found; its whole seconds as ``wall_seconds``."""
    record = json.loads((ROOT / RUNS / f"{name}.json").read_text(encoding="utf-8"))
    return {**record["results"], "wall_seconds": record["wall_seconds"]}


def best_known(gset: Path) -> dict[str, float]:
    """The best cuts in the literature, by graph."""
    with (gset / "best_known.csv").open(encoding="utf-8", newline="") as file:
        return {row["instance"]: float(row["best_known"]) for row in csv.DictReader(file)}


def graphs_table(best: Mapping[str, float]) -> str:
    """A row a graph of the G-set, and the mean ratios to the best known cuts."""
    heads = "graph|vertices|edges|best of 1 000 hyperplanes|one descent|seconds|"
    heads += f"`--restarts {RESTARTS}`|seconds|best known|proven bound|proven ratio"
    lines = [_row(heads.split("|")), _row(["---"] * 11)]
    ratios: dict[str, list[float]] = {"one descent": [], f"`--restarts {RESTARTS}`": []}
    for graph, known in best.items():
        one, more = results(graph), results(f"{graph}-restarts")
        for values, found in zip(ratios.values(), (one, more), strict=True):
            values.append(found["cut_value"] / known)
        cells = [
            graph,
            _thousands(one["num_vertices"]),
            _thousands(one["num_edges"]),
            f"{one['goemans_williamson_best']:.0f}",
            f"{one['cut_value']:.0f}",
            f"{one['wall_seconds']:.0f}",
            f"{more['cut_value']:.0f}",
            f"{more['wall_seconds']:.0f}",
            f"{known:.0f}",
            f"{more['upper_bound']:.1f}",
            f"{more['proven_ratio']:.3f}",
        ]
        lines.append(_row(cells))
    means = ", ".join(f"{name} {np.mean(values):.4f}" for name, values in ratios.items())
    return "\n".join([*lines, "", f"Mean ratio to the best known cuts: {means}."])


def points_table() -> str:
    """A row for each set of points."""
    heads = ["points", "k", "Gaussian, mean", "PCA, rescaled", "learned", "seconds"]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for name, (words, k) in POINTS.items():
        found = results(name)
        numbers = (found[each] for each in ("random_mean", "pca_rescaled", "max_distortion"))
        cells = [words, str(k), *(f"{each:.3f}" for each in numbers), f"{found['seconds']:.1f}"]
        lines.append(_row(cells))
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def main(gset: Path, only: Sequence[str]) -> None:
    """Measure, and put the tables where they stand."""
    measure(gset, only)
    tables: dict[str, Callable[[], str]] = {
        "MAXCUT": lambda: graphs_table(best_known(gset)),
        "JohnsonLindenstrauss": points_table,
    }
    for experiment, table in tables.items():
        put_between(ROOT / experiment / "README.md", MARKS, table())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
