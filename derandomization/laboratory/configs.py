"""The options that experiments and studies share.

``--help`` reads them, and so importing this module imports no library: torch is imported by the
methods that need it.
"""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from derandomization.laboratory.plain import plain
from derandomization.laboratory.settings import (
    Constraint,
    NotWith,
    PositiveFloat,
    PositiveInt,
    check_fields,
)

if TYPE_CHECKING:
    import torch

CHECKPOINT_SECONDS = 30.0
CHECKPOINT = "checkpoint.pt"
# Where and what a run writes and prints, and on how many cores: no number depends on these.
NOT_SETTINGS = (
    "output_dir",
    "figures",
    "vector_figures",
    "quiet",
    "resume",
    "checkpoint_every",
    "workers",
    "scheduler",
)


@dataclass(frozen=True, kw_only=True)
class BasicRunConfig:
    """The fields of every command that writes a folder."""

    options_title: ClassVar[str] = "the run and its files"

    seed: int = 0
    """Seed of every random choice of the run."""
    output_dir: Path
    """Folder for results.json, history.npz and the figures; made if missing."""
    figures: bool = True
    """Write the figures as PNG."""
    vector_figures: bool = False
    """Write each figure as PDF and SVG too, for a publication."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device that computes; auto takes a GPU if there is one."""
    quiet: bool = False
    """Print errors only."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.device == "cuda":
            import torch

            if not torch.cuda.is_available():
                raise ValueError("device is cuda: torch finds no GPU here; use auto or cpu")

    def settings(self) -> dict[str, Any]:
        """The fields on which numbers may depend, in JSON's types."""
        fields = plain(asdict(self))
        return {name: value for name, value in fields.items() if name not in NOT_SETTINGS}

    def generator(self) -> "torch.Generator":
        """A new random generator with the run's seed."""
        import torch

        return torch.Generator().manual_seed(self.seed)

    def torch_device(self) -> "torch.device":
        """The device that computes."""
        import torch

        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)


@dataclass(frozen=True, kw_only=True)
class RunConfig(BasicRunConfig):
    """The fields of a command that keeps what is done when it is interrupted."""

    options_title: ClassVar[str] = BasicRunConfig.options_title

    resume: bool = False
    """Resume from the checkpoint that an interrupted run of the same settings left."""
    checkpoint_every: PositiveFloat = CHECKPOINT_SECONDS
    """Seconds between two checkpoints of a descent."""


def _require_address(name: str, value: str) -> None:
    if "://" not in value:
        raise ValueError(f"{name} is {value!r}: it must be an address such as tcp://host:8786")


@dataclass(frozen=True, kw_only=True)
class WorkersConfig:
    """The fields of every command that shares its work among processes."""

    options_title: ClassVar[str] = "processes"

    workers: Annotated[PositiveInt, NotWith("scheduler", "its workers share the work")] = field(
        default_factory=lambda: os.cpu_count() or 1
    )
    """Processes that share the work; by default one per core."""
    scheduler: Annotated[str | None, Constraint(_require_address)] = None
    """Address of a Dask scheduler, such as tcp://host:8786, to share the work among its workers."""
