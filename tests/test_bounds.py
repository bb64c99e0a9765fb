"""No bound on ‖W‖_F lies below it: forty objectives, exact and not, at random and end points."""

import math
import warnings
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from derandomization import (
    DerandomizationObjective,
    GaussHermite,
    PerturbedGradientDescent,
    certify,
    descend,
    stein_bounds,
)
from examples.discrepancy import ExpectedImbalance
from JohnsonLindenstrauss.model import (
    ExceedanceProbability,
    ExpectedDistortion,
    PairDistortion,
    SampledDistortion,
    cube_points,
)
from JohnsonLindenstrauss.pairs import PairBlocks
from MAXCUT.expected_cut import ExpectedCut
from MAXCUT.graph import Graph
from MAXCUT.sdp import solve_sdp
from NeuralNetworks.activations import ACTIVATIONS
from NeuralNetworks.expectations import exact_expectation, gaussian_points, quadrature
from NeuralNetworks.losses import LOSSES
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Dataset, Population, PopulationRisk
from NeuralNetworks.studies.inputs import ProductRule
from NeuralNetworks.toy import ToyNeurons

Build = Callable[[], DerandomizationObjective]


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


class Cosines(DerandomizationObjective):
    """E Σ_i cos(w_i·x + b_i) for Gaussian x, with b made of parameters in several ways."""

    def __init__(self, form: str = "plain", regularization: float = 0.3) -> None:
        super().__init__(regularization)
        self.form = form
        self.weight = nn.Parameter(normal(4, 3, seed=5) / 2)
        sizes = {"concatenation": (1, 3), "list": (2, 2), "slice": (6,)}.get(form, (4,))
        self.parts = nn.ParameterList(torch.zeros(size, dtype=torch.float64) for size in sizes)

    def bias(self) -> Tensor | list[Tensor]:
        parts = list(self.parts)
        return {
            "plain": lambda: parts[0],
            "concatenation": lambda: torch.cat(parts),
            "list": lambda: parts,
            "slice": lambda: parts[0][1:5],
            "view": lambda: parts[0].view(2, 2),
            "reversed": lambda: parts[0].flip(0),
        }[self.form]()

    def vector(self) -> Tensor:
        found = self.bias()
        parts = [found] if isinstance(found, Tensor) else found
        return torch.cat([part.reshape(-1) for part in parts])

    def set_bias(self, values: Tensor) -> None:
        """Put b at these values, whatever it is made of."""
        if self.form == "slice":
            values = torch.cat([values.new_zeros(1), values, values.new_zeros(1)])
        if self.form == "reversed":
            values = values.flip(0)
        with torch.no_grad():
            for part, each in zip(
                self.parts, values.split([part.numel() for part in self.parts]), strict=True
            ):
                part.copy_(each)

    def random_weights(self) -> Tensor:
        return self.weight

    def expected_value(self) -> Tensor:
        damping = torch.exp(-self.weight.square().sum(dim=1) / 2)
        return (damping * torch.cos(self.vector())).sum()


class FixedSamples(Cosines):
    """The same with an average over 20 fixed draws in the place of the expectation."""

    def expected_value(self) -> Tensor:
        draws = normal(20, 3, seed=9)
        return torch.cos(draws @ self.weight.T + self.vector()).mean(dim=0).sum()


class LinearInBias(Cosines):
    """E Σ_i a_i(w_i·x + b_i): g is linear, so ∂²f/∂b² = 0."""

    def expected_value(self) -> Tensor:
        return (torch.arange(1.0, 5) * self.vector()).sum()

    def hessian_lipschitz(self) -> float:
        return 0.0


