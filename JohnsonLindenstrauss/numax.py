"""NuMax: the linear map of least nuclear norm with a given distortion, to compare its rank."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from derandomization.checks import require_between
from derandomization.laboratory.threads import computing_threads
from JohnsonLindenstrauss.pairs import Embedding, Points, distinct_points, span, squared_distances

MAX_POINTS = 400
TOLERANCE = 1e-4  # of the residuals, relative, and of the constraints that are not in the program
LEAST_EIGENVALUE = 1e-3  # share of the largest above which an eigenvalue counts for the rank
MAX_ITERATIONS, MAX_ROUNDS = 5_000, 40
FIRST_PAIRS, MORE_PAIRS = 12, 8  # constraints at first and added in a round, times the rank
CHECK_INTERVAL = 20


class NuMax(NamedTuple):
    """A solution of NuMax's program."""

    embedding: Embedding  # A with AᵀA = P, its rows those of the eigenvalues that count
    nuclear_norm: float  # tr P
    distortion: float  # max |vᵀPv − 1| over all pairs, at most ε up to the tolerance
    converged: bool  # whether residuals and constraints are within the tolerance

    @property
    def rank(self) -> int:
        """The number of eigenvalues above ``LEAST_EIGENVALUE`` of the largest."""
        return len(self.embedding)


@computing_threads()
def numax(points: Points, eps: float) -> NuMax:
    """Minimise tr P over P ⪰ 0 with |vᵀPv − 1| ≤ ε for the unit differences v of all pairs.

    The trace stands for the rank, so the rank of the solution is what this relaxation needs for ε:
    other methods are told k, this one finds it. Solved by the alternating direction method of
    multipliers on a growing set of pairs: those outside their range are added until none is.

    Hegde, Sankaranarayanan, Yin, Baraniuk, *NuMax: a convex approach for learning near-isometric
    linear embeddings*, IEEE Transactions on Signal Processing 2015.

    Args:
        points: at most ``MAX_POINTS`` distinct ones in R^d.
        eps: from 0 to below 1; 1 would allow P = 0.

    Raises:
        ValueError: an argument is outside its range, or all points are equal.
    """
    if not 0 <= eps < 1:
        raise ValueError(f"eps is {eps}: it must be at least 0 and below 1")
    distinct = distinct_points(points, "points").points
    require_between("the number of distinct points", len(distinct), 2, MAX_POINTS)
    coordinates, basis = span(distinct)
    first, second = torch.triu_indices(len(coordinates), len(coordinates), 1)
    lengths = squared_distances(coordinates, coordinates)[first, second]
    rank = coordinates.shape[1]
    solver = _Solver(rank, eps)
    ratios = torch.zeros_like(lengths)
    chosen = torch.randperm(len(first), generator=torch.Generator().manual_seed(0))
    chosen = chosen[: FIRST_PAIRS * rank]
    converged = False
    for _ in range(MAX_ROUNDS):
        differences = coordinates[first[chosen]] - coordinates[second[chosen]]
        solved = solver.solve(differences / lengths[chosen, None].sqrt(), chosen)
        images = coordinates @ solver.root()
        ratios = squared_distances(images, images)[first, second] / lengths
        excess = (ratios - 1).abs() - eps
        excess[chosen] = -1  # their residuals are the solver's
        worst = excess.topk(min(MORE_PAIRS * rank, len(excess)))
        added = worst.indices[worst.values > TOLERANCE]
        converged = solved and len(added) == 0
        if len(added) == 0:
            break
        chosen = torch.cat([chosen[solver.binding()], added])
    eigenvalues, vectors = torch.linalg.eigh(solver.matrix)
    counted = eigenvalues > LEAST_EIGENVALUE * eigenvalues[-1]
    embedding = (vectors[:, counted] * eigenvalues[counted].sqrt()).T @ basis
    distortion = float((ratios - 1).abs().max())
    return NuMax(embedding, float(eigenvalues.sum()), distortion, converged)


