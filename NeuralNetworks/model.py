"""Teacher and student networks."""

import warnings
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import pairwise
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from derandomization.checks import require_at_least, require_between
from NeuralNetworks.activations import SmoothReLU
from NeuralNetworks.settings import Part

Link = Callable[[Tensor], Tensor]


def additive_tanh(indices: Float[Tensor, "points indices"]) -> Float[Tensor, " points"]:
    """h(z) = Σ_j tanh(z_j)/√k: figure 3's teacher for k = 1; for larger k it needs every z_j."""
    return torch.tanh(indices).sum(dim=1) / indices.shape[1] ** 0.5


class Teacher(nn.Module):
    """A function of k directions of its input, y = h(Ux) + σε (Section 4).

    Args:
        dimension: d ≥ 1, of the input.
        indices: k, 1 to d, the number of directions.
        link: h, any smooth function ``[points, k] -> [points]``.
        noise: σ ≥ 0; if positive, ε ~ N(0, 1) is appended to x as one more coordinate.
        directions: U, orthonormal rows k×d; by default (1, …, 1)/√d, completed to k rows.

    ``ValueError`` if an argument is out of range, or the rows are not orthonormal.
    """

    def __init__(
        self,
        dimension: int,
        indices: int = 1,
        *,
        link: Link = additive_tanh,
        noise: float = 0.0,
        directions: Float[Tensor, "indices dimension"] | None = None,
    ) -> None:
        super().__init__()
        require_at_least("dimension", dimension, 1)
        require_between("indices", indices, 1, dimension)
        self.noise = require_between("noise", noise, 0, float("inf"))
        self.link = link
        if directions is None:
            first = torch.full((1, dimension), dimension**-0.5, dtype=torch.float64)
            directions = complete_basis(first)[:indices].contiguous()
        if directions.shape != (indices, dimension):
            raise ValueError(
                f"directions has shape {tuple(directions.shape)}: it must be {(indices, dimension)}"
            )
        self.directions: Tensor
        self.register_buffer("directions", directions.double())
        gram = self.directions @ self.directions.T
        if not torch.allclose(gram, torch.eye(indices).to(gram), rtol=0, atol=1e-9):
            raise ValueError("directions are not orthonormal: their Gram matrix must be I to 1e-9")

    @property
    def sample_dimension(self) -> int:
        """Number of coordinates of (x, ε), or of x alone without noise."""
        return self.directions.shape[1] + (self.noise > 0)

    def sample_directions(self) -> Float[Tensor, "relevant sample"]:
        """The directions of (x, ε) on which the label depends: U, and ε with noise."""
        if self.noise == 0:
            return self.directions
        return torch.block_diag(self.directions, self.directions.new_ones(1, 1))

    def forward(self, sample: Float[Tensor, "points sample"]) -> Float[Tensor, " points"]:
        """h(Ux) + σε at each row ``(x, ε)``."""
        indices, dimension = self.directions.shape
        signal = self.link((sample[:, :dimension] @ self.directions.T).reshape(-1, indices))
        return signal + self.noise * sample[:, dimension] if self.noise else signal


def complete_basis(
    directions: Float[Tensor, "indices dimension"],
) -> Float[Tensor, "dimension dimension"]:
    """An orthonormal basis as rows: the given orthonormal rows, then their complement."""
    rotation, _ = torch.linalg.qr(directions.T, mode="complete")
    return torch.cat([directions, rotation.T[len(directions) :]])


def orthogonal_part(
    vectors: Float[Tensor, "*rows dimension"], directions: Float[Tensor, "indices dimension"]
) -> Float[Tensor, "*rows dimension"]:
    """The part of each row that is orthogonal to the orthonormal ``directions``."""
    return vectors - (vectors @ directions.T) @ directions


