"""Every claim has a command, and --only finds it."""

import pytest

from reproduction.claims import CLAIMS, EXPERIMENT_COMMANDS, STUDY_COMMANDS, parse_ids, plan
from reproduction.jobs import MAINS


def test_every_claim_and_every_study_has_a_command() -> None:
    commands = [*EXPERIMENT_COMMANDS.values(), *STUDY_COMMANDS.values()]
    assert {id for command in commands for id in command.claims} == set(CLAIMS)
    for experiment, main in MAINS.items():
        assert {study for name, study in STUDY_COMMANDS if name == experiment} == set(main.STUDIES)


@pytest.mark.parametrize(
    ("only", "full", "commands"),
    [
        (
            "F4, BIAS",
            False,
            {("MAXCUT", "exact"), ("MAXCUT", "sampled"), ("NeuralNetworks", "biases")},
        ),
        (
            "T5.2",
            True,
            {("MAXCUT", name) for name in ("exact", "sampled", "guarantee", "sparse", "baselines")},
        ),
        ("", False, set(EXPERIMENT_COMMANDS)),
        ("", True, set(EXPERIMENT_COMMANDS) | set(STUDY_COMMANDS)),
    ],
)
def test_only_runs_what_the_claims_need(
    only: str, full: bool, commands: set[tuple[str, str]]
) -> None:
    jobs = plan(parse_ids(only), full=full, seeds=1, quick=False)
    assert {(job.experiment, job.kind) for job in jobs} == commands