def risk(
    activation: str | nn.Module = "smooth-relu",
    *,
    dimension: int = 2,
    indices: int = 1,
    widths: tuple[int, ...] = (5,),
    loss: str = "squared",
    frozen: tuple[str, ...] = (),
    rule: str = "exact",
) -> Build:
    """The risk of a small student on a teacher, over a rule for the inputs."""

    def build() -> PopulationRisk:
        generator = torch.Generator().manual_seed(0)
        module = ACTIVATIONS[activation]() if isinstance(activation, str) else activation
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of activations that are not smooth
            student = Student(dimension, widths, generator, activation=module, frozen=frozen)
        teacher = Teacher(dimension, indices)
        rules = {
            "exact": lambda: exact_expectation(teacher, sum(widths), (16, 8)),
            "polynomial": lambda: quadrature(teacher, (8, 8)),
            "coarse": lambda: quadrature(teacher, (3, 3)),
            "gaussian": lambda: gaussian_points(teacher, 256),
            "rademacher": lambda: ProductRule("rademacher", 2),
            "uniform": lambda: ProductRule("uniform", 6),
            "student-t": lambda: ProductRule("student-t", 12),
        }
        population = Population(teacher, rules[rule](), LOSSES[loss])
        return PopulationRisk(student, population, 1e-2, LOSSES[loss])

    return build


def dataset_risk(activation: str | nn.Module, count: int = 40, loss: str = "squared") -> Build:
    """The empirical risk on a few Gaussian inputs in six dimensions."""

    def build() -> PopulationRisk:
        objective = risk(activation, dimension=6)()
        inputs = normal(count, 6, seed=3)
        labels = torch.sin(2 * inputs[:, 0])
        if loss == "logistic":
            labels = torch.sign(labels)
        data = Dataset(inputs, labels, torch.eye(6)[:1])
        return PopulationRisk(objective.student, data, 1e-2, LOSSES[loss])

    return build


def cut() -> ExpectedCut:
    graph = Graph.from_networkx(nx.petersen_graph())
    solution = solve_sdp(graph, np.random.default_rng(0))
    return ExpectedCut(graph, solution.vectors, smoothing=0.3, regularization=0.05)


def lengths(kind: str) -> Build:
    def build() -> DerandomizationObjective:
        points = cube_points(6, 5, torch.Generator().manual_seed(0))
        if kind == "moments":
            return ExpectedDistortion(points, 3)
        return ExceedanceProbability(points, 3, 0.8)

    return build


def imbalance() -> ExpectedImbalance:
    return ExpectedImbalance((np.random.default_rng(0).random((6, 5)) < 0.5).astype(int))


# Gaussian inputs and an expectation without error: Stein's identity holds everywhere.
EXACT: dict[str, Build] = {
    **{
        f"cosines, b is {form}": lambda form=form: Cosines(form)
        for form in ("plain", "concatenation", "list", "slice", "view", "reversed")
    },
    "linear in b": lambda: LinearInBias(),
    "toy neuron": lambda: ToyNeurons(0.5, 0.1, 0.2, train_bias=True),
    "toy neuron, frozen bias": lambda: ToyNeurons(0.5, 0.1, 0.2, train_bias=False),
    "expected cut": cut,
    "second moments": lengths("moments"),
    "exceedance probability": lengths("exceedance"),
    "colours": imbalance,
    "quadratic units": risk("quadratic", rule="polynomial"),
    "quadratic units, d = 3": risk("quadratic", dimension=3, rule="polynomial"),
    "quadratic units, frozen output": risk("quadratic", rule="polynomial", frozen=("output",)),
}
INEXACT: dict[str, Build] = {
    "20 fixed samples": lambda: FixedSamples(),
    "20 fixed samples, b is a list": lambda: FixedSamples("list"),
    **{f"{name} units": risk(name) for name in ACTIVATIONS if name != "quadratic"},
    "three layers": risk(widths=(4, 3)),
    "frozen weights": risk(frozen=("weight", "output")),
    "frozen biases": risk(frozen=("bias", "output")),
    "few nodes": risk("tanh", rule="coarse"),
    "logistic loss": risk(loss="logistic"),
    "poisson loss": risk(loss="poisson"),
    "d = 20, rule exact at W⊥ = 0": risk("tanh", dimension=20),
    "d = 20, quadratic": risk("quadratic", dimension=20),
    "d = 20, two indices": risk("erf", dimension=20, indices=2),
    "d = 20, Gaussian points": risk("tanh", dimension=20, rule="gaussian"),
    "ReLU": risk(nn.ReLU()),
    "leaky ReLU, d = 20": risk(nn.LeakyReLU(), dimension=20),
    "rademacher inputs": risk(rule="rademacher"),
    "uniform inputs": risk("tanh", rule="uniform"),
    "student-t inputs": risk(rule="student-t"),
    "dataset": dataset_risk("smooth-relu"),
    "dataset, tanh": dataset_risk("tanh"),
    "dataset, ReLU": dataset_risk(nn.ReLU()),
    "dataset of 5": dataset_risk("gelu", count=5),
    "dataset, logistic": dataset_risk("erf", loss="logistic"),
}
ALL = EXACT | INEXACT