class Hidden(nn.Module):
    """A layer after the first, z ↦ Wz/√n + b with n inputs; W ~ N(0, 1) entrywise, b = 0."""

    def __init__(self, below: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        drawn = torch.randn(width, below, generator=generator, dtype=torch.float64)
        self.weight = nn.Parameter(drawn)
        self.bias = nn.Parameter(torch.zeros(width, dtype=torch.float64))

    def forward(self, z: Float[Tensor, "points below"]) -> Float[Tensor, "points width"]:
        return torch.addmm(self.bias, z, self.weight.T, alpha=z.shape[1] ** -0.5)


def is_piecewise_linear(activation: nn.Module) -> bool:
    """Whether the slope of φ varies over [−4, 4] while its second derivative is 0 everywhere."""
    z = torch.linspace(-4.01, 4, 200, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(activation(z).sum(), z, create_graph=True)
    if not slope.requires_grad:
        return bool(slope.max() > slope.min())
    (curvature,) = torch.autograd.grad(slope.sum(), z, allow_unused=True)
    flat = curvature is None or not bool(curvature.any())
    return flat and bool(slope.detach().max() > slope.detach().min())


class Student(nn.Module):
    """A network of any depth and widths, ŷ = (1/h)·a·φ(W_L … φ(Wx + b) …) (Section 4).

    W ~ N(0, 1/d), b ~ N(0, 1/h²), a ~ N(0, 1) entrywise: the 1/h stands before the output
    weights, so the a_j/h are N(0, 1/h²) as published. With 1/h there and 1/√n before hidden
    weights (the mean-field scaling) every gradient is O(1/√h) and every curvature O(1/h), in all
    layers alike: steps of O(h) are stable whatever the width and whichever layers are trained.

    Args:
        dimension: d ≥ 1.
        widths: h of each hidden layer, first to last; one number is a two-layer network.
        generator: draws the initial weights.
        activation: φ; by default a smooth ReLU with ι = 2.
        frozen: the parts that are not trained, of "weight" (W), "bias" (b), "hidden" (the layers
            between) and "output" (a).
        outputs: c ≥ 1 numbers for each input; for more than one, a is c×h.

    ``ValueError`` if a dimension, a width or ``outputs`` is below 1, or a part does not exist.
    """

    def __init__(
        self,
        dimension: int,
        widths: int | Sequence[int],
        generator: torch.Generator,
        *,
        activation: nn.Module | None = None,
        frozen: Collection[str] = ("output",),
        outputs: int = 1,
    ) -> None:
        super().__init__()
        require_at_least("dimension", dimension, 1)
        self.widths = (widths,) if isinstance(widths, int) else tuple(widths)
        require_at_least("number of hidden layers", len(self.widths), 1)
        for width in self.widths:
            require_at_least("width", width, 1)
        require_at_least("outputs", outputs, 1)
        first, last = self.widths[0], self.widths[-1]
        normal = partial(torch.randn, generator=generator, dtype=torch.float64)
        self.weight = nn.Parameter(normal(first, dimension) / dimension**0.5)
        self.bias = nn.Parameter(normal(first) / first)
        self.output = nn.Parameter(normal(last) if outputs == 1 else normal(outputs, last))
        self.hidden = nn.ModuleList(Hidden(*pair, generator) for pair in pairwise(self.widths))
        self.activation = activation or SmoothReLU()
        if is_piecewise_linear(self.activation):
            warnings.warn(
                f"activation {type(self.activation).__name__} is not twice differentiable, as "
                "Theorem 4.1 requires: SmoothReLU is its smooth counterpart",
                stacklevel=2,
            )
        for part in frozen:
            if part not in get_args(Part):
                parts = ", ".join(get_args(Part))
                raise ValueError(f"frozen names {part!r}: its parts are {parts}")
            getattr(self, part).requires_grad_(False)

    def forward(self, x: Float[Tensor, "points dimension"]) -> Float[Tensor, "points *outputs"]:
        z = self.activation(torch.addmm(self.bias, x, self.weight.T))
        for layer in self.hidden:
            z = self.activation(layer(z))
        return nn.functional.linear(z, self.output) / self.widths[-1]


class LowRankStudent(nn.Module):
    """A two-layer student that sees k directions of its input only: its first layer is W = VF.

    Args:
        student: a two-layer student of k inputs, whose first layer is V, h×k.
        frame: F, k×d, trained with the student; its rows span the directions.
    """

    def __init__(self, student: Student, frame: Float[Tensor, "indices dimension"]) -> None:
        super().__init__()
        self.student = student
        self.frame = nn.Parameter(frame.detach().clone())

    @property
    def weight(self) -> Float[Tensor, "width dimension"]:
        """W = VF."""
        return self.student.weight @ self.frame

    @property
    def bias(self) -> Float[Tensor, " width"]:
        return self.student.bias

    @property
    def output(self) -> Float[Tensor, "*outputs width"]:
        return self.student.output

    @torch.no_grad()
    def orthonormalize(self) -> None:
        """Make the rows of F orthonormal, without a change of W."""
        rotation, triangle = torch.linalg.qr(self.frame.T)
        self.frame.copy_(rotation.T)
        self.student.weight.copy_(self.student.weight @ triangle.T)

    def forward(self, x: Float[Tensor, "points dimension"]) -> Float[Tensor, "points *outputs"]:
        return self.student(x @ self.frame.T)
