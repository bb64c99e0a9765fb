"""Teacher, student, and the population risk that ties them into Eq. 1."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from derandomization import DerandomizationObjective, Expectation
from derandomization.checks import require_at_least, require_positive
from NeuralNetworks.activations import SmoothReLU


class Teacher(nn.Module):
    """y = tanh(u·x): a single-index teacher, u = (1, …, 1)/√d (figure 3).

    Args:
        dimension: d ≥ 1, of the input.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        require_at_least("dimension", dimension, 1)
        self.directions: Tensor  # rows of U, orthonormal: the subspace that matters
        direction = torch.full((1, dimension), dimension**-0.5, dtype=torch.float64)
        self.register_buffer("directions", direction)

    def forward(self, x: Float[Tensor, "points dimension"]) -> Float[Tensor, " points"]:
        return torch.tanh(x @ self.directions[0])


def complete_basis(
    directions: Float[Tensor, "indices dimension"],
) -> Float[Tensor, "dimension dimension"]:
    """Orthonormal rows: the given orthonormal directions first, then their complement."""
    rotation, _ = torch.linalg.qr(directions.T, mode="complete")
    return torch.cat([directions, rotation.T[len(directions) :]])


class Student(nn.Module):
    """ŷ = a·ReLU_ι(Wx + b), two layers (Section 4; figure 3's constants by default).

    W ~ N(0, 1/d), b ~ N(0, 1/h²), a ~ N(0, 1/h²) entrywise.

    Args:
        dimension: d ≥ 1.
        width: h ≥ 1, hidden units.
        generator: source of the initial weights.
        sharpness: ι > 0 of the smooth ReLU.
        train_output_layer: whether a is trained beside W and b.
    """

    def __init__(
        self,
        dimension: int,
        width: int,
        generator: torch.Generator,
        *,
        sharpness: float = 2.0,
        train_output_layer: bool = False,
    ) -> None:
        super().__init__()
        require_at_least("dimension", dimension, 1)
        require_at_least("width", width, 1)
        require_positive("sharpness", sharpness)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        self.weight = nn.Parameter(normal(width, dimension) / dimension**0.5)
        self.bias = nn.Parameter(normal(width) / width)
        self.output = nn.Parameter(normal(width) / width, requires_grad=train_output_layer)
        self.activation = SmoothReLU(sharpness)

    def forward(self, x: Float[Tensor, "points dimension"]) -> Float[Tensor, " points"]:
        return self.activation(torch.addmm(self.bias, x, self.weight.T)) @ self.output


class PopulationRisk(DerandomizationObjective):
    """f = E_x(ŷ(x) − y(x))² + λ‖W‖_F², read as Eq. 1 in (W_⊥, b) (Theorem 4.1).

    W = W_∥ + W_⊥ row by row, along and across the teacher's subspace. The teacher never sees
    x_⊥, so W_⊥x_⊥ is the randomness; λ‖W_∥‖² counts among what is expected.
    A step costs O(points · width · dimension).

    Args:
        student: the network trained.
        teacher: the network that labels.
        expectation: over x ~ N(0, I_d); quadrature makes the risk exact, a batch samples it.
        regularization: λ > 0.
    """

    def __init__(
        self,
        student: Student,
        teacher: Teacher,
        expectation: Expectation,
        regularization: float,
    ) -> None:
        super().__init__(regularization)
        self.student = student
        self.teacher = teacher
        self.expectation = expectation

    def risk(self) -> Float[Tensor, ""]:
        """E_x(ŷ(x) − y(x))², without the regularization."""
        points, weights = self.expectation()
        return weights @ (self.student(points) - self.teacher(points)).square()

    def expected_value(self) -> Float[Tensor, ""]:
        along = self.student.weight @ self.teacher.directions.T
        return self.risk() + self.regularization * along.square().sum()

    def random_weights(self) -> Float[Tensor, "width dimension"]:
        directions = self.teacher.directions
        return self.student.weight - (self.student.weight @ directions.T) @ directions

    def bias(self) -> Float[Tensor, " width"]:
        return self.student.bias
