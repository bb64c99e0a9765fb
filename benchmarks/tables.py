"""The tables of runs on real graphs and points, in the READMEs of the experiments."""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.random_projection import johnson_lindenstrauss_min_dim

from JohnsonLindenstrauss.estimator import LearnedProjection
from JohnsonLindenstrauss.lower_bound import distortion_lower_bound
from JohnsonLindenstrauss.model import cube_points
from JohnsonLindenstrauss.studies.point_sets import draw_halves
from reproduction.publish import put_between, write_record
from reproduction.report import markdown_table

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "docs" / "runs"
MARKS = ("<!-- from docs/runs -->", "<!-- end -->")
TRIANGLE_MARKS = ("<!-- triangles from benchmarks -->", "<!-- end of triangles -->")
BOUND_MARKS = ("<!-- bounds from docs/runs -->", "<!-- end of bounds -->")
QUBO_MARKS = ("<!-- qubo from benchmarks -->", "<!-- end of qubo -->")
QUADRATIC_MARKS = ("<!-- energies from benchmarks -->", "<!-- end of energies -->")
LINK_MARKS = ("<!-- links from benchmarks -->", "<!-- end of links -->")
SAMPLE_MARKS = ("<!-- samples from benchmarks -->", "<!-- end of samples -->")
REDUCTION_MARKS = ("<!-- reductions from benchmarks -->", "<!-- end of reductions -->")
RESTARTS = 8
AUTO_EPS = 0.1
# The points by run: what the table calls them, and the number of components.
POINTS = {
    "paper": ("figure 6's, 100 × 500", 30),
    "digits": ("scikit-learn's digits, 1 797 × 64", 20),
    "gaussian": ("Gaussian, 1 000 × 1 000", 100),
}
# The points by name, of which bounds are proven, and the number of components.
BOUND_POINTS = {"figure 6": 30, "text": 60, "breast cancer": 5, "digits": 20}


def write_inputs(folder: Path) -> None:
    """Write a torus with weights ±1, scikit-learn's digits and Gaussian points."""
    rng = np.random.default_rng(0)
    vertex = np.arange(100 * 200).reshape(100, 200)
    ends = [(vertex, np.roll(vertex, -1, axis=axis)) for axis in (0, 1)]
    edges = np.concatenate([np.stack([a.ravel(), b.ravel()], axis=1) for a, b in ends]) + 1
    signs = rng.choice([-1, 1], size=len(edges))
    lines = [f"{i} {j} {sign}" for (i, j), sign in zip(edges, signs, strict=True)]
    header = f"{vertex.size} {len(edges)}"
    (folder / "torus.rudy").write_text("\n".join([header, *lines]) + "\n")
    np.save(folder / "digits.npy", load_digits().data)
    np.save(folder / "gaussian.npy", rng.standard_normal((1000, 1000)))