def move(objective: DerandomizationObjective, seed: int) -> None:
    """Add noise to the parameters that are trained."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in objective.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(noise, alpha=0.2)


def descended(objective: DerandomizationObjective, max_steps: int = 100) -> None:
    generator = torch.Generator().manual_seed(0)
    optimizer = PerturbedGradientDescent.for_objective(objective, generator=generator)
    descend(objective, optimizer, max_steps=max_steps)


def test_there_are_forty_objectives() -> None:
    assert len(ALL) >= 40


@pytest.mark.parametrize("build", ALL.values(), ids=ALL)
def test_no_bound_lies_below_the_norm(build: Build) -> None:
    objective = build()
    for go in (lambda: move(objective, 0), lambda: descended(objective, max_steps=60)):
        go()
        certificate = certify(objective)
        norm = objective.weight_norm()
        for bound in (certificate.weight_bound, certificate.sharp_weight_bound):
            assert bound is None or norm <= bound


@pytest.mark.parametrize("build", EXACT.values(), ids=EXACT)
def test_where_steins_identity_holds_the_defect_is_rounding(build: Build) -> None:
    objective = build()
    for seed in (0, 1):
        move(objective, seed)
        bounds = stein_bounds(objective)
        sizes = bounds.weight_gradient_norm + 2 * objective.regularization * bounds.weight_norm
        assert bounds.stein_defect <= 1e-9 * sizes


@pytest.mark.parametrize("name", ["dataset", "20 fixed samples", "d = 20, quadratic"])
def test_without_the_defect_the_bounds_would_be_false(name: str) -> None:
    """As they were while Stein's identity was assumed and not measured."""
    objective = INEXACT[name]()
    descended(objective, max_steps=400)
    bounds = stein_bounds(objective)
    margin = 2 * objective.regularization + bounds.bias_curvature
    assert bounds.weight_gradient_norm / margin < 0.9 * bounds.weight_norm
    assert bounds.sharp_weight_bound is not None
    assert bounds.weight_norm <= bounds.sharp_weight_bound


@pytest.mark.parametrize("form", ["concatenation", "list", "slice", "view", "reversed"])
def test_the_form_of_the_bias_changes_no_number(form: str) -> None:
    values = normal(4, seed=2)
    plain, other = Cosines(regularization=1.0), Cosines(form, regularization=1.0)
    for objective in (plain, other):
        objective.set_bias(values)
    expected, found = certify(plain), certify(other)
    for name in ("bias_curvature", "stein_defect", "sharp_weight_bound", "weight_gradient_norm"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-14)
    assert expected.bias_curvature < -0.1  # a Hessian that is silently zero would pass the above


