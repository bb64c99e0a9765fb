"""Where the paper, its published code and this reproduction differ, with the numbers from a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reproduction.evidence import Record, is_number, summary

Data = dict[str, Any]
NETWORKS, MAXCUT, EMBEDDING = "NeuralNetworks", "MAXCUT", "JohnsonLindenstrauss"


@dataclass(frozen=True)
class Number:
    """A number from the results.json files of an experiment."""

    label: str
    experiment: str
    value: str | Callable[[Data], float]  # its name among the results, or how to compute it
    estimator: str = "exact"
    default_seed_only: bool = False  # whether it is about the data that the default seed draws


@dataclass(frozen=True)
class Difference:
    """A difference, and the numbers that show it."""

    title: str
    text: str
    numbers: tuple[Number, ...]


def _paper_graph(label: str, value: str | Callable[[Data], float]) -> Number:
    return Number(label, MAXCUT, value, default_seed_only=True)


def _guarantee(data: Data) -> float:
    """Return 0.878·OPT; the first claim of Theorem 5.2 contains the ratio."""
    ratio = next(claim["reference"] for claim in data["claims"] if claim["id"] == "T5.2")
    return float(ratio * data["results"]["optimum"])


def _both(label: str, experiment: str, name: str) -> tuple[Number, Number]:
    return (
        Number(f"{label}, exact", experiment, name),
        Number(f"{label}, sampled", experiment, name, estimator="sampled"),
    )


DIFFERENCES = (
    Difference(
        "What random hyperplanes cut of the paper's graph",
        "The paper puts its random baseline near 36. That is 0.878·OPT, what Goemans and "
        "Williamson guarantee, and not what their rounding cuts on average. The published code "
        "rounds eigenvectors of the adjacency matrix; here the vectors solve the relaxation.",
        (
            _paper_graph("0.878·OPT", _guarantee),
            _paper_graph("Goemans–Williamson, exact mean", "goemans_williamson_mean"),
            _paper_graph("Goemans–Williamson, mean of 1 000", "hyperplanes_mean"),
            _paper_graph("uniformly random cut", lambda data: data["results"]["num_edges"] / 2),
            _paper_graph("deterministic cut", "derandomized_cut_value"),
            _paper_graph("optimum by enumeration", "optimum"),
            _paper_graph("value of the relaxation", "sdp_value"),
        ),
    ),
    Difference(
        "One Gaussian draw against the worst of 20",
        "The published baseline of figure 6 is the worst of 20 Gaussian embeddings. A user draws "
        "one, which is much better; claim F6 compares with that.",
        (
            Number("one draw, mean", EMBEDDING, "random_mean"),
            Number("one draw, best", EMBEDDING, "random_min"),
            Number("worst of 20, mean", EMBEDDING, "worst_of_20_mean"),
            Number("worst of 20, best", EMBEDDING, "worst_of_20_min"),
            *_both("learned", EMBEDDING, "max_distortion"),
        ),
    ),
    Difference(
        "How much of W⊥ batches of 50 leave",
        "The paper trains on fresh batches of 50 for 10 000 steps. Their noise keeps ‖W⊥‖/‖W‖ from "
        "vanishing; with the risk computed exactly it does vanish.",
        (
            *_both("‖W⊥‖/‖W‖", NETWORKS, "relative_orthogonal_norm"),
            *_both("risk", NETWORKS, "risk"),
            *_both("steps", NETWORKS, "steps"),
        ),
    ),
    Difference(
        "How many steps Hessian descent takes",
        "The paper gives Hessian descent O(1/ρ^1.5) steps. That is proven for its curvature steps, "
        "at most 1.6(f(x₀) − min f)√(K/ρ³) of them. Its gradient steps of length 1/L are proven to "
        "be at most 2L(f(x₀) − min f)/ρ², so all steps together are O(1/ρ²), as those of PGD. "
        "Claim T4.2 counts both kinds on a landscape with about 1/(Kρ) saddles.",
        (),
    ),
    Difference(
        "How much randomness sampling leaves",
        "MAXCUT's published gradient is a score-function estimate from 100 samples a step, "
        "Johnson–Lindenstrauss's loss the worst of 20 draws; here both expectations are also "
        "computed in closed form.",
        (
            *_both("MAXCUT: ‖V‖ over its start", MAXCUT, "relative_random_weights"),
            *_both("JL: σ over its start", EMBEDDING, "relative_random_weights"),
        ),
    ),
)


def measure(number: Number, records: Sequence[Record]) -> str | None:
    """Return the number with its 95% interval over the seeds; None if no job measures it."""
    values = []
    for record in records:
        job = record.job
        if (job.experiment, job.kind) != (number.experiment, number.estimator):
            continue
        if number.default_seed_only and not job.has_default_seed:
            continue
        data, value = record.data, number.value
        try:
            found = value(data) if callable(value) else data["results"][value]
        except (KeyError, TypeError, ValueError, OverflowError, StopIteration):
            found = None
        if not is_number(found):
            raise ValueError(f"{record.folder / 'results.json'}: no number for {number.label!r}")
        values.append(float(found))
    return summary(values) if values else None
