"""certify against dense linear algebra, finite differences and the definitions."""

import copy
import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from derandomization import (
    DerandomizationObjective,
    GaussHermite,
    MonteCarlo,
    certificate,
    certify,
    stein_bounds,
)
from derandomization.certificate import lemma_bound, smallest_rho
from derandomization.eigenvalues import Eigenvalue
from derandomization.hessian import Hessian

Build = Callable[..., DerandomizationObjective]
modest = settings(max_examples=30, deadline=None)
matrices = arrays(np.float64, (2, 2), elements=st.floats(-2, 2))
vectors = arrays(np.float64, (2,), elements=st.floats(-4, 4))


class Layered(DerandomizationObjective):
    """g(y) = Σ a·tanh(y), W = PV with P a projection: parameters (V, b, a) beside a frozen one."""

    def __init__(self, expectation: nn.Module, width: int = 6) -> None:
        super().__init__(0.2)
        generator = torch.Generator().manual_seed(3)

        def normal(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64))

        self.output, self.raw, self.shift = normal(width), normal(width, 2), normal(width)
        self.frozen = nn.Parameter(torch.tensor([1.0, 0.0]).double(), requires_grad=False)
        self.expectation = expectation

    def random_weights(self) -> Tensor:
        return self.raw - (self.raw @ self.frozen)[:, None] * self.frozen

    def bias(self) -> Tensor:
        return self.shift

    def expected_value(self) -> Tensor:
        points, weights = self.expectation()
        hidden = torch.tanh(points @ self.random_weights().T + self.shift)
        return (weights @ (hidden @ self.output - 1).square()) + (self.raw @ self.frozen) @ (
            self.raw @ self.frozen
        )


def exact_layered() -> Layered:
    return Layered(GaussHermite([12, 12]))


def trainable(objective: DerandomizationObjective) -> list[Tensor]:
    return [p for p in objective.parameters() if p.requires_grad]