def test_weights_that_are_not_a_linear_image_of_the_parameters_are_refused() -> None:
    class Exponential(Cosines):
        def random_weights(self) -> Tensor:
            return torch.exp(self.weight)

    class Stretched(Cosines):
        def random_weights(self) -> Tensor:
            return 2 * self.weight

    for wrong in (Exponential, Stretched):
        with pytest.raises(ValueError, match="random_weights must be an isometric linear image"):
            certify(wrong())


def test_a_bias_of_another_size_or_without_parameters_is_refused() -> None:
    class Short(Cosines):
        def bias(self) -> Tensor:
            return super().bias()[:3]

        def vector(self) -> Tensor:
            return self.parts[0]

    with pytest.raises(ValueError, match="W must have one row for each entry of b"):
        stein_bounds(FiveWeights(Short()))

    class Constant(Cosines):
        def bias(self) -> Tensor:
            return torch.zeros(4, dtype=torch.float64)

    with pytest.raises(ValueError, match="bias does not depend on the parameters"):
        certify(Constant())


class FiveWeights(DerandomizationObjective):
    """Two weights and a bias of three entries."""

    def __init__(self, _: object) -> None:
        super().__init__(0.1)
        self.weight = nn.Parameter(normal(2))
        self.shift = nn.Parameter(normal(3))

    def random_weights(self) -> Tensor:
        return self.weight

    def bias(self) -> Tensor:
        return self.shift

    def expected_value(self) -> Tensor:
        return self.weight.square().sum() + self.shift.square().sum()


def test_parameters_that_are_not_finite_are_named_as_such() -> None:
    objective = Cosines()
    with torch.no_grad():
        objective.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="the objective is nan at this point: it must be finite"):
        certify(objective)


def test_with_a_constant_hessian_rounding_does_not_make_rho_infinite() -> None:
    objective = LinearInBias()
    certificate = certify(objective)
    assert certificate.hessian_lipschitz == 0
    assert math.isfinite(certificate.rho)


def test_objectives_that_cannot_be_certified_say_so() -> None:
    generator = torch.Generator().manual_seed(0)
    points = cube_points(6, 5, generator)
    with pytest.raises(ValueError, match="certify the exact counterpart"):
        certify(SampledDistortion(points, 3, generator))
    softened = PairDistortion(points, 3, PairBlocks(points), 10.0)
    with pytest.raises(ValueError, match="PairDistortion can be differentiated once"):
        certify(softened)


def test_the_rule_is_exact_where_the_weights_vanish_and_more_points_are_more_gaussian() -> None:
    objective = risk("tanh", dimension=20)()
    assert isinstance(objective, PopulationRisk)
    teacher = Teacher(20)

    def relative_defect(rule: nn.Module) -> float:
        examples = Population(teacher, rule)
        bounds = stein_bounds(PopulationRisk(objective.student, examples, 1e-2))
        return bounds.stein_defect / bounds.weight_gradient_norm

    exact_at_zero = exact_expectation(teacher, 5)
    assert exact_at_zero is not None
    assert relative_defect(exact_at_zero) > 0.05
    few, many = (relative_defect(gaussian_points(teacher, n)) for n in (2**9, 2**13))
    assert many < few / 4
    with torch.no_grad():
        along = (objective.student.weight @ teacher.directions.T) @ teacher.directions
        across = objective.student.weight - along
        objective.student.weight.copy_(along + 1e-4 * across)
    assert relative_defect(exact_at_zero) < 1e-6


def test_gauss_hermite_rules_with_more_nodes_have_a_smaller_defect() -> None:
    objective = risk("tanh", rule="coarse")()
    assert isinstance(objective, PopulationRisk)
    found = []
    for count in (4, 12, 36):
        examples = Population(Teacher(2), GaussHermite((count, count)))
        found.append(stein_bounds(PopulationRisk(objective.student, examples, 1e-2)).stein_defect)
    assert found[0] > 3 * found[1] > 9 * found[2]


