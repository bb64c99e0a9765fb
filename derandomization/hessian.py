"""Products of a Hessian with vectors, and the eigenvalues that follow from them."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import scipy.sparse.linalg as spla
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from derandomization.eigenvalues import Eigenvalue, smallest_eigenvalue
from derandomization.objective import DerandomizationObjective


class Hessian:
    """Products of ∇²f, in chosen tensors, with vectors; each costs about two gradients.

    ``function`` computes f from ``variables``; products and vectors are flat. An objective's own
    ``hessian_product`` is used where the variables are some of its parameters.
    """

    def __init__(self, function: Callable[[], Tensor], variables: Iterable[Tensor]) -> None:
        self._variables = list(variables)
        self._known: Callable[[Tensor], Tensor] | None = None
        if isinstance(function, DerandomizationObjective):
            self._known = _own_product(function, self._variables)
        gradients = torch.autograd.grad(
            function(), self._variables, create_graph=self._known is None, materialize_grads=True
        )
        self.gradient = parameters_to_vector(g.contiguous() for g in gradients)

    def product(self, vector: Tensor) -> Tensor:
        """∇²f · vector."""
        if self._known:
            return self._known(vector)
        if not self.gradient.requires_grad:  # f is linear in these tensors
            return torch.zeros_like(vector)
        # Not as autograd's third argument, whose first use in a process imports sympy: 0.5 s.
        along = torch.dot(self.gradient, vector)
        products = torch.autograd.grad(
            along, self._variables, retain_graph=True, materialize_grads=True
        )
        return parameters_to_vector(p.contiguous() for p in products)

    def spectral_norm(
        self, scales: Tensor | None = None, *, iterations: int = 20, seed: int = 0
    ) -> float:
        """A lower estimate of ‖S∇²fS‖₂ by power iteration, accurate enough to set a step size.

        S is diagonal with ``scales``, flat, on the diagonal; the identity if None.
        """
        scales = torch.ones_like(self.gradient) if scales is None else scales
        generator = torch.Generator().manual_seed(seed)
        image = torch.randn(len(scales), generator=generator).to(scales)
        for _ in range(iterations):
            length = image.norm()
            if not length:  # the zero operator
                return 0.0
            image = scales * self.product(scales * image / length)
        return float(image.norm())

    def smallest_eigenvalue(
        self, *, tolerance: float, seed: int = 0, rough: "Hessian | None" = None
    ) -> Eigenvalue:
        """λ_min(∇²f) by Lanczos, to a residual of ``tolerance``.

        ``rough`` is the Hessian of a less accurate copy of f: most products are then with it.
        """
        operators = [as_operator(h.product, h.gradient) for h in (self, rough) if h]
        return smallest_eigenvalue(
            operators[0], tolerance=tolerance, seed=seed, rough=operators[1] if rough else None
        )


def _own_product(
    objective: DerandomizationObjective, variables: Sequence[Tensor]
) -> Callable[[Tensor], Tensor] | None:
    """The objective's own product, restricted to the variables; None if it has none for them."""
    parameters = list(objective.parameters())
    numbers = {id(p): number for number, p in enumerate(parameters)}
    product = objective.hessian_product()
    if product is None or not all(id(v) in numbers for v in variables):
        return None
    chosen = [numbers[id(v)] for v in variables]
    if chosen == list(range(len(parameters))):
        return product
    sizes = [p.numel() for p in parameters]

    def restricted(vector: Tensor) -> Tensor:
        parts = [vector.new_zeros(size) for size in sizes]
        for number, part in zip(chosen, vector.split([sizes[n] for n in chosen]), strict=True):
            parts[number] = part
        image = product(torch.cat(parts)).split(sizes)
        return torch.cat([image[number] for number in chosen])

    return restricted


def as_operator(product: Callable[[Tensor], Tensor], like: Tensor) -> spla.LinearOperator:
    """scipy's symmetric operator from a product of flat tensors of the size and dtype of one."""

    def matvec(vector: np.ndarray) -> np.ndarray:
        flat = torch.from_numpy(np.ascontiguousarray(vector.reshape(-1)))
        return product(flat.to(like)).detach().cpu().numpy()

    dtype = torch.zeros((), dtype=like.dtype).numpy().dtype
    return spla.LinearOperator((like.numel(),) * 2, matvec=matvec, dtype=dtype)
