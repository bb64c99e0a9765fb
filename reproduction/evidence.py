"""What the results.json files of a run say about each claim."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from derandomization.laboratory.intervals import confidence_interval
from reproduction.claims import CLAIMS, ESTIMATORS
from reproduction.parts import Part

WORDS = {True: "holds", False: "does not hold", None: "open"}
DECADE = 10.0  # positive values that spread over more than this are averaged by their logarithms


@dataclass(frozen=True)
class Record:
    """A finished part and its results.json."""

    part: Part
    folder: Path
    data: dict[str, Any]


@dataclass(frozen=True)
class Check:
    """One claim of one command, over its seeds.

    Attributes:
        id: of the claim.
        statement: as the first seed words it.
        records: a seed each, the default one first.
        claims: as results.json has them, a seed each.
    """

    id: str
    statement: str
    records: list[Record]
    claims: list[dict[str, Any]]

    @property
    def source(self) -> str:
        """Experiment and estimator, or experiment and study."""
        part = self.records[0].part
        return f"{part.experiment}, {part.kind}"

    @property
    def holds(self) -> bool | None:
        """Whether it holds on every seed where it speaks; None where it speaks on none."""
        return verdict([claim["holds"] for claim in self.claims])

    @property
    def count(self) -> str:
        """On how many seeds it holds."""
        spoken = [claim["holds"] for claim in self.claims if claim["holds"] is not None]
        silent = len(self.claims) - len(spoken)
        if not spoken:
            return f"open on {silent}"
        return f"{sum(spoken)} of {len(spoken)}" + (f", open on {silent}" if silent else "")

    @property
    def paper(self) -> str:
        """The paper's number, or what its bound comes to."""
        return summary([claim["paper"] for claim in self.claims])

    @property
    def measured(self) -> str:
        """What was measured, with its 95% interval."""
        return summary([claim["measured"] for claim in self.claims])

    @property
    def seconds(self) -> float:
        """Seconds a run of the command took, on average."""
        return float(np.mean([record.data["wall_seconds"] for record in self.records]))


@dataclass(frozen=True)
class Finding:
    """A claim of the paper and all that was checked of it: nothing, where no part did."""

    id: str
    statement: str
    checks: list[Check]

    @property
    def word(self) -> str:
        """Holds, does not hold, open, or not run."""
        if not self.checks:
            return "not run"
        return WORDS[verdict([check.holds for check in self.checks])]

    @property
    def headline(self) -> Check:
        """The check that stands for all of them: one that fails, else of an exact run."""
        failing = (check for check in self.checks if check.holds is False)
        return next(failing, self.checks[0])

    def figure(self) -> Path | None:
        """The figure that shows it, of the headline's first seed."""
        if not self.checks:
            return None
        record = self.headline.records[0]
        stills = [name for name in record.data["figures"] if name.endswith(".png")]
        wanted = [f"{each}.png" for each in CLAIMS[self.id].figures] if self.id in CLAIMS else []
        name = next((each for each in [*wanted, *stills] if each in stills), None)
        return record.folder / name if name else None


def verdict(held: Sequence[bool | None]) -> bool | None:
    """False where any is, else True where any is: what says nothing does not count."""
    if False in held:
        return False
    return True if True in held else None


def summary(values: Sequence[float | str | None]) -> str:
    """Mean and 95% interval over the seeds; of words, the first seed's."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    if any(isinstance(value, str) for value in known):
        same = all(value == known[0] for value in known)
        return str(known[0]) + ("" if same else f" (first of {len(known)} seeds)")
    numbers = np.array(known, dtype=float)
    if np.all(numbers == numbers[0]):
        return _digits(float(numbers[0]))
    if numbers.min() > 0 and numbers.max() > DECADE * numbers.min():
        logs = confidence_interval(np.log(numbers))
        low, mean, high = (_digits(math.exp(each)) for each in (logs.low, logs.mean, logs.high))
    else:
        plain = confidence_interval(numbers)
        low, mean, high = (_digits(each) for each in (plain.low, plain.mean, plain.high))
    return f"{mean} [{low}, {high}]"


def _digits(value: float) -> str:
    """Four digits, and whole numbers as such."""
    whole = float(value).is_integer() and abs(value) < 1e6
    return f"{value:.0f}" if whole else f"{value:.4g}"


def read_record(part: Part, output_dir: Path) -> Record:
    """The results.json of a part.

    Raises:
        ValueError: it is missing, or not what an experiment writes.
    """
    folder = output_dir / part.folder
    path = folder / "results.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ValueError(f"{path}: missing or broken") from None
    shape = {"results": dict, "claims": list, "figures": list, "wall_seconds": int | float}
    for name, kind in shape.items():
        if not isinstance(data, dict) or not isinstance(data.get(name), kind):
            raise ValueError(f"{path}: no {name}")
    for claim in data["claims"]:
        if not isinstance(claim, dict) or not {
            "id",
            "statement",
            "paper",
            "measured",
            "holds",
        } <= set(claim):
            raise ValueError(f"{path}: a claim lacks its statement, its number or its verdict")
    return Record(part, folder, data)


def findings(records: Sequence[Record]) -> list[Finding]:
    """Every claim of the paper, and then those that only the runs make."""
    groups: dict[tuple[str, str, str, int], list[tuple[Record, dict[str, Any]]]] = {}
    for record in records:
        seen: dict[str, int] = {}
        for claim in record.data["claims"]:
            ordinal = seen[claim["id"]] = seen.get(claim["id"], 0) + 1
            key = (claim["id"], record.part.experiment, record.part.kind, ordinal)
            groups.setdefault(key, []).append((record, claim))
    checks = [
        Check(key[0], pairs[0][1]["statement"], [r for r, _ in pairs], [c for _, c in pairs])
        for key, pairs in groups.items()
    ]
    checks.sort(key=_rank)
    others = dict.fromkeys(check.id for check in checks if check.id not in CLAIMS)
    statements = {id: claim.statement for id, claim in CLAIMS.items()}
    statements |= dict.fromkeys(others, "Beyond the paper")
    return [
        Finding(id, statement, [check for check in checks if check.id == id])
        for id, statement in statements.items()
    ]


def _rank(check: Check) -> int:
    """Exact runs before sampled ones before studies; else the order of the parts."""
    kind = check.records[0].part.kind
    return ESTIMATORS.index(kind) if kind in ESTIMATORS else len(ESTIMATORS)