def commands(graphs: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each run, with its experiment and options."""
    files = {graph: f"gset/{graph}.txt" for graph in graphs} | {"torus": "torus.rudy"}
    for graph, file in files.items():
        cut = ["MAXCUT", "--graph-file", file]
        yield graph, cut
        yield f"{graph}-restarts", [*cut, "--restarts", str(RESTARTS)]
    for name, (_, k) in POINTS.items():
        data = [] if name == "paper" else ["--data", f"{name}.npy"]
        yield name, ["JohnsonLindenstrauss", "--pairs", "--num-components", str(k), *data]
    network = "--depth 4 --width 300 --dimension 20 --indices 2 --frozen"
    training = "--estimator antithetic --regularization 1e-4"
    yield "deep-network", ["NeuralNetworks", *network.split(), *training.split()]


def main(gset: Path, only: Sequence[str]) -> None:
    """Run what the tables show, or only some of it, and write the tables into the READMEs."""
    graphs = sorted((path.stem for path in gset.glob("G*.txt")), key=lambda name: int(name[1:]))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_inputs(folder)
        (folder / "gset").symlink_to(gset.resolve())
        for name, (experiment, *options) in commands(graphs):
            if only and name not in only:
                continue
            main = str(ROOT / experiment / "main.py")
            command = [sys.executable, main, "--quiet", "--output-dir", name, *options]
            subprocess.run(command, cwd=folder, check=True)
            _keep(name, json.loads((folder / name / "results.json").read_text(encoding="utf-8")))
    if not only or "auto" in only:
        _keep("auto", _fewest_components())
    if not only or "bounds" in only:
        _keep("bounds", _bounds())
    put_between(ROOT / "MAXCUT" / "README.md", MARKS, graphs_table(best_known(gset)))
    put_between(ROOT / "MAXCUT" / "README.md", TRIANGLE_MARKS, triangles_table())
    put_between(ROOT / "MAXCUT" / "README.md", QUBO_MARKS, qubo_table())
    put_between(ROOT / "MAXCUT" / "README.md", QUADRATIC_MARKS, energies_table())
    put_between(ROOT / "NeuralNetworks" / "README.md", LINK_MARKS, links_table())
    put_between(ROOT / "NeuralNetworks" / "README.md", SAMPLE_MARKS, samples_table())
    put_between(ROOT / "NeuralNetworks" / "README.md", REDUCTION_MARKS, reductions_table())
    put_between(ROOT / "JohnsonLindenstrauss" / "README.md", MARKS, points_table())
    put_between(ROOT / "JohnsonLindenstrauss" / "README.md", BOUND_MARKS, bounds_table())


def _fewest_components() -> dict[str, Any]:
    """Fit ``LearnedProjection("auto")`` to figure 6's points."""
    points = cube_points(100, 500, torch.Generator().manual_seed(0)).numpy()
    started = time.perf_counter()
    projection = LearnedProjection("auto", eps=AUTO_EPS, random_state=0).fit(points)
    seconds = time.perf_counter() - started
    found = {
        "num_components": len(projection.components_),
        "max_distortion": projection.max_distortion_,
        "min_dim": int(johnson_lindenstrauss_min_dim(len(points), eps=AUTO_EPS)),
    }
    return {"results": found, "wall_seconds": seconds}


def _bounds() -> dict[str, Any]:
    """Fit ``LearnedProjection`` to each of ``BOUND_POINTS``, and time its lower bound alone."""
    cancer = load_breast_cancer().data
    points = {
        "figure 6": cube_points(100, 500, torch.Generator().manual_seed(0)).numpy(),
        "text": draw_halves("text", 300, seed=0).fitted.numpy(),
        "breast cancer": (cancer - cancer.mean(axis=0)) / cancer.std(axis=0),
        "digits": load_digits().data,
    }
    started, found = time.perf_counter(), {}
    for name, k in BOUND_POINTS.items():
        projection = LearnedProjection(k, random_state=0).fit(points[name])
        before = time.process_time()
        distortion_lower_bound(torch.from_numpy(points[name]), k)
        found[name] = {
            "num_points": len(points[name]),
            "dimension": points[name].shape[1],
            "num_components": k,
            "lower_bound": projection.lower_bound_,
            "max_distortion": projection.max_distortion_,
            "proven_ratio": projection.proven_ratio_,
            "bound_seconds": time.process_time() - before,
        }
    return {"results": found, "wall_seconds": time.perf_counter() - started}


def _keep(name: str, record: Mapping[str, Any]) -> None:
    write_record(RUNS / f"{name}.json", record)
    print(name, f"{record['wall_seconds']:.1f} s", flush=True)


def results(name: str) -> Mapping[str, Any]:
    """The results of a run that was kept, with its ``wall_seconds``."""
    record = json.loads((RUNS / f"{name}.json").read_text(encoding="utf-8"))
    return {**record["results"], "wall_seconds": record["wall_seconds"]}


def best_known(gset: Path) -> dict[str, float]:
    """The values of the best cuts in the literature, by graph."""
    with (gset / "best_known.csv").open(encoding="utf-8", newline="") as file:
        return {row["instance"]: float(row["best_known"]) for row in csv.DictReader(file)}


def graphs_table(best: Mapping[str, float]) -> str:
    """Write one row per graph of the G-set, and the mean ratios to the best known cuts."""
    with_restarts = f"`--restarts {RESTARTS}`"
    heads = ["graph", "vertices", "edges", "best of 1 000 hyperplanes", "one descent", "seconds"]
    heads += [with_restarts, "seconds", "best known", "proven bound", "proven ratio"]
    runs = {graph: (results(graph), results(f"{graph}-restarts")) for graph in best}
    rows = [
        [
            graph,
            *(f"{one[name]:,}".replace(",", " ") for name in ("num_vertices", "num_edges")),
            f"{one['goemans_williamson_best']:.0f}",
            *(f"{run[name]:.0f}" for run in (one, more) for name in ("cut_value", "wall_seconds")),
            f"{best[graph]:.0f}",
            f"{more['upper_bound']:.1f}",
            f"{more['proven_ratio']:.3f}",
        ]
        for graph, (one, more) in runs.items()
    ]
    ratios = [[run["cut_value"] / best[graph] for run in pair] for graph, pair in runs.items()]
    mean, mean_restarts = np.mean(ratios, axis=0)
    means = f"one descent {mean:.4f}, {with_restarts} {mean_restarts:.4f}"
    lines = [*markdown_table(heads, rows), "", f"Mean ratio to the best known cuts: {means}."]
    return "\n".join(lines)


def triangles_table() -> str:
    """Write one row per family of the Biq Mac library, from the benchmark ``triangle_bounds``."""
    families = benchmark("triangle_bounds")
    heads = ["family", "vertices", "instances", "SDP gap", "triangle gap", "SDP proves"]
    heads += ["triangles prove", "seconds of the triangles, mean", "longest"]
    rows = [
        [
            row["family"],
            row["vertices"],
            str(row["instances"]),
            f"{row['SDP gap %']:.2f}%",
            f"{row['triangle gap %']:.2f}%",
            str(row["SDP proves"]),
            str(row["triangles prove"]),
            f"{row['triangle s']:.1f}",
            f"{row['longest triangle s']:.1f}",
        ]
        for row in families["every family"]
    ]
    return "\n".join(markdown_table(heads, rows))


def qubo_table() -> str:
    """Write one row per family of quadratic problems, from the benchmark ``qubo_bounds``."""

    def spread(row: Mapping[str, Any], column: str, form: str) -> str:
        least, largest = (f"{row[f'{word} {column}']:{form}}" for word in ("least", "largest"))
        return least if least == largest else f"{least} to {largest}"

    rows = [
        [
            row["family"],
            str(row["instances"]),
            spread(row, "variables", "d"),
            f"{spread(row, 'gap %', '.1f')}%",
            f"{spread(row, 'gap % of the range', '.1f')}%",
            f"{row['largest s']:.1f}",
        ]
        for row in benchmark("qubo_bounds")["every family"]
    ]
    heads = ["family", "instances", "variables", "gap relative to the energy"]
    heads += ["in units of its range", "processor seconds, longest"]
    return "\n".join(markdown_table(heads, rows))


def energies_table() -> str:
    """Write one row per family of Biq Mac problems, from the benchmark ``quadratic``."""
    tables = benchmark("quadratic")
    budgets = [title for title in tables if title.startswith("mean gap by family")]
    methods = [name for name in tables[budgets[0]][0] if name not in ("family", "problems")]
    rows = [
        [str(each[0]["family"]), str(each[0]["problems"])]
        + [_gap(row[method]) for row in each for method in methods]
        for each in zip(*(tables[title] for title in budgets), strict=True)
    ]
    heads = ["family", "problems"]
    heads += [f"{method}, {title.split(', ')[-1]}" for title in budgets for method in methods]
    return "\n".join(markdown_table(heads, rows))


def _gap(gap: float) -> str:
    return "0" if gap < 1e-9 else f"{100 * gap:.2g}%"


def benchmark(part: str) -> dict[str, Any]:
    """The tables of one part of benchmarks/results.json, by title."""
    path = ROOT / "benchmarks" / "results.json"
    tables: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))[part]["tables"]
    return tables


