"""The claims of all experiments, and the jobs that check them."""

from collections.abc import Mapping
from dataclasses import fields

from derandomization.laboratory.claims import Command, PaperClaim
from derandomization.laboratory.study import spawn_seeds
from reproduction import EXPERIMENTS
from reproduction.jobs import Job, main_module

# Claims about the lemma itself, which several experiments check.
LEMMA = {
    "L3.1": PaperClaim(
        "Every ρ-SOSP has ‖W‖ ≤ ρ/(2λ − √(Kρ)): the randomness vanishes with ρ",
        ("figure3_weight_norm", "figure5_largest_deviation", "figure7_variance"),
    ),
    "FOSP": PaperClaim(
        "First order is not enough: plain gradient descent stays at a saddle with W ≠ 0, "
        "perturbed descent leaves it",
        ("figure7_variance",),
    ),
}
MAINS = {experiment: main_module(experiment) for experiment in EXPERIMENTS}
# In the order of the report.
CLAIMS: Mapping[str, PaperClaim] = {
    **LEMMA,
    **{id: claim for main in MAINS.values() for id, claim in main.CLAIMS.paper.items()},
    **{id: claim for main in MAINS.values() for id, claim in main.CLAIMS.questions.items()},
}
# By experiment and name: the commands that run an experiment itself, and those that run a study.
Commands = dict[tuple[str, str], Command]
EXPERIMENT_COMMANDS: Commands = {}
STUDY_COMMANDS: Commands = {}
for _experiment, _main in MAINS.items():
    for _name, _command in _main.CLAIMS.commands.items():
        _commands = STUDY_COMMANDS if _name in _main.STUDIES else EXPERIMENT_COMMANDS
        _commands[_experiment, _name] = _command


def parse_ids(words: str) -> tuple[str, ...]:
    """Split ``"F4,T5.2"`` into claim ids; an empty string has none.

    Raises:
        ValueError: there is no such claim.
    """
    ids = tuple(word.strip() for word in words.split(",") if word.strip())
    for id in ids:
        if id not in CLAIMS:
            raise ValueError(f"only is {id!r}: no such claim; there are {', '.join(CLAIMS)}")
    if words and not ids:
        raise ValueError(f"only is {words!r}: it must name claims, such as F4,T5.2")
    return ids


def plan(ids: tuple[str, ...] = (), *, full: bool, seeds: int, quick: bool) -> list[Job]:
    """List the jobs that check some claims, or all.

    Args:
        ids: the claims; if empty, all.
        full: run every study that checks one of the claims; otherwise studies run only for claims
            in ``ids`` that no experiment itself checks.
        seeds: repetitions of every experiment, with each estimator; a study has its own number.
        quick: run the studies with one seed too.
    """
    experiments, studies = EXPERIMENT_COMMANDS, STUDY_COMMANDS
    if ids:
        experiments = _checking(set(ids), experiments)
        checked = {id for command in experiments.values() for id in command.claims}
        studies = _checking(set(ids) if full else set(ids) - checked, studies)
    elif not full:
        studies = {}
    options = {"seeds": 1} if quick else {}
    return [
        *(job for key, command in experiments.items() for job in _repeat(*key, command, seeds)),
        *(
            Job(experiment, study, options, command.claims, command.seconds)
            for (experiment, study), command in studies.items()
        ),
    ]


def _checking(ids: set[str], commands: Commands) -> Commands:
    return {key: command for key, command in commands.items() if ids & set(command.claims)}


def _repeat(experiment: str, estimator: str, command: Command, seeds: int) -> list[Job]:
    """Run an experiment with its default seed first, then with seeds derived from it.

    For MAXCUT the default seed draws the paper's graph, the others draw other graphs.
    """
    config = MAINS[experiment].Config
    has_estimator = any(field.name == "estimator" for field in fields(config))
    options = {"estimator": estimator} if has_estimator else {}
    default = config().seed
    others = spawn_seeds(default, seeds - 1) if seeds > 1 else []
    jobs = []
    for seed in (default, *others):
        claims = tuple(
            id for id in command.claims if seed == default or not CLAIMS[id].default_seed_only
        )
        jobs.append(Job(experiment, "", options | {"seed": seed}, claims, command.seconds))
    return jobs