class _Solver:
    """ADMM for min tr P with P = L ⪰ 0 and vᵀPv = q in [1 − ε, 1 + ε], over a list of pairs.

    The scaled multipliers of L and of every pair are kept from one list to the next.
    """

    def __init__(self, rank: int, eps: float) -> None:
        self.eps, self.penalty = eps, 1.0
        self.matrix = torch.eye(rank, dtype=torch.float64)  # L
        self._matrix_multiplier = torch.zeros_like(self.matrix)
        self._pairs: dict[int, float] = {}
        self._multipliers = torch.zeros(0, dtype=torch.float64)

    def root(self) -> Float[Tensor, "rank rank"]:
        """R with RRᵀ = L."""
        values, vectors = torch.linalg.eigh(self.matrix)
        return vectors * values.clamp(min=0).sqrt()

    def binding(self) -> Tensor:
        """Which pairs of the list have a multiplier: only they hold the solution back."""
        return self._multipliers.abs() > 1e-9 * self._multipliers.abs().max()

    def solve(self, units: Float[Tensor, "pairs rank"], names: Int[Tensor, " pairs"]) -> bool:
        """Iterate until both residuals are within ``TOLERANCE``; whether they are."""
        gram = (units @ units.T).square_()
        gram.diagonal().add_(1)
        factor = torch.linalg.cholesky(gram)
        known = [self._pairs.get(name, 0.0) for name in names.tolist()]
        u = torch.tensor(known, dtype=torch.float64) / self.penalty
        low, high = 1 - self.eps, 1 + self.eps
        q = _values(units, self.matrix).clamp(low, high)
        done = False
        for iteration in range(1, MAX_ITERATIONS + 1):
            right = self.matrix - self._matrix_multiplier + _adjoint(units, q - u)
            right.diagonal().sub_(1 / self.penalty)
            solution = torch.cholesky_solve(_values(units, right)[:, None], factor)[:, 0]
            primal = right - _adjoint(units, solution)
            values = _values(units, primal)
            before, q_before = self.matrix, q
            self.matrix = _nearest_semidefinite(primal + self._matrix_multiplier)
            q = (values + u).clamp(low, high)
            self._matrix_multiplier += primal - self.matrix
            u += values - q
            if iteration % CHECK_INTERVAL == 0:
                gap = float(torch.hypot((primal - self.matrix).norm(), (values - q).norm()))
                scale = float(torch.hypot(self.matrix.norm(), q.norm()))
                moved = self.matrix - before + _adjoint(units, q - q_before)
                change = self.penalty * float(moved.norm()) / len(self.matrix) ** 0.5
                # The multipliers' conditions add up to the identity, of norm √rank.
                done = gap <= TOLERANCE * scale and change <= TOLERANCE
                if done:
                    break
                self._balance(gap / scale, change, u)
        self._multipliers = u
        self._pairs = dict(zip(names.tolist(), (u * self.penalty).tolist(), strict=True))
        return done

    def _balance(self, gap: float, change: float, u: Tensor) -> None:
        """Change the penalty where one residual is ten times the other."""
        factor = 2.0 if gap > 10 * change else 0.5 if change > 10 * gap else 1.0
        self.penalty *= factor
        self._matrix_multiplier /= factor
        u /= factor


def _values(units: Float[Tensor, "pairs rank"], matrix: Tensor) -> Float[Tensor, " pairs"]:
    """vᵀPv for every row v."""
    return ((units @ matrix) * units).sum(dim=1)


def _adjoint(units: Float[Tensor, "pairs rank"], weights: Tensor) -> Float[Tensor, "rank rank"]:
    """Σ w vvᵀ, the adjoint of ``_values``."""
    return units.T @ (weights[:, None] * units)


def _nearest_semidefinite(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    positive = values > 0
    return (vectors[:, positive] * values[positive]) @ vectors[:, positive].T
