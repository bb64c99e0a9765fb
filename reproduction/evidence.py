"""What the results.json files of a run say about each claim."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from derandomization.laboratory.intervals import confidence_interval
from reproduction.claims import CLAIMS, SEEDS
from reproduction.jobs import Job, read_json

VERDICTS = {True: "holds", False: "does not hold", None: "open"}
ORDER = {"exact": 0, "sampled": 1}  # of the checks that are shown; studies follow
DECADE = 10.0  # positive values that spread over more than this are averaged by their logarithms
CLAIM_FIELDS = {"id", "statement", "reference", "reference_kind", "measured", "holds"}
REFERENCE_KINDS = ("paper", "bound", "baseline", None)
# Ids and names of figures become parts of links and paths: a figure is in its results' folder.
ID = re.compile(r"\w[\w.-]{0,40}", re.ASCII)
FIGURE = re.compile(r"\w[\w.-]{0,100}\.(png|gif)", re.ASCII)


@dataclass(frozen=True)
class Record:
    """A finished job and its results.json."""

    job: Job
    folder: Path
    data: dict[str, Any]


@dataclass(frozen=True)
class Check:
    """One claim that one command makes, over its seeds, the default seed first."""

    id: str
    ordinal: int  # 1 for the first claim with this id that the command makes
    statement: str  # as the first seed states it
    records: list[Record]  # one per seed
    claims: list[dict[str, Any]]  # their entries in results.json

    @property
    def where(self) -> str:
        """Experiment and estimator, or experiment and study."""
        job = self.records[0].job
        return f"{job.experiment}, {job.kind}"

    @property
    def holds(self) -> bool | None:
        """Whether it holds on every seed that decides it; None if none does."""
        return overall([claim["holds"] for claim in self.claims])

    @property
    def count(self) -> str:
        """On how many seeds it holds."""
        decided = [claim["holds"] for claim in self.claims if claim["holds"] is not None]
        undecided = len(self.claims) - len(decided)
        if not decided:
            return f"open on {undecided}"
        return f"{sum(decided)} of {len(decided)}" + (f", open on {undecided}" if undecided else "")

    @property
    def reference(self) -> str:
        """What the number is compared with: the paper's, a bound's or a baseline's."""
        kind = self.claims[0]["reference_kind"]
        value = summary([claim["reference"] for claim in self.claims])
        return f"{value} ({kind})" if kind else value

    @property
    def measured(self) -> str:
        """The measured number with its 95% interval."""
        return summary([claim["measured"] for claim in self.claims])


@dataclass(frozen=True)
class Finding:
    """A claim and all its checks; no checks if no job made the claim."""

    id: str
    statement: str
    checks: list[Check]

    @property
    def verdict(self) -> str:
        """One of: holds, does not hold, open, not run."""
        if not self.checks:
            return "not run"
        holds = overall([check.holds for check in self.checks])
        return VERDICTS[None if holds and self._is_open else holds]

    @property
    def _is_open(self) -> bool:
        return self.id in CLAIMS and CLAIMS[self.id].is_open

    @property
    def headline(self) -> Check:
        """The check shown in the table: the first that fails, else the first that answers."""
        failing = (check for check in self.checks if check.holds is False)
        answers = (check for check in self.checks if check.holds is None or not self._is_open)
        return next(failing, next(answers, self.checks[0]))

    def estimate(self, estimator: str) -> Check | None:
        """The headline's check with an estimator; for a study, which has one number, itself."""
        shown = self.headline.records[0].job
        if shown.study:
            return self.headline if estimator == "exact" else None
        return next(
            (
                check
                for check in self.checks
                if check.ordinal == self.headline.ordinal
                and (job := check.records[0].job).experiment == shown.experiment
                and job.kind == estimator
            ),
            None,
        )

    @property
    def numbers(self) -> tuple[str, str, str]:
        """The row's reference, and the numbers measured exactly and by sampling."""
        exact, sampled = self.estimate("exact"), self.estimate("sampled")
        references = dict.fromkeys(each.reference for each in (exact, sampled) if each)
        measured = [each.measured if each else "–" for each in (exact, sampled)]
        return ", sampled: ".join(references), measured[0], measured[1]

    @property
    def command(self) -> str:
        """The command that prints the row's numbers."""
        job, seeds = self.headline.records[0].job, len(self.headline.records)
        if job.study or (seeds == 1 and not self.estimate("sampled")):
            return job.command
        return f"python reproduce.py --only {self.id}" + (
            f" --seeds {seeds}" if seeds != SEEDS else ""
        )

    @property
    def seconds(self) -> float:
        """Seconds that the command takes on one core."""
        if self.headline.records[0].job.study:
            records = self.headline.records
        else:
            records = [r for check in self.checks for r in check.records if not r.job.study]
        seconds = {record.folder: record.data["wall_seconds"] for record in records}
        return float(sum(seconds.values()))

    def figure(self) -> Path | None:
        """The figure that shows it, from the first seed of the headline."""
        if not self.checks:
            return None
        record = self.headline.records[0]
        images = [name for name in record.data["figures"] if name.endswith(".png")]
        declared = [f"{each}.png" for each in CLAIMS[self.id].figures] if self.id in CLAIMS else []
        name = next((each for each in [*declared, *images] if each in images), None)
        return record.folder / name if name else None

    def figure_description(self) -> str:
        """What is seen in the figure, if the run said so."""
        figure, texts = self.figure(), self.headline.records[0].data.get("figure_descriptions")
        return str(texts.get(figure.name, "")) if figure and isinstance(texts, dict) else ""


