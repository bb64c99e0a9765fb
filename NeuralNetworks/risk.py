"""The risk of a student as an instance of Eq. 1."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn

from derandomization import DerandomizationObjective, Expectation
from derandomization.checks import require_at_least, require_between
from derandomization.hessian import as_operator
from NeuralNetworks.losses import LOSSES, Loss
from NeuralNetworks.model import LowRankStudent, Student, Teacher, orthogonal_part

Batch = tuple[Tensor, Tensor, Tensor]
SQUARED = LOSSES["squared"]


class Examples(nn.Module, ABC):
    """Labelled inputs, and the directions of the input on which the labels depend."""

    directions: Tensor  # U, orthonormal rows k×d

    @abstractmethod
    def forward(self) -> Batch:
        """Inputs ``[points, d]``, labels ``[points]`` and weights ``[points]``, which sum to 1."""


class Population(Examples):
    """A teacher's labels for x ~ N(0, I_d).

    The expectation is over (x, ε); the loss turns the teacher's signal into labels.
    """

    def __init__(self, teacher: Teacher, expectation: Expectation, loss: Loss = SQUARED) -> None:
        super().__init__()
        self.teacher = teacher
        self.expectation = expectation
        self.loss = loss

    @property
    def directions(self) -> Tensor:  # type: ignore[override]
        return self.teacher.directions

    def forward(self) -> Batch:
        sample, weights = self.expectation()
        inputs = sample[:, : self.directions.shape[1]]
        return inputs, self.loss.label(self.teacher(sample)), weights


class Dataset(Examples):
    """A fixed sample (X, y), given whole or in batches; the subspace that matters may be known.

    Args:
        inputs: X, n×d, as a tensor or an array.
        labels: y, n or n×1.
        directions: k×d, rows that span the subspace on which the labels depend; they need not be
            orthonormal. One direction may be given as d numbers. None if it is not known: no
            direction then counts as one that matters, so that W_⊥ is all of W.
        batch_size: rows drawn at every call; None gives the whole sample at every call.
        generator: draws the batches; needed with a batch size.

    ``ValueError`` if shapes do not match, numbers are not finite, or directions are dependent.
    """

    def __init__(
        self,
        inputs: Tensor | ArrayLike,
        labels: Tensor | ArrayLike,
        directions: Tensor | ArrayLike | None = None,
        *,
        batch_size: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        x, y = _numbers("inputs", inputs), _numbers("labels", labels)
        if x.ndim != 2:
            raise ValueError(f"inputs has shape {tuple(x.shape)}: it must be n×d")
        if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] != 1):
            raise ValueError(f"labels has shape {tuple(y.shape)}: it must be one number per input")
        if len(x) != len(y) or len(x) == 0:
            raise ValueError(f"{len(x)} inputs and {len(y)} labels: as many of each, at least one")
        if batch_size is not None:
            require_at_least("batch_size", batch_size, 1)
        self.batch_size = batch_size
        self.generator = generator
        self.inputs: Tensor
        self.labels: Tensor
        self.register_buffer("inputs", x)
        self.register_buffer("labels", y.reshape(-1))
        basis = x.new_zeros(0, x.shape[1]) if directions is None else _basis(directions, x.shape[1])
        self.register_buffer("directions", basis)

    def whole(self) -> "Dataset":
        """The same sample, given whole at every call."""
        whole = copy.copy(self)
        whole.batch_size = None
        return whole

    def forward(self) -> Batch:
        inputs, labels = self.inputs, self.labels
        if self.batch_size is not None:
            rows = torch.randint(len(labels), (self.batch_size,), generator=self.generator)
            inputs, labels = inputs[rows.to(labels.device)], labels[rows.to(labels.device)]
        return inputs, labels, torch.full_like(labels, 1 / len(labels))


def _basis(directions: Tensor | ArrayLike, dimension: int) -> Tensor:
    """Orthonormal rows that span the directions."""
    rows = _numbers("directions", directions)
    rows = rows.reshape(1, -1) if rows.ndim == 1 else rows
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != dimension:
        raise ValueError(
            f"directions has shape {tuple(rows.shape)}: it must be k×{dimension}, with as "
            "many columns as inputs"
        )
    lengths = rows.norm(dim=1, keepdim=True)
    rotation, triangle = torch.linalg.qr((rows / lengths.clamp(min=1e-300)).T)
    if len(rows) > dimension or triangle.diagonal().abs().min() <= 1e-10:
        raise ValueError("directions are linearly dependent: give rows that are independent")
    return rotation.T.contiguous()


def _numbers(name: str, values: Tensor | ArrayLike) -> Tensor:
    """A new float64 tensor of finite numbers."""
    try:
        if isinstance(values, Tensor):
            tensor = values.detach().to_dense().to(torch.float64, copy=True)
        else:
            tensor = torch.from_numpy(np.array(values, dtype=np.float64, order="C"))
        if np.iscomplexobj(values) or (isinstance(values, Tensor) and values.is_complex()):
            raise TypeError
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be a tensor or an array of real numbers") from None
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} holds a NaN or an infinity: every number must be finite")
    return tensor


class PopulationRisk(DerandomizationObjective):
    """The regularized risk f = E ℓ(ŷ(x), y) + λ‖W‖_F², read as Eq. 1 in (W_⊥, b) (Theorem 4.1).

    The rows of W, the student's first layer, are split along and across the subspace on which the
    labels depend: W = W_∥ + W_⊥. The labels are independent of x_⊥, so W_⊥x_⊥ is the randomness;
    λ‖W_∥‖², λ > 0, is part of the expected value, and the other layers are part of θ. On a dataset
    f is the empirical risk: Stein's identity then has a defect, which the certificate's bounds
    contain. A step costs O(points · weights of the student).

    ``output_decay`` ≥ 0 adds output_decay·‖a/h‖² to the expected value: a is part of θ as well.
    """

    def __init__(
        self,
        student: Student | LowRankStudent,
        examples: Examples,
        regularization: float,
        loss: Loss = SQUARED,
        output_decay: float = 0.0,
    ) -> None:
        super().__init__(regularization)
        self.output_decay = require_between("output_decay", output_decay, 0, math.inf)
        self.student = cast(Student, student)  # of which a risk reads what both have
        self.examples = examples
        self.loss = loss

    def risk(self) -> Float[Tensor, ""]:
        """E ℓ(ŷ(x), y), without the regularization."""
        inputs, labels, weights = self.examples()
        return weights @ self.loss.function(self.student(inputs), labels)

    def expected_value(self) -> Float[Tensor, ""]:
        along = self.student.weight @ self.examples.directions.T
        return self.risk() + self._decay() + self.regularization * along.square().sum()

    def forward(self) -> Float[Tensor, ""]:
        """f, with λ(‖W_∥‖² + ‖W_⊥‖²) computed as λ‖W‖²: no projection to differentiate."""
        weight_decay = self.regularization * self.student.weight.square().sum()
        return self.risk() + self._decay() + weight_decay

    def _decay(self) -> Tensor | float:
        """The part of f that shrinks the output weights."""
        if not self.output_decay:
            return 0.0
        return (
            self.output_decay * (self.student.output / self.student.output.shape[-1]).square().sum()
        )

    def random_weights(self) -> Float[Tensor, "width dimension"]:
        return orthogonal_part(self.student.weight, self.examples.directions)

    def bias(self) -> Float[Tensor, " width"]:
        return self.student.bias

    def bias_hessian(self) -> LinearOperator | None:
        """∂²f/∂b² in closed form for one hidden layer and one output; None for other students.

        With ŷ = Σ_j a_j φ(z_j)/h and J = ∂ŷ/∂b, a row for each point, it is
        Jᵀ diag(E ℓ'') J + diag(Σ E ℓ'·a_j φ''(z_j)/h). A product costs O(points · h).
        """
        student = self.student
        if not isinstance(student, Student) or len(student.widths) > 1 or student.output.ndim > 1:
            return None
        with torch.no_grad():
            inputs, labels, weights = self.examples()
            z = torch.addmm(student.bias, inputs, student.weight.T)
            predictions, output = student(inputs), student.output / len(student.output)
        slopes, bends = _derivatives(student.activation, z)
        loss_slopes, loss_bends = _derivatives(
            lambda each: self.loss.function(each, labels), predictions
        )
        jacobian = slopes.mul_(output)
        diagonal = ((weights * loss_slopes) @ bends) * output
        loss_bends = weights * loss_bends
        return as_operator(
            lambda v: (loss_bends * (jacobian @ v)) @ jacobian + diagonal * v, diagonal
        )


def _derivatives(function: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second derivative of a function of each entry."""
    at = at.detach().requires_grad_()
    (first,) = torch.autograd.grad(function(at).sum(), at, create_graph=True)
    if not first.requires_grad:  # the function is piecewise linear
        return first, torch.zeros_like(first)
    (second,) = torch.autograd.grad(first.sum(), at, materialize_grads=True)
    return first.detach(), second
