"""Every claim has a command, and --only finds it."""

import importlib

from reproduction.claims import CLAIMS, EXPERIMENTS, STUDIES, commands_for, parse_ids


def test_every_claim_and_every_study_has_a_command() -> None:
    commands = [*EXPERIMENTS, *STUDIES]
    assert {id for each in commands for id in each.claims} == set(CLAIMS)
    for experiment in ("NeuralNetworks", "MAXCUT", "JohnsonLindenstrauss"):
        studies = {each.study for each in STUDIES if each.experiment == experiment}
        assert studies == set(importlib.import_module(f"{experiment}.main").STUDIES)


def test_only_runs_what_the_claims_need() -> None:
    names = {
        (each.experiment, each.study) for each in commands_for(parse_ids("F4, BIAS"), full=False)
    }
    assert names == {("MAXCUT", ""), ("NeuralNetworks", "biases")}
    assert [each.study for each in commands_for(("T5.2",), full=True)] == [
        "",
        "guarantee",
        "baselines",
    ]
