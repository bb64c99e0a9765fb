"""Gaussian draws that a seed repeats on every device."""

import torch
from jaxtyping import Float
from torch import Tensor


def standard_normal(
    *shape: int, generator: torch.Generator | None, like: Tensor
) -> Float[Tensor, "..."]:
    """Independent N(0, 1) entries, with the dtype and on the device of ``like``.

    Drawn on the generator's own device, so that one seed gives the same numbers everywhere; by
    torch's default generator if there is none.
    """
    device = like.device if generator is None else generator.device
    drawn = torch.randn(shape, dtype=like.dtype, device=device, generator=generator)
    return drawn.to(like.device)
