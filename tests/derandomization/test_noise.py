import torch
from scipy import stats

from derandomization.expectations import standard_normal


def test_a_seed_repeats_the_draw_which_is_standard_normal() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    first, again = (
        standard_normal(50, 40, generator=torch.Generator().manual_seed(3), like=like)
        for _ in range(2)
    )
    assert torch.equal(first, again)
    assert stats.kstest(first.flatten().numpy(), "norm").pvalue > 1e-3


def test_it_has_the_dtype_asked_for_and_no_generator_is_torchs_own() -> None:
    torch.manual_seed(1)
    drawn = standard_normal(3, generator=None, like=torch.zeros(1))
    torch.manual_seed(1)
    assert drawn.dtype == torch.float32
    assert torch.equal(drawn, torch.randn(3))