def value_at(objective: DerandomizationObjective) -> Callable[[Tensor], Tensor]:
    """f as a function of the flat trainable parameters."""
    names = [n for n, p in objective.named_parameters() if p.requires_grad]
    shapes = [p.shape for p in trainable(objective)]

    def value(flat: Tensor) -> Tensor:
        parts = flat.split([math.prod(shape) for shape in shapes])
        named = {n: p.reshape(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        return torch.func.functional_call(objective, named, ())

    return value


def test_certificate_agrees_with_the_dense_hessian() -> None:
    objective = exact_layered()
    certificate = certify(objective)
    flat = parameters_to_vector(trainable(objective)).detach()
    value = value_at(objective)
    gradient = torch.func.grad(value)(flat)
    spectrum = torch.linalg.eigvalsh(torch.autograd.functional.hessian(value, flat))
    assert certificate.gradient_norm == pytest.approx(gradient.norm().item(), rel=1e-12)
    assert certificate.min_curvature == pytest.approx(spectrum[0].item(), abs=1e-10)
    assert certificate.min_curvature < 0
    assert 0 <= certificate.min_curvature_residual < 1e-10
    assert certificate.weight_norm == pytest.approx(objective.raw[:, 1].norm().item(), rel=1e-14)
    assert certificate.hessian_lipschitz_is_estimate
    reached = -certificate.min_curvature + certificate.min_curvature_residual
    assert certificate.rho == pytest.approx(
        max(certificate.gradient_norm, reached**2 / certificate.hessian_lipschitz), rel=1e-12
    )


@pytest.mark.parametrize("width", [6, 150])  # ∂²f/∂b² by the dense path and by Lanczos
def test_every_field_is_a_plain_number_as_json_needs(width: int) -> None:
    fields = dataclasses.asdict(certify(Layered(GaussHermite([3, 3]), width)))
    assert {type(value) for value in fields.values()} <= {float, bool, type(None)}


def test_many_parameters_take_the_lanczos_path_to_the_same_curvature() -> None:
    objective = Layered(GaussHermite([12, 12]), width=33)
    flat = parameters_to_vector(trainable(objective)).detach()
    spectrum = torch.linalg.eigvalsh(
        torch.autograd.functional.hessian(value_at(objective), flat, vectorize=True)
    )
    certificate = certify(objective)
    # Lanczos is asked for a thousandth of 2λ and may leave twice that (its tolerance is relative).
    assert certificate.min_curvature_residual <= 2 * 1e-3 * 2 * 0.2
    # λ_min is isolated here, so the error is of second order in the residual.
    assert certificate.min_curvature == pytest.approx(spectrum[0].item(), abs=1e-4)


@pytest.mark.parametrize("width", [6, 150])
def test_products_in_float32_change_no_field_by_more_than_the_tolerance(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    objective = Layered(GaussHermite([5, 5]), width)
    expected = certify(objective)
    monkeypatch.setattr(certificate, "FLOAT32_PARAMETERS", 1)
    found = certify(objective)
    tolerance = 2 * 1e-3 * 2 * objective.regularization
    assert found.min_curvature == pytest.approx(expected.min_curvature, abs=tolerance)
    assert found.min_curvature_residual <= tolerance
    assert found.bias_curvature == pytest.approx(expected.bias_curvature, abs=tolerance)
    assert found.hessian_lipschitz == pytest.approx(expected.hessian_lipschitz, rel=0.02)
    assert found.stein_defect == expected.stein_defect
    assert found.gradient_norm == expected.gradient_norm


@pytest.mark.parametrize("kappa", [0.5, 4.0, -4.0])
@pytest.mark.parametrize("point", [(0.3, -0.7), (2.0, 5.0)])
def test_estimated_k_is_the_norm_of_a_known_third_derivative(
    cubic_objective: Build, kappa: float, point: tuple[float, float]
) -> None:
    certificate = certify(cubic_objective(*point, 0.1, kappa))
    assert certificate.hessian_lipschitz_is_estimate
    # f is a cubic: central differences are exact up to rounding, √ε/10³ relative here.
    assert certificate.hessian_lipschitz == pytest.approx(abs(kappa) * math.sqrt(2), rel=1e-8)


def test_proven_k_is_taken_as_it_is(cosine_saddle: Build) -> None:
    certificate = certify(cosine_saddle())
    assert not certificate.hessian_lipschitz_is_estimate
    assert certificate.hessian_lipschitz == pytest.approx(3**0.75 * 1.25**1.5, rel=1e-14)


def test_an_estimated_k_never_exceeds_a_proven_one(cosine_objective: Build) -> None:
    for bias in ([0.3, 0.1], [2.0, 1.0], [-1.0, 0.7]):
        objective = cosine_objective([[0.4, 0.1], [-0.2, 0.3]], bias)
        proven = objective.hessian_lipschitz()
        objective.hessian_lipschitz = lambda: None
        estimate = certify(objective)
        assert estimate.hessian_lipschitz_is_estimate
        assert 0.1 * proven < estimate.hessian_lipschitz <= proven * (1 + 1e-6)


def test_the_gradient_in_w_is_that_of_finite_differences() -> None:
    objective = exact_layered()
    # W = V with its first column cleared, so moving V_i2 moves W_i2 alone.
    expected = torch.zeros(6, dtype=torch.float64)
    for i in range(6):
        ends = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                objective.raw[i, 1] += step
                ends.append(objective().item())
                objective.raw[i, 1] -= step
        expected[i] = (ends[0] - ends[1]) / 2e-6
    # Central differences: h² truncation plus ε·f/h rounding, both about 1e-9 here.
    found = stein_bounds(objective).weight_gradient_norm
    assert found == pytest.approx(float(expected.norm()), abs=3e-8)


def test_the_stein_defect_is_that_of_the_dense_hessian_in_b() -> None:
    objective = Layered(GaussHermite([3, 3]))  # too few nodes: Stein's identity fails
    gradient = torch.autograd.grad(objective(), objective.raw)[0][:, 1]
    slope = torch.autograd.grad(objective(), objective.shift, create_graph=True)[0]
    rows = [torch.autograd.grad(each, objective.shift, retain_graph=True)[0] for each in slope]
    hessian = torch.stack(rows)
    column = objective.raw[:, 1].detach()
    defect = gradient - hessian @ column - 2 * 0.2 * column
    bounds = stein_bounds(objective)
    assert bounds.stein_defect == pytest.approx(float(defect.norm()), rel=1e-10)
    assert bounds.stein_defect > 1e-3 * bounds.weight_gradient_norm
    smallest = float(torch.linalg.eigvalsh(hessian)[0])
    assert bounds.bias_curvature == pytest.approx(smallest, abs=1e-10)
    finer = stein_bounds(Layered(GaussHermite([48, 48])))
    assert finer.stein_defect < 1e-4 * bounds.stein_defect


@modest
@given(weight=matrices, bias=vectors, regularization=st.floats(1e-3, 2))
def test_the_sharp_bound_holds_at_every_point_where_it_exists(
    cosine_objective: Build, weight: np.ndarray, bias: np.ndarray, regularization: float
) -> None:
    objective = cosine_objective(weight.tolist(), bias.tolist(), regularization)
    bound = stein_bounds(objective).sharp_weight_bound
    damping = math.exp(-(np.array([1, 0.5]) @ weight @ weight.T @ np.array([1, 0.5])) / 2)
    curvature = min(0.0, -1.25 * damping * math.cos(bias @ [1, 0.5]))
    assert (bound is None) == (2 * regularization + curvature <= 0)
    if bound is not None:
        # The margin may be as small as its own rounding error: that is the 1e-12.
        margin = 2 * regularization + curvature
        assert objective.weight_norm() <= bound * (1 + 1e-12) + 1e-14 / margin


@pytest.mark.parametrize("frozen", ["weight", "_bias"])
def test_with_w_or_b_frozen_the_sharp_bound_is_the_same_and_the_lemma_gives_none(
    cosine_objective: Build, frozen: str
) -> None:
    objective = cosine_objective([[0.1, 0.0], [0.0, 0.1]], [3.0, 0.0], 1.0)
    free = certify(objective)
    assert free.weight_bound is not None
    getattr(objective, frozen).requires_grad_(False)
    found = certify(objective)
    assert found.weight_bound is None
    assert found.sharp_weight_bound == pytest.approx(free.sharp_weight_bound, rel=1e-14)


@modest
@given(
    gradient_norm=st.floats(0, 10),
    curvature=st.floats(-5, 5),
    lipschitz=st.floats(1e-3, 50),
)
def test_rho_is_the_smallest_that_satisfies_the_definition(
    gradient_norm: float, curvature: float, lipschitz: float
) -> None:
    rho = smallest_rho(gradient_norm, curvature, lipschitz)

    def is_sosp(rho: float) -> bool:
        return gradient_norm <= rho and curvature >= -math.sqrt(lipschitz * rho)

    assert is_sosp(rho * (1 + 1e-12) + 1e-300)
    if rho > 1e-300:
        assert not is_sosp(rho * (1 - 1e-9))


def test_at_a_saddle_rho_is_what_the_negative_curvature_asks_for(cosine_saddle: Build) -> None:
    certificate = certify(cosine_saddle())
    assert certificate.gradient_norm < 1e-12 < 0.1 < -certificate.min_curvature
    expected = certificate.min_curvature**2 / certificate.hessian_lipschitz
    assert certificate.rho == pytest.approx(expected, rel=1e-9)
    assert certificate.weight_bound is None


def test_the_residual_of_an_eigenvalue_counts_against_every_bound(
    cosine_objective: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = cosine_objective([[0.3], [0.2]], [1.0, 2.0])
    found = []
    for residual in (0.0, 0.05):
        answer = Eigenvalue(value=-0.1, residual=residual)
        monkeypatch.setattr(Hessian, "smallest_eigenvalue", lambda *_, a=answer, **__: a)
        monkeypatch.setattr(certificate, "smallest_eigenvalue", lambda *_, a=answer, **__: a)
        found.append(certify(objective))
    exact, uncertain = found
    for each, curvature in ((exact, 0.1), (uncertain, 0.1 + 0.05)):
        asked = curvature**2 / exact.hessian_lipschitz
        assert each.rho == max(exact.gradient_norm, asked)
    ratio = uncertain.sharp_weight_bound / exact.sharp_weight_bound
    assert ratio == pytest.approx((2 * 0.1 - 0.1) / (2 * 0.1 - 0.15), rel=1e-9)  # λ = 0.1
    assert (exact.bias_curvature, uncertain.bias_curvature) == (-0.1, -0.1 - 0.05)


def test_with_a_constant_hessian_no_rho_excuses_negative_curvature() -> None:
    assert smallest_rho(0.1, -1e-9, 0.0) == math.inf
    assert smallest_rho(0.1, 0.0, 0.0) == 0.1
    assert lemma_bound(math.inf, 0.0, 1.0) is None


def test_lemma_bound_exists_exactly_where_lambda_exceeds_half_the_root() -> None:
    assert lemma_bound(0.04, 1.0, 0.3) == pytest.approx(0.04 / (0.6 - 0.2), rel=1e-14)
    assert lemma_bound(0.04, 1.0, 0.1) is None  # λ = √(Kρ)/2
    assert lemma_bound(0.04, 1.0, 0.0999) is None
    assert lemma_bound(0.0, 1.0, 0.1) == 0.0
    assert lemma_bound(0.04, 1.0, 0.3, stein_defect=0.1) == pytest.approx(0.14 / 0.4, rel=1e-14)
    # A curvature in b below −√(Kρ) counts: an estimate of K may be too small.
    assert lemma_bound(0.04, 1.0, 0.3, bias_curvature=-0.5) == pytest.approx(0.04 / 0.1, rel=1e-14)
    assert lemma_bound(0.04, 1.0, 0.3, bias_curvature=-0.6) is None


def test_a_sampled_objective_is_refused() -> None:
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match="certify the exact counterpart"):
        certify(Layered(MonteCarlo(2, 20, generator)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_certify_leaves_the_objective_untouched(dtype: torch.dtype) -> None:
    objective = exact_layered().to(dtype)
    before = copy.deepcopy(objective.state_dict())
    flags = [p.requires_grad for p in objective.parameters()]
    random_state = torch.get_rng_state()
    first = certify(objective)
    assert all(torch.equal(before[n], t) for n, t in objective.state_dict().items())
    assert all(t.dtype == dtype for t in objective.state_dict().values())
    assert all(p.grad is None for p in objective.parameters())
    assert [p.requires_grad for p in objective.parameters()] == flags
    assert torch.equal(torch.get_rng_state(), random_state)
    assert certify(objective) == first


def test_a_single_precision_objective_is_certified_in_double() -> None:
    objective = exact_layered()
    with torch.no_grad():  # the same point, representable in both precisions
        vector_to_parameters(
            parameters_to_vector(objective.parameters()).float().double(), objective.parameters()
        )
    objective.expectation.float().double()
    exact = certify(objective)
    single = certify(copy.deepcopy(objective).float())
    assert single.gradient_norm == pytest.approx(exact.gradient_norm, rel=1e-14)
    assert single.min_curvature == pytest.approx(exact.min_curvature, rel=1e-12)


class Parabola(DerandomizationObjective):
    """½ curvature (‖b‖² + ‖W‖²) + a constant: K is 0, and λ_min is the curvature."""

    def __init__(self, curvature: float, constant: float = 0.0) -> None:
        super().__init__(regularization=0.5)
        self.curvature, self.constant = curvature, constant
        self.w = nn.Parameter(torch.zeros(3, 1, dtype=torch.float64))
        self.b = nn.Parameter(torch.full((3,), 0.25, dtype=torch.float64))

    def expected_value(self) -> Tensor:
        squares = self.b.square().sum() + self.w.square().sum()
        return self.curvature * squares / 2 + self.constant

    def random_weights(self) -> Tensor:
        return self.w

    def bias(self) -> Tensor:
        return self.b


def test_a_constant_hessian_without_negative_curvature_is_stationary_to_the_gradient() -> None:
    certificate = certify(Parabola(0.0))
    assert certificate.hessian_lipschitz == 0
    assert certificate.min_curvature_residual > 0  # so that λ_min may be below 0 by rounding
    assert certificate.rho == certificate.gradient_norm
    assert certificate.weight_bound is not None


def test_a_constant_hessian_with_negative_curvature_is_never_stationary() -> None:
    certificate = certify(Parabola(-0.1))
    assert certificate.hessian_lipschitz == 0
    assert certificate.rho == math.inf
    assert certificate.weight_bound is None


@pytest.mark.parametrize("curvature", [0.0, 3.0])
def test_the_rounding_of_f_limits_the_sharp_bound(curvature: float) -> None:
    certificate = certify(Parabola(curvature, constant=1e8))
    least = torch.finfo(torch.float64).eps * 1e8 / (1 + curvature)
    assert certificate.sharp_weight_bound == pytest.approx(least, rel=1e-6)
