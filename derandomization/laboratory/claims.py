"""What an experiment declares about the paper: its claims, and the commands that check them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PaperClaim:
    """A claim of the paper, or a question about it; it does not depend on what a run measures.

    ``figures`` are the names, without suffix, of the figures that show it, the best one first; if
    empty, the first figure of the study that checks the claim is shown.
    """

    statement: str
    figures: tuple[str, ...] = ()
    default_seed_only: bool = False  # whether it is about the data that the default seed draws
    is_open: bool = False  # whether it is a question that no theorem decides


@dataclass(frozen=True)
class Command:
    """A command of an experiment: the ids of the claims that it makes, and its rough run time."""

    claims: tuple[str, ...]
    seconds: float  # on one core; only the order of the runs and the progress bar use it


@dataclass(frozen=True)
class ExperimentClaims:
    """The ``CLAIMS`` of an experiment's ``main.py``: the paper's by id, the commands checking them
    by name (a value of ``--estimator`` or a study), and by id what studies ask beyond the paper.
    """

    paper: Mapping[str, PaperClaim]
    commands: Mapping[str, Command]
    questions: Mapping[str, PaperClaim] = field(default_factory=dict)
