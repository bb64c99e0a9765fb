"""What the paper claims, which figure shows it, and which command checks it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperClaim:
    """A claim of the paper.

    Attributes:
        statement: in the paper's sense, not what a run makes of it.
        figures: the files, without suffix, of figures that show it, the best first; none where a
            study's own figure does.
    """

    statement: str
    figures: tuple[str, ...] = ()


CLAIMS = {
    "L3.1": PaperClaim(
        "Every ρ-SOSP has ‖W‖ ≤ ρ/(2λ − √(Kρ)): the randomness vanishes with ρ",
        ("figure3_weight_norm", "figure5_largest_deviation", "figure7_variance"),
    ),
    "FOSP": PaperClaim(
        "First order is not enough: plain gradient descent stays at a saddle with W ≠ 0, "
        "perturbed descent leaves it",
        ("figure7_variance",),
    ),
    "F1": PaperClaim(
        "Toy neuron, frozen bias: w* = 0 only for large λ, from λ* on", ("figure1_frozen_bias",)
    ),
    "F2": PaperClaim("Toy neuron, trained bias: w* = 0 at every λ > 0", ("figure2_trained_bias",)),
    "F3": PaperClaim(
        "The rows of the first layer end on the line that the teacher sees", ("figure3_collapse",)
    ),
    "T4.1": PaperClaim(
        "Networks: every ρ-SOSP has ‖W⊥‖ within the lemma's bound", ("figure3_weight_norm",)
    ),
    "T4.2": PaperClaim(
        "PGD takes O(1/ρ²) steps to a ρ-SOSP, Hessian descent O(1/ρ^1.5), and W⊥ goes with ρ"
    ),
    "F4": PaperClaim("The deterministic cut reaches the optimum, 41", ("figure4_cut_value",)),
    "T5.2": PaperClaim(
        "The deterministic cut is worth at least 0.878·OPT, and never less than the expectation "
        "that it started from",
        ("bracket",),
    ),
    "F5": PaperClaim("MAXCUT's random part V → 0", ("figure5_largest_deviation",)),
    "F6": PaperClaim(
        "The learned embedding distorts less than mean and best of 1 000 Gaussian draws",
        ("figure6_distortion",),
    ),
    "T5.5": PaperClaim(
        "The learned embedding M has the Johnson–Lindenstrauss guarantee", ("figure6_distortion",)
    ),
    "F7": PaperClaim("The embedding's σ → 0", ("figure7_variance",)),
    "BIAS": PaperClaim("Biases must be trained: frozen ones carry no guarantee"),
    "REG": PaperClaim("W⊥ vanishes at every λ, however small"),
    "DEPTH": PaperClaim("W⊥ vanishes at every depth and width"),
    "LOSS": PaperClaim("W⊥ vanishes under every smooth loss"),
    "OPT": PaperClaim(
        "What does it: PGD, Hessian descent, and strong regularization, in comparison"
    ),
    "NG": PaperClaim("Open question: inputs that are not Gaussian"),
    "GEN": PaperClaim("Open question: does it need fewer samples?"),
    "SGD": PaperClaim("Open question: SGD without explicit noise"),
}


@dataclass(frozen=True)
class Command:
    """One command of an experiment, and the claims that its results.json makes.

    Attributes:
        experiment: the folder.
        claims: ids.
        seconds: about what it takes of one core, by estimator for an experiment: the longest go
            first, and the progress bar knows what is left. Nothing else depends on it.
        study: the subcommand; empty for the experiment itself.
        default_only: ids that are about the paper's own graph, which the default seed draws.
    """

    experiment: str
    claims: tuple[str, ...]
    seconds: tuple[float, ...]
    study: str = ""
    default_only: tuple[str, ...] = ()


ESTIMATORS = ("exact", "sampled")
EXPERIMENTS = (
    Command("NeuralNetworks", ("F1", "F2", "F3", "T4.1", "L3.1"), (15, 23)),
    Command("MAXCUT", ("F4", "T5.2", "F5", "L3.1"), (6, 8), default_only=("F4",)),
    Command("JohnsonLindenstrauss", ("F6", "T5.5", "F7", "L3.1", "FOSP"), (7, 18)),
)
STUDIES = (
    Command("NeuralNetworks", ("BIAS", "T4.1", "L3.1"), (200,), "biases"),
    Command("NeuralNetworks", ("REG", "T4.1", "L3.1"), (140,), "regularization"),
    Command("NeuralNetworks", ("DEPTH", "T4.1", "L3.1"), (300,), "depth"),
    Command("NeuralNetworks", ("LOSS", "T4.1", "L3.1"), (100,), "losses"),
    Command("NeuralNetworks", ("T4.1", "L3.1"), (200,), "multi-index"),
    Command("NeuralNetworks", ("OPT", "SGD"), (90,), "optimizers"),
    Command("NeuralNetworks", ("T4.2",), (160,), "accuracy"),
    Command("NeuralNetworks", ("FOSP",), (200,), "saddles"),
    Command("NeuralNetworks", ("OPT",), (260,), "strong-regularization"),
    Command("NeuralNetworks", ("NG",), (100,), "inputs"),
    Command("NeuralNetworks", ("GEN",), (80,), "generalization"),
    Command("MAXCUT", ("T5.2", "OPT", "F5", "L3.1"), (400,), "guarantee"),
    Command("MAXCUT", ("T5.2",), (200,), "baselines"),
    Command("MAXCUT", (), (200,), "cost"),
    Command("JohnsonLindenstrauss", ("T5.5", "F7"), (200,), "guarantee"),
    Command("JohnsonLindenstrauss", ("F6", "GEN"), (200,), "baselines"),
)


def parse_ids(words: str) -> tuple[str, ...]:
    """The claim ids in ``F4,T5.2``; none in an empty string.

    Raises:
        ValueError: there is no such claim.
    """
    ids = tuple(word.strip() for word in words.split(",") if word.strip())
    for id in ids:
        if id not in CLAIMS:
            raise ValueError(f"only is {id!r}: no such claim; there are {', '.join(CLAIMS)}")
    if words and not ids:
        raise ValueError(f"only is {words!r}: it must name claims, such as F4,T5.2")
    return ids


def commands_for(ids: tuple[str, ...], *, full: bool) -> list[Command]:
    """The commands to run: for all claims, or for some of them.

    Args:
        ids: the claims; empty is all.
        full: with the studies; without, they run only for claims that nothing else checks.
    """
    if not ids:
        return [*EXPERIMENTS, *(STUDIES if full else ())]
    wanted = [each for each in EXPERIMENTS if set(ids) & set(each.claims)]
    checked = {id for each in wanted for id in each.claims}
    lacking = set(ids) if full else set(ids) - checked
    return [*wanted, *(each for each in STUDIES if lacking & set(each.claims))]
