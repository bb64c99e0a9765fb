"""The claims of all experiments, and the jobs that check them."""

from collections.abc import Mapping
from dataclasses import fields

from derandomization.laboratory.claims import Command, PaperClaim
from derandomization.laboratory.study import spawn_seeds
from reproduction.jobs import MAINS, Job

# Claims about the lemma itself, which several experiments check.
LEMMA = {
    "L3.1": PaperClaim(
        "At every ρ-second-order stationary point ‖W‖ ≤ (ρ + ‖δ‖)/(2λ − √(Kρ)), where δ = 0 for "
        "Gaussian inputs: the randomness vanishes with ρ",
        ("figure3_weight_norm", "figure5_largest_deviation", "figure7_variance"),
    ),
    "FOSP": PaperClaim(
        "First order is not enough: plain gradient descent stays at a saddle with W ≠ 0, "
        "perturbed descent leaves it",
        ("figure7_variance",),
    ),
}
# In the order of the report.
CLAIMS: Mapping[str, PaperClaim] = {
    **LEMMA,
    **{id: claim for main in MAINS.values() for id, claim in main.CLAIMS.paper.items()},
    **{id: claim for main in MAINS.values() for id, claim in main.CLAIMS.questions.items()},
}
SEEDS = 10  # repetitions of every experiment, by default
Commands = dict[tuple[str, str], Command]  # by experiment, and name of an estimator or a study


def _commands(*, studies: bool) -> Commands:
    return {
        (experiment, name): command
        for experiment, main in MAINS.items()
        for name, command in main.CLAIMS.commands.items()
        if (name in main.STUDIES) == studies
    }


EXPERIMENT_COMMANDS, STUDY_COMMANDS = _commands(studies=False), _commands(studies=True)


def parse_ids(words: str) -> tuple[str, ...]:
    """Split ``"F4,T5.2"`` into the ids of existing claims; an empty string has none."""
    ids = tuple(word.strip() for word in words.split(",") if word.strip())
    for id in ids:
        if id not in CLAIMS:
            raise ValueError(f"only is {id!r}: no such claim; there are {', '.join(CLAIMS)}")
    if words and not ids:
        raise ValueError(f"only is {words!r}: it must name claims, such as F4,T5.2")
    return ids


def plan(ids: tuple[str, ...] = (), *, full: bool, seeds: int, quick: bool) -> list[Job]:
    """List the jobs that check some claims, or all if there are no ids.

    With ``full`` every study that checks one of the claims runs; otherwise studies run only for
    claims in ``ids`` that no experiment itself checks. ``seeds`` are the repetitions of every
    experiment with each estimator; a study has its own number of them, with ``quick`` one.
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
