"""Figures 6 and 7: a random embedding that becomes one good deterministic embedding."""

from derandomization.laboratory.output import stop_in_one_line

if __name__ == "__main__":
    stop_in_one_line()  # before the imports below, so that Ctrl-C is one line there too

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from derandomization.laboratory.claims import Command, ExperimentClaims, PaperClaim
from derandomization.laboratory.command_line import launch
from derandomization.laboratory.configs import RunConfig
from derandomization.laboratory.settings import AtLeast, NotWith, OnlyWith, PositiveInt
from JohnsonLindenstrauss.settings import BLOCK_SIZE, Estimator
from JohnsonLindenstrauss.studies import STUDIES

NOT_OF_FILES = NotWith("data", "the table in the file has its own shape")

CLAIMS = ExperimentClaims(
    paper={
        "F6": PaperClaim(
            "The learned embedding distorts less than mean and best of 1 000 Gaussian draws",
            ("figure6_distortion",),
        ),
        "T5.5": PaperClaim(
            "The learned embedding M has the Johnson–Lindenstrauss guarantee",
            ("figure6_distortion",),
        ),
        "F7": PaperClaim("The embedding's σ → 0", ("figure7_variance",)),
    },
    commands={
        "exact": Command(("F6", "T5.5", "F7", "L3.1", "FOSP"), seconds=7),
        "sampled": Command(("F6", "T5.5", "F7", "L3.1", "FOSP"), seconds=18),
        "guarantee": Command(("T5.5", "F7"), seconds=200),
        "baselines": Command(("F6",), seconds=500),
        "new-points": Command(("NEW",), seconds=180),
    },
    questions={
        "NEW": PaperClaim(
            "With a random complement or the mean square objective, a learned embedding keeps "
            "distances of new points as well as a Gaussian one or rescaled PCA"
        ),
    },
)


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    """Turn the random Johnson–Lindenstrauss embedding into one deterministic embedding.

    Reproduces figures 6 and 7 and checks Theorem 5.5 at the point where the descent ends.
    """

    output_dir: Path = Path("results/JohnsonLindenstrauss")
    """Folder for results.json, history.npz, embedding.npy and the figures; made if missing."""
    num_points: Annotated[PositiveInt, NOT_OF_FILES] = 100
    """Number n of points, uniform in the cube [0, 1]^d and normalised."""
    dimension: Annotated[PositiveInt, NOT_OF_FILES] = 500
    """Dimension d of the points."""
    num_components: PositiveInt = 30
    """Dimension k of the embedding, at most d."""
    data: Path | None = None
    """File of points to embed instead of random ones: .npy, .npz, .csv or .mtx, one point per
    row."""
    normalize: Annotated[bool, OnlyWith("data")] = False
    """Scale every point of the file to length 1; without --pairs this is always done."""
    pairs: bool = False
    """Keep the distances of all pairs of points instead of the points' lengths."""
    block_size: Annotated[PositiveInt, OnlyWith("pairs")] = BLOCK_SIZE
    """With --pairs: number of rows of the n×n matrices that are held in memory at a time."""
    steps: Annotated[int | None, AtLeast(1)] = None
    """Maximum number of descent steps; default 3000 exact, 5000 (paper) sampled, 2940 for pairs."""
    estimator: Estimator = "exact"
    """exact: the closed-form objective; sampled: the published loss, from batches of 20 draws."""
    objective: Literal["moment", "exceedance"] = "moment"
    """moment: mean squared distortion, for pairs its softened maximum; exceedance: the theorem's
    union bound on the probability of a distortion above ε, at the ε where it starts at 1/2."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data is None:
            self.require_dimension(self.dimension)
        if self.estimator == "sampled" and (self.pairs or self.objective == "exceedance"):
            raise ValueError("estimator is sampled: pairs and exceedance are computed exactly only")
        if self.pairs and self.objective == "exceedance":
            raise ValueError("objective is exceedance: it is for points; with --pairs use moment")

    def require_dimension(self, dimension: int) -> None:
        """Raise ``ValueError`` unless k is at most d."""
        if self.num_components > dimension:
            of = "the dimension" if self.data is None else f"the dimension of {self.data}"
            raise ValueError(
                f"num_components is {self.num_components}: it must be at most {of}, {dimension}"
            )


def main(config: Config) -> None:
    """Run figures 6 and 7 and write everything to ``config.output_dir``."""
    from JohnsonLindenstrauss.experiment import run_experiment

    run_experiment(config)


def command() -> None:
    """Run what the command line says."""
    launch(main, Config, STUDIES)


if __name__ == "__main__":
    command()
