"""The sampler passes dimod's own checks and keeps the bound."""

import unittest

import dimod
import dimod.testing
import pytest

from MAXCUT.dimod_sampler import DerandomizationSampler

pytestmark = pytest.mark.usefixtures("few_steps")


@dimod.testing.load_sampler_bqm_tests(DerandomizationSampler)
class TestSampler(unittest.TestCase):
    """The checks that dimod has for every sampler."""


def test_the_interface_is_that_of_a_sampler() -> None:
    dimod.testing.assert_sampler_api(DerandomizationSampler())


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_the_samples_are_the_best_first_with_a_bound(vartype: str) -> None:
    model = dimod.generators.gnp_random_bqm(8, 0.6, vartype, random_state=1)
    model.offset = 2.5
    found = DerandomizationSampler().sample(model, num_reads=20)
    assert len(found) == 20
    dimod.testing.assert_sampleset_energies(found, model)
    lowest = dimod.ExactSolver().sample(model).first.energy
    assert found.info["lower_bound"] <= lowest <= found.first.energy + 1e-12
    gap = found.first.energy - found.info["lower_bound"]
    assert found.info["gap"] == pytest.approx(gap, rel=1e-12)
    assert len(set(found.record.energy)) > 1
    assert list(found.record.energy) == sorted(found.record.energy)


def test_what_other_samplers_take_is_ignored_with_a_warning() -> None:
    model = dimod.BinaryQuadraticModel({"a": 1}, {}, "SPIN")
    with pytest.warns(dimod.exceptions.SamplerUnknownArgWarning):
        found = DerandomizationSampler().sample(model, num_sweeps=10)
    assert found.first.sample == {"a": -1}
    state = DerandomizationSampler().sample(model, initial_state={"a": -1}, seed=None)
    assert state.first.energy == -1
    with pytest.raises(ValueError, match="num_reads is 0: it must be at least 1"):
        DerandomizationSampler().sample(model, num_reads=0)