def overall(verdicts: Sequence[bool | None]) -> bool | None:
    """Combine verdicts: False if any is, else True if any is, else None."""
    if False in verdicts:
        return False
    return True if True in verdicts else None


def summary(values: Sequence[float | str | None]) -> str:
    """Format numbers as their mean and 95% interval, and texts as the first of them."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    if any(isinstance(value, str) for value in known):
        same = all(value == known[0] for value in known)
        return str(known[0]) + ("" if same else f" (first of {len(known)} seeds)")
    numbers = np.array(known, dtype=float)
    if np.all(numbers == numbers[0]):
        return _digits(float(numbers[0]))
    with np.errstate(all="ignore"):  # sums and intervals may be too large for float64
        spread = numbers.min() > 0 and numbers.max() > DECADE * numbers.min()
        found = confidence_interval(np.log(numbers) if spread else numbers)
        ends = np.array([found.mean, found.low, found.high])
        mean, low, high = map(_digits, (np.exp(ends) if spread else ends).tolist())
    return f"{mean} [{low}, {high}]"


def _digits(value: float) -> str:
    """Format with four digits, whole numbers without a decimal point."""
    whole = float(value).is_integer() and abs(value) < 1e6
    return f"{value:.0f}" if whole else f"{value:.4g}"


def read_record(job: Job, output_dir: Path) -> Record:
    """Read the results.json of a job; ``ValueError`` if it is not what an experiment writes."""
    folder = output_dir / job.folder
    path = folder / "results.json"
    try:
        data = read_json(path)
    except (OSError, ValueError):
        raise ValueError(f"{path}: missing or broken") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path}: no results")
    for name, kind in (("results", dict), ("claims", list), ("figures", list)):
        if not isinstance(data.get(name), kind):
            raise ValueError(f"{path}: no {name}")
    if not is_number(data.get("wall_seconds")):
        raise ValueError(f"{path}: no wall_seconds")
    for name in ("config", "environment"):
        if not isinstance(data.get(name, {}), dict):
            raise ValueError(f"{path}: no {name}")
    if not all(map(_is_claim, data["claims"])):
        raise ValueError(f"{path}: a claim lacks its statement, its number or its verdict")
    for figure in data["figures"]:
        if not (isinstance(figure, str) and FIGURE.fullmatch(figure)):
            raise ValueError(f"{path}: a figure is {figure!r}: no name of an image in this folder")
    return Record(job, folder, data)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number in the range of float64."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -math.inf < value < math.inf and abs(value) < 2**1023


def _is_claim(entry: Any) -> bool:
    """Whether an entry of ``claims`` has every field, each of its type."""
    if not isinstance(entry, dict) or not set(entry) >= CLAIM_FIELDS:
        return False
    numbers = all(
        entry[name] is None or is_number(entry[name]) or _is_text(entry[name])
        for name in ("reference", "measured")
    )
    return (
        numbers
        and _is_text(entry["statement"])
        and _is_text(entry["id"])
        and bool(ID.fullmatch(entry["id"]))
        and entry["reference_kind"] in REFERENCE_KINDS
        and (entry["holds"] is None or isinstance(entry["holds"], bool))
    )


def _is_text(value: Any) -> bool:
    """Whether a value is one line of text, without characters that control a terminal."""
    return isinstance(value, str) and value.isprintable()


def problems_of(record: Record) -> list[str]:
    """One line for each claim, number or figure that is missing, and each claim that fails."""
    path = record.folder / "results.json"
    made = {claim["id"] for claim in record.data["claims"]}
    problems = [f"{path}: no claim {id}" for id in record.job.claims if id not in made]
    for claim in record.data["claims"]:
        name = f"{claim['id']} ({claim['statement']})"
        if claim["holds"] is False:
            problems.append(f"{path}: {name} does not hold: {claim['measured']}")
        if claim["holds"] is not None and claim["measured"] is None:
            problems.append(f"{path}: {name} has no number")
    if record.job.has_figures and not record.data["figures"]:
        problems.append(f"{path}: no figures")
    for figure in record.data["figures"]:
        file = record.folder / figure
        if file.is_symlink():
            problems.append(f"{file}: a link, and no image")
        elif not file.is_file() or not file.stat().st_size:
            problems.append(f"{file}: missing or empty")
    return problems


def find(records: Sequence[Record]) -> list[Finding]:
    """Collect the checks of every claim of the paper, then of claims that only runs make."""
    groups: dict[tuple[str, str, str, int], Check] = {}
    for record in records:
        seen: dict[str, int] = {}
        for claim in record.data["claims"]:
            id = claim["id"]
            ordinal = seen[id] = seen.get(id, 0) + 1
            key = (id, record.job.experiment, record.job.kind, ordinal)
            check = groups.setdefault(key, Check(id, ordinal, claim["statement"], [], []))
            check.records.append(record)
            check.claims.append(claim)
    checks = sorted(groups.values(), key=lambda check: ORDER.get(check.records[0].job.kind, 2))
    statements = {id: claim.statement for id, claim in CLAIMS.items()}
    for check in checks:
        statements.setdefault(check.id, "Beyond the paper")
    return [
        Finding(id, statement, [check for check in checks if check.id == id])
        for id, statement in statements.items()
    ]
