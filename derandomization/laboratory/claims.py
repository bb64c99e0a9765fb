"""What an experiment declares about the paper: its claims, and the commands that check them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PaperClaim:
    """A claim of the paper, or a question about it.

    Attributes:
        statement: what the paper says, independent of what a run measures.
        figures: names, without suffix, of the figures that show it, the best one first; empty if
            the first figure of the study that checks it does.
        default_seed_only: whether it is about the data that the default seed draws.
    """

    statement: str
    figures: tuple[str, ...] = ()
    default_seed_only: bool = False


@dataclass(frozen=True)
class Command:
    """A command of an experiment.

    Attributes:
        claims: ids of the claims in the ``results.json`` that it writes.
        seconds: rough run time on one core; only the order of the runs and the progress bar use it.
    """

    claims: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class ExperimentClaims:
    """The ``CLAIMS`` of an experiment's ``main.py``.

    Attributes:
        paper: by id, the claims that figures and theorems of the paper make.
        commands: by name, what can be run: a value of ``--estimator`` or a study.
        questions: by id, what studies ask beyond the figures and theorems.
    """

    paper: Mapping[str, PaperClaim]
    commands: Mapping[str, Command]
    questions: Mapping[str, PaperClaim] = field(default_factory=dict)
