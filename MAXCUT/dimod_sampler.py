"""A sampler for dimod: the same minimisation, with a proven lower bound in ``info``."""

from typing import Any

import dimod
import numpy as np

from derandomization.checks import require_whole
from MAXCUT.partition import MAX_CUTS
from MAXCUT.quadratic import qubo_model
from MAXCUT.qubo import minimize
from MAXCUT.settings import Bound

# What the info of a sample set has, of the attributes of a QuadraticSolution.
INFO = (
    "lower_bound",
    "bound_proof",
    "gap",
    "relative_gap",
    "gap_in_range",
    "proven_optimal",
    "stopped_by",
)


class DerandomizationSampler(dimod.Sampler):
    """Minimises binary quadratic models of dimod; it takes the place of dwave's samplers.

    Needs dimod: ``pip install derandomization[dimod]``.

    >>> sampleset = DerandomizationSampler().sample(bqm, num_reads=10)
    >>> sampleset.first.energy, sampleset.info["lower_bound"]
    """

    @property
    def properties(self) -> dict[str, Any]:
        """No properties."""
        return {}

    @property
    def parameters(self) -> dict[str, list[str]]:
        """The keyword arguments of ``sample``, each without properties."""
        names = ("num_reads", "restarts", "bound", "time_limit", "target", "initial_state", "seed")
        return {name: [] for name in (*names, "workers")}

    def sample(
        self,
        bqm: dimod.BinaryQuadraticModel,
        *,
        num_reads: int = 1,
        restarts: int = 0,
        bound: Bound = "sdp",
        time_limit: float | None = None,
        target: float | None = None,
        initial_state: dict | None = None,
        seed: int | None = None,
        workers: int = 1,
        **others: Any,
    ) -> dimod.SampleSet:
        """Minimise the model; the first sample is the best.

        Args:
            bqm: a model of bits or of spins, which the samples are too.
            num_reads: the number of samples, different ones as far as there are; at most 1 000 are
                different. If there are fewer, the best is repeated.
            restarts, bound, time_limit, target, workers: as for ``minimize_qubo``.
            initial_state: an assignment to improve, by variable.
            seed: 0 by default: the samples are always the same.
            others: other samplers' arguments are ignored, with a warning.

        Returns:
            A sample set whose ``info`` has ``lower_bound`` (no energy is smaller), ``bound_proof``,
            ``gap``, ``relative_gap``, ``gap_in_range``, ``proven_optimal`` and ``stopped_by`` of
            ``QuadraticSolution``.
        """
        if not isinstance(bqm, dimod.BinaryQuadraticModel):
            kind = type(bqm).__name__
            raise ValueError(f"bqm is a {kind}: it must be a BinaryQuadraticModel of dimod")
        self.remove_unknown_kwargs(**others)
        num_reads = require_whole("num_reads", num_reads, 1)
        solution = minimize(
            qubo_model(bqm),
            spin=bqm.vartype is dimod.SPIN,
            num_assignments=min(num_reads, MAX_CUTS),
            restarts=restarts,
            bound=bound,
            time_limit=time_limit,
            target=target,
            initial=initial_state,
            seed=0 if seed is None else seed,
            workers=workers,
        )
        best = (solution.assignment, solution.energy)
        rest = solution.other_assignments
        found = [best] * (num_reads - len(rest)) + list(rest)
        labels = list(bqm.variables)
        rows = [[assignment[label] for label in labels] for assignment, _ in found]
        return dimod.SampleSet.from_samples(
            (np.array(rows, dtype=np.int8).reshape(len(found), len(labels)), labels),
            vartype=bqm.vartype,
            energy=[energy for _, energy in found],
            info={name: getattr(solution, name) for name in INFO},
            sort_labels=False,
        )
