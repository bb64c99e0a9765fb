import pytest
import torch

from derandomization.threads import single_thread


def test_a_single_thread_is_given_back_whatever_happens() -> None:
    before = torch.get_num_threads()

    @single_thread()
    def fails() -> None:
        assert torch.get_num_threads() == 1
        raise KeyError

    torch.set_num_threads(before + 1)
    try:
        with pytest.raises(KeyError):
            fails()
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
