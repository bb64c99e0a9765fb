"""Finding, from a sample alone, the directions of the input on which the labels depend.

A network with weight decay is trained on all inputs; its average outer product of gradients
E[∇ŷ∇ŷᵀ] has large eigenvalues along the directions that matter. These are a start only: a network
whose first layer is W = VF, with k rows in F, is then trained over V and F together, so that the
subspace moves until it rests. Fewer parameters than hd follow the noise, and the error is smaller,
two to six times on the links of the benchmark. Decays and k are chosen on held-out rows.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.optimize
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from NeuralNetworks.losses import Loss
from NeuralNetworks.model import LowRankStudent, Student
from NeuralNetworks.risk import Dataset, PopulationRisk

Network = Student | LowRankStudent
Losses = Float[np.ndarray, " rows"]

# λ, on the scale of labels of variance 1, from large to small: each starts where the last ended.
FULL_DECAYS = (3e-2, 1e-2, 3e-3)  # of a network of all inputs
DECAYS = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4)  # of a network of k directions, which needs less
FOLDS = 3
SPARE_DIRECTIONS = 2  # with which a network of k directions starts, before it is reduced to k
FEWEST_CANDIDATES = 3  # the largest k tried at first is no smaller
SMALLEST_EIGENVALUE = 0.01  # of E[∇ŷ∇ŷᵀ], as a share of the largest: below it is the sample's
MAX_ROWS = 6_000  # of those on which k, λ and the first directions are chosen
GRADIENT_TOLERANCE, VALUE_TOLERANCE, MEMORY = 1e-6, 1e-9, 20  # of L-BFGS


@dataclass(frozen=True)
class Settings:
    """What stays the same in all trainings of one search.

    Attributes:
        loss, outputs: ℓ, and the number of the network's outputs that it takes.
        hidden_units: h.
        decays, full_decays: the values of λ to choose from, largest first, for a network of k
            directions and for one of all inputs.
        max_iter: most iterations of L-BFGS for one value of λ.
        num_starts: random initial networks; that with the smallest objective is kept.
        generator: of initial weights and folds.
    """

    loss: Loss
    outputs: int
    hidden_units: int
    decays: tuple[float, ...]
    full_decays: tuple[float, ...]
    max_iter: int
    num_starts: int
    generator: torch.Generator


@dataclass(frozen=True)
class Choice:
    """The number of directions, and λ of either network, with the smallest held-out loss.

    ``held_out`` holds, for each row, what a network that was not trained on it predicts;
    ``losses_by_components`` the mean held-out loss of each k that was tried.
    """

    num_components: int
    decay: float
    full_decay: float
    rows: Tensor
    held_out: Tensor
    losses_by_components: dict[int, float] = field(default_factory=dict)


def risk_of(network: Network, data: Dataset, decay: float, settings: Settings) -> PopulationRisk:
    """The empirical risk, with λ = ``decay`` on W and on a/h."""
    return PopulationRisk(network, data, decay, settings.loss, output_decay=decay)


def minimize(objective: PopulationRisk, max_iter: int) -> scipy.optimize.OptimizeResult:
    """Minimise in place by L-BFGS, ten times faster here than gradient descent."""
    parameters = [p for p in objective.parameters() if p.requires_grad]
    # In units of a/h the curvature is alike in all parameters.
    width = objective.student.output.shape[-1]
    scales = [width if p is objective.student.output else 1.0 for p in parameters]
    scale = torch.cat(
        [p.new_full((p.numel(),), s) for p, s in zip(parameters, scales, strict=True)]
    )
    flat = parameters_to_vector(p.detach() for p in parameters)
    vector_to_parameters(flat, parameters)  # as views: a change of ``flat`` changes them

    def value_and_gradient(vector: np.ndarray) -> tuple[float, np.ndarray]:
        torch.mul(torch.from_numpy(vector), scale, out=flat)
        value = objective()
        gradients = torch.autograd.grad(value, parameters)
        gradient = torch.cat([each.reshape(-1) for each in gradients]).mul_(scale)
        return float(value.detach()), gradient.numpy()

    options = {
        "maxiter": max_iter,
        "maxcor": MEMORY,
        "ftol": VALUE_TOLERANCE,
        "gtol": GRADIENT_TOLERANCE,
    }
    end = scipy.optimize.minimize(
        value_and_gradient, (flat / scale).numpy(), jac=True, method="L-BFGS-B", options=options
    )
    torch.mul(torch.from_numpy(end.x), scale, out=flat)
    return end


def gradient_outer_product(
    network: Network, inputs: Float[Tensor, "points dimension"]
) -> Float[Tensor, "directions directions"]:
    """E[∇ŷ∇ŷᵀ], summed over outputs; for a low-rank student in the coordinates Fx."""
    student = network.student if isinstance(network, LowRankStudent) else network
    seen = inputs @ network.frame.T if isinstance(network, LowRankStudent) else inputs
    seen = seen.detach().requires_grad_(True)
    predictions = student(seen).reshape(len(seen), -1)
    if predictions.shape[1] > 1:  # a shift of all log odds changes no probability
        predictions = predictions - predictions.mean(dim=1, keepdim=True)
    total = seen.new_zeros(seen.shape[1], seen.shape[1])
    for column in predictions.T:
        (gradient,) = torch.autograd.grad(column.sum(), seen, retain_graph=True)
        total += gradient.T @ gradient / len(seen)
    return total


def initial_student(dimension: int, settings: Settings) -> Student:
    """A student with tanh units whose kinks are spread over the inputs."""
    student = Student(
        dimension,
        settings.hidden_units,
        settings.generator,
        activation=nn.Tanh(),
        frozen=(),
        outputs=settings.outputs,
    )
    with torch.no_grad():  # at b = 0 every unit would be odd
        student.bias.uniform_(-1.5, 1.5, generator=settings.generator)
    return student


def restrict(network: Network, inputs: Tensor, num_components: int) -> LowRankStudent:
    """The network reduced to the leading eigenvectors of E[∇ŷ∇ŷᵀ]."""
    product = gradient_outer_product(network, inputs)
    leading = torch.linalg.eigh(product).eigenvectors.flip(1)[:, :num_components].T
    if isinstance(network, LowRankStudent):
        student, frame = copy.deepcopy(network.student), leading @ network.frame
    else:
        student, frame = copy.deepcopy(network), leading
    student.weight = nn.Parameter(student.weight.detach() @ leading.T)
    return LowRankStudent(student, frame)


def lift(network: LowRankStudent) -> Student:
    """The same function as a student of all inputs."""
    student = copy.deepcopy(network.student)
    student.weight = nn.Parameter(network.weight.detach().clone())
    return student


def refine(
    network: LowRankStudent, data: Dataset, decay: float, settings: Settings, max_iter: int
) -> float:
    """Train V, F, b and a together; returns the objective."""
    network.orthonormalize()
    value = float(minimize(risk_of(network, data, decay, settings), max_iter).fun)
    network.orthonormalize()
    return value


def full_path(data: Dataset, settings: Settings) -> Iterator[Student]:
    """A network of all inputs, trained with every λ in turn; it is changed in place."""
    student = initial_student(data.inputs.shape[1], settings)
    for decay in settings.full_decays:
        minimize(risk_of(student, data, decay, settings), settings.max_iter)
        yield student


def path(
    network: LowRankStudent, data: Dataset, settings: Settings
) -> Iterator[tuple[float, LowRankStudent]]:
    """The network trained with every λ in turn, largest first; it is changed in place."""
    for decay in settings.decays:
        refine(network, data, decay, settings, settings.max_iter)
        yield decay, network


def fit_subspace(
    data: Dataset, num_components: int, decay: float, settings: Settings
) -> LowRankStudent:
    """The network of k directions with the smallest objective over the starts."""
    dimension = data.inputs.shape[1]
    first = min(num_components + SPARE_DIRECTIONS, dimension)
    subset = subsample(data, settings.generator)
    best, lowest = None, np.inf
    for _ in range(settings.num_starts):
        *_, student = full_path(subset, settings)
        network = restrict(student, subset.inputs, first)
        if first > num_components:
            refine(network, subset, max(settings.decays), settings, settings.max_iter)
            network = restrict(network, subset.inputs, num_components)
        value = np.inf
        for each in [each for each in settings.decays if each > decay] + [decay, decay]:
            value = refine(network, data, each, settings, settings.max_iter)
        if best is None or value < lowest:
            best, lowest = network, value
    assert best is not None
    return best


def subsample(data: Dataset, generator: torch.Generator) -> Dataset:
    """At most ``MAX_ROWS`` of the rows."""
    if len(data.labels) <= MAX_ROWS:
        return data
    rows = torch.randperm(len(data.labels), generator=generator)[:MAX_ROWS]
    return Dataset(data.inputs[rows], data.labels[rows])


def choose(data: Dataset, num_components: int | None, settings: Settings) -> Choice:
    """k, if it is None, and λ by cross-validation on at most ``MAX_ROWS`` rows."""
    count, dimension = data.inputs.shape
    rows = torch.randperm(count, generator=settings.generator)[:MAX_ROWS]
    folds = [fold for fold in rows.chunk(FOLDS) if len(fold)]
    splits = [(torch.cat([f for f in folds if f is not fold]), fold) for fold in folds]
    if len(folds) < 2:
        raise ValueError(f"X has {count} rows: at least 2 are needed")
    searches = [
        _FoldSearch(
            Dataset(data.inputs[fitted], data.labels[fitted]),
            Dataset(data.inputs[held_out], data.labels[held_out]),
            settings,
        )
        for fitted, held_out in splits
    ]
    losses_by_components: dict[int, float] = {}
    if num_components is None:
        num_components, losses_by_components = _choose_components(searches, dimension)
    paths = [search.along_path(num_components) for search in searches]
    best = int(np.mean([[loss.mean() for loss, _ in each] for each in paths], axis=0).argmin())
    best_full = int(np.mean([search.full_losses for search in searches], axis=0).argmin())
    return Choice(
        num_components,
        settings.decays[best],
        settings.full_decays[best_full],
        torch.cat([held_out for _, held_out in splits]),
        torch.cat([each[best][1] for each in paths]),
        losses_by_components,
    )


def _choose_components(
    searches: Sequence["_FoldSearch"], dimension: int
) -> tuple[int, dict[int, float]]:
    """The smallest k whose held-out loss is not clearly above that of the best k."""
    largest = min(max(search.candidates for search in searches), dimension)
    while True:
        by_fold = [search.losses_by_components(largest) for search in searches]
        losses = {k: np.concatenate([each[k] for each in by_fold]) for k in by_fold[0]}
        chosen = smallest_sufficient(losses)
        if chosen < largest or largest == dimension:
            return chosen, {k: float(each.mean()) for k, each in sorted(losses.items())}
        largest = min(2 * largest, dimension)


def smallest_sufficient(losses: dict[int, Losses]) -> int:
    """The smallest k whose mean loss exceeds the smallest by at most one standard error.

    The standard error is that of the mean of paired differences, row by row.
    """
    best = min(losses, key=lambda k: float(losses[k].mean()))
    for k in sorted(losses):
        excess = losses[k] - losses[best]
        if excess.mean() <= excess.std() / len(excess) ** 0.5:
            return k
    return best


class _FoldSearch:
    """The trainings on the rows of all folds but one, and their losses on that one."""

    def __init__(self, fitted: Dataset, held_out: Dataset, settings: Settings) -> None:
        self.fitted, self.held_out, self.settings = fitted, held_out, settings
        self.networks: dict[int, LowRankStudent] = {}
        self.full_losses: list[float] = []  # for every λ of a network of all inputs
        for student in full_path(fitted, settings):
            self.full_losses.append(float(self._loss(student)[0].mean()))
        self.student = student

    @property
    def candidates(self) -> int:
        """One more than the number of eigenvalues of E[∇ŷ∇ŷᵀ] before the gap."""
        values = torch.linalg.eigvalsh(gradient_outer_product(self.student, self.fitted.inputs))
        above = int((values > SMALLEST_EIGENVALUE * values[-1]).sum())
        return max(FEWEST_CANDIDATES, above + 1)

    def losses_by_components(self, largest: int) -> dict[int, Losses]:
        """The held-out losses of ``largest`` directions and, one by one, of fewer."""
        network = restrict(self.student, self.fitted.inputs, largest)
        ends = [
            (decay, copy.deepcopy(each), self._loss(each)[0])
            for decay, each in path(network, self.fitted, self.settings)
        ]
        decay, network, loss = min(ends, key=lambda end: float(end[2].mean()))
        self.networks, losses = {largest: network}, {largest: loss}
        for k in range(largest - 1, 0, -1):
            network = restrict(network, self.fitted.inputs, k)
            refine(network, self.fitted, decay, self.settings, self.settings.max_iter)
            self.networks[k], losses[k] = network, self._loss(network)[0]
        return losses

    def along_path(self, num_components: int) -> list[tuple[Losses, Tensor]]:
        """The held-out losses and predictions of k directions, for every λ."""
        network = self.networks.get(num_components)
        if network is None:
            dimension = self.fitted.inputs.shape[1]
            first = min(num_components + SPARE_DIRECTIONS, dimension)
            network = restrict(self.student, self.fitted.inputs, first)
            decay, max_iter = max(self.settings.decays), self.settings.max_iter
            refine(network, self.fitted, decay, self.settings, max_iter)
            network = restrict(network, self.fitted.inputs, num_components)
        return [self._loss(each) for _, each in path(network, self.fitted, self.settings)]

    @torch.no_grad()
    def _loss(self, network: Network) -> tuple[Losses, Tensor]:
        predictions = network(self.held_out.inputs)
        return self.settings.loss.function(predictions, self.held_out.labels).numpy(), predictions
