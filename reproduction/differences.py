"""Where the paper, its published code and this reproduction differ, as far as a run can show."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reproduction.evidence import Record, summary

Data = dict[str, Any]


@dataclass(frozen=True)
class Number:
    """A number of a results.json.

    Attributes:
        label: what it is.
        experiment: whose.
        kind: its estimator.
        read: finds it in the record.
        default_only: of the default seed alone, which draws the paper's own graph.
    """

    label: str
    experiment: str
    kind: str
    read: Callable[[Data], float]
    default_only: bool = False


@dataclass(frozen=True)
class Difference:
    """A difference, and the numbers that show it."""

    title: str
    text: str
    numbers: tuple[Number, ...]


def _result(name: str) -> Callable[[Data], float]:
    return lambda data: float(data["results"][name])


def _guarantee(data: Data) -> float:
    """0.878·OPT: Theorem 5.2's first claim has the ratio."""
    ratio = next(claim["paper"] for claim in data["claims"] if claim["id"] == "T5.2")
    return float(ratio * data["results"]["optimum"])


def _graph(label: str, read: Callable[[Data], float]) -> Number:
    return Number(label, "MAXCUT", "exact", read, default_only=True)


def _both(label: str, experiment: str, name: str) -> tuple[Number, Number]:
    return (
        Number(f"{label}, exact", experiment, "exact", _result(name)),
        Number(f"{label}, sampled", experiment, "sampled", _result(name)),
    )


DIFFERENCES = (
    Difference(
        "What random hyperplanes cut of the paper's graph",
        "The paper puts its random baseline near 36. That is 0.878·OPT, what Goemans and "
        "Williamson guarantee, and not what their rounding cuts on average. The published code "
        "rounds eigenvectors of the adjacency matrix; here the vectors solve the relaxation.",
        (
            _graph("0.878·OPT", _guarantee),
            _graph("Goemans–Williamson, exact mean", _result("expected_cut_start")),
            _graph("Goemans–Williamson, mean of 1 000", _result("goemans_williamson_mean")),
            _graph("uniformly random cut", lambda data: data["results"]["num_edges"] / 2),
            _graph("deterministic cut", _result("cut_value_before_polish")),
            _graph("optimum by enumeration", _result("optimum")),
            _graph("value of the relaxation", _result("sdp_value")),
        ),
    ),
    Difference(
        "One Gaussian draw against the worst of 20",
        "The published baseline of figure 6 is the worst of 20 Gaussian embeddings. A user draws "
        "one, which is much better; claim F6 compares with that.",
        (
            Number("one draw, mean", "JohnsonLindenstrauss", "exact", _result("random_mean")),
            Number("one draw, best", "JohnsonLindenstrauss", "exact", _result("random_min")),
            Number(
                "worst of 20, mean", "JohnsonLindenstrauss", "exact", _result("worst_of_20_mean")
            ),
            Number(
                "worst of 20, best", "JohnsonLindenstrauss", "exact", _result("worst_of_20_min")
            ),
            *_both("learned", "JohnsonLindenstrauss", "max_distortion"),
        ),
    ),
    Difference(
        "How much of W⊥ batches of 50 leave",
        "The paper trains on fresh batches of 50 for 10 000 steps. Their noise keeps ‖W⊥‖/‖W‖ from "
        "vanishing; with the risk computed exactly it does vanish.",
        (
            *_both("‖W⊥‖/‖W‖", "NeuralNetworks", "relative_orthogonal_norm"),
            *_both("risk", "NeuralNetworks", "risk"),
            *_both("steps", "NeuralNetworks", "steps"),
        ),
    ),
    Difference(
        "How much randomness sampling leaves",
        "MAXCUT's published gradient is a score-function estimate from 100 samples a step, "
        "Johnson–Lindenstrauss's loss the worst of 20 draws; here both expectations are also "
        "computed in closed form.",
        (
            *_both("MAXCUT: ‖V‖ over its start", "MAXCUT", "relative_random_weights"),
            *_both("JL: σ over its start", "JohnsonLindenstrauss", "relative_random_weights"),
        ),
    ),
)


def measure(number: Number, records: Sequence[Record]) -> str | None:
    """The number with its 95% interval over the seeds; None if no part of this run has it.

    Raises:
        ValueError: the part ran, and its results.json lacks the number.
    """
    values = []
    for record in records:
        part = record.part
        if (part.experiment, part.kind) != (number.experiment, number.kind):
            continue
        if number.default_only and "F4" not in part.claims:
            continue
        try:
            values.append(number.read(record.data))
        except (KeyError, TypeError, StopIteration):
            raise ValueError(
                f"{record.folder / 'results.json'}: no number for {number.label!r}"
            ) from None
    return summary(values) if values else None