class Coupled(DerandomizationObjective):
    """g = zᵀQz/2 with Q almost singular; W is made of a trained part and one that is not."""

    def __init__(self, other: Tensor) -> None:
        super().__init__(0.1)
        self.coupling = torch.tensor([[1.0, 0.99], [0.99, 1.0]]).double()
        self.first = nn.Parameter(torch.tensor([-0.99 / 1.2], dtype=torch.float64))
        self.shift = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.other = other

    def random_weights(self) -> Tensor:
        return torch.cat([self.first, self.other])

    def bias(self) -> Tensor:
        return self.shift

    def hessian_lipschitz(self) -> float:
        return 0.0

    def expected_value(self) -> Tensor:
        weights = self.random_weights()
        return (self.shift @ self.coupling @ self.shift + weights @ self.coupling @ weights) / 2


def test_a_frozen_part_of_w_counts_and_a_constant_part_is_refused() -> None:
    one = torch.ones(1, dtype=torch.float64)
    certificate = certify(Coupled(nn.Parameter(one, requires_grad=False)))
    assert certificate.weight_norm == pytest.approx(math.hypot(0.99 / 1.2, 1))
    assert certificate.stein_defect < 1e-12
    assert certificate.sharp_weight_bound is not None
    assert certificate.weight_norm <= certificate.sharp_weight_bound
    with pytest.raises(ValueError, match="random_weights must be an isometric linear image"):
        certify(Coupled(one))


def test_a_frozen_rotation_of_the_bias_changes_no_number() -> None:
    """b is linear in the trained parameters only: a frozen parameter multiplies them."""

    class Rotated(Cosines):
        def __init__(self) -> None:
            super().__init__(regularization=1.0)
            rotation = torch.linalg.qr(normal(4, 4, seed=7))[0]
            self.rotation = nn.Parameter(rotation, requires_grad=False)

        def bias(self) -> Tensor:
            return self.rotation @ self.parts[0]

    rotated, plain = Rotated(), Cosines(regularization=1.0)
    values = normal(4, seed=2)
    plain.set_bias(values)
    rotated.set_bias(rotated.rotation.detach().T @ values)
    found, expected = stein_bounds(rotated), stein_bounds(plain)
    assert found.bias_curvature == pytest.approx(expected.bias_curvature, rel=1e-9)
    assert found.stein_defect < 1e-12


def test_a_frozen_part_of_the_bias_changes_no_defect() -> None:
    objective = Cosines("list")
    objective.parts[1].requires_grad_(False)
    assert stein_bounds(objective).stein_defect < 1e-12


def test_labels_that_depend_on_every_direction_leave_no_random_weights() -> None:
    inputs = normal(30, 3, seed=1)
    data = Dataset(inputs, inputs[:, 0], normal(3, 3, seed=2))
    student = Student(3, 4, torch.Generator().manual_seed(0))
    certificate = certify(PopulationRisk(student, data, 1e-2))
    assert certificate.weight_norm < 1e-14
    assert certificate.sharp_weight_bound is not None
    assert certificate.weight_norm <= certificate.sharp_weight_bound


def test_with_every_parameter_frozen_there_is_nothing_to_certify() -> None:
    with pytest.raises(ValueError, match="every parameter is frozen"):
        certify(Cosines().requires_grad_(False))


def test_a_transposed_parameter_is_certified() -> None:
    objective = Cosines()
    expected = stein_bounds(objective)
    objective.weight = nn.Parameter(objective.weight.detach().T.contiguous().T)
    assert stein_bounds(objective) == expected


def test_the_gaussian_bounds_are_false_on_a_dataset_and_right_where_x_is_gaussian() -> None:
    """What claims about the lemma compare with: it can fail."""
    for name, fails in (("dataset", True), ("cosines, b is plain", False)):
        objective = ALL[name]()
        descended(objective)
        certificate = certify(objective)
        assert certificate.gaussian_sharp_bound is not None
        assert (objective.weight_norm() > certificate.gaussian_sharp_bound) == fails