def links_table() -> str:
    """Write one row per link and size, from the benchmark ``directions``."""
    methods = ["PrincipalSubspace", "rMAVE", "OPG", "xRFM", "SIR", "SAVE", "PHD"]
    tables = benchmark("directions")
    (title,) = (each for each in tables if each.startswith("every link"))
    rows = [
        [
            str(row["link"]).replace("|", "&#124;"),
            str(row["k"]),
            f"{row['inputs']}, d = {row['d']}, n = {row['n']}",
            *(f"{row[method]:.3f}" for method in methods),
            f"{row['k found']:.0%}",
        ]
        for row in tables[title]
    ]
    return "\n".join(markdown_table(["labels", "k", "inputs", *methods, "k found"], rows))


def samples_table() -> str:
    """Write one row per dimension, from the benchmark ``samples``."""
    tables = benchmark("samples")
    (title,) = (each for each in tables if each.startswith("points n"))
    methods = [name for name in tables[title][0] if name != "d"]
    rows = [
        [str(row["d"]), *("–" if row[m] is None else f"{row[m]:.0f}" for m in methods)]
        for row in tables[title]
    ]
    return "\n".join(markdown_table(["d", *methods], rows))


def reductions_table() -> str:
    """Write one row per data set and k, from the benchmark ``reduction``."""
    methods = ["PrincipalSubspace", "SIR", "LDA", "PLS", "PCA", "no reduction"]
    rows = [
        [
            title.partition(":")[0],
            str(row["k"]),
            *(f"{row[method]:.3f}" if method in row else "–" for method in methods),
        ]
        for title, each in benchmark("reduction").items()
        for row in each
        if row["k"] in (1, 2, 5)
    ]
    return "\n".join(markdown_table(["data", "k", *methods], rows))


def points_table() -> str:
    """Write one row per set of points."""
    heads = ["points", "k", "Gaussian, mean", "PCA, rescaled", "learned", "processor seconds"]
    rows = []
    for name, (words, k) in POINTS.items():
        found = results(name)
        quantities = ("random_mean", "pca_rescaled", "max_distortion")
        numbers = [f"{found[each]:.3f}" for each in quantities]
        rows.append([words, str(k), *numbers, f"{found['seconds']:.1f}"])
    return "\n".join(markdown_table(heads, rows))


def bounds_table() -> str:
    """Write one row per set of points: its lower bound beside the distortion of the learned map."""
    heads = ["points", "k", "lower bound", "learned", "proven ratio"]
    heads.append("processor seconds of the bound")
    words = {
        "figure 6": "figure 6's",
        "text": "TF-IDF of generated text",
        "breast cancer": "breast cancer, standardised",
        "digits": "digits",
    }
    rows = []
    for name, k in BOUND_POINTS.items():
        found = results("bounds")[name]
        size = f"{found['num_points']:,} × {found['dimension']:,}".replace(",", " ")
        numbers = [f"{found[each]:.4f}" for each in ("lower_bound", "max_distortion")]
        numbers += [f"{found['proven_ratio']:.2f}", f"{found['bound_seconds']:.1f}"]
        rows.append([f"{words[name]}, {size}", str(k), *numbers])
    return "\n".join(markdown_table(heads, rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
