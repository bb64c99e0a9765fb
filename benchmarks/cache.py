"""Outcomes of benchmarks in a file, so that what was measured is not measured again."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

OutcomeT = TypeVar("OutcomeT")


class Cache:
    """Outcomes in a file of one JSON line each; in memory alone without a file.

    Parts of the benchmarks may share the file: a key starts with a digest of the code that is
    measured, so that an outcome is measured again once that has changed.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                self.known[record.pop("key")] = record

    def outcome(
        self, kind: type[OutcomeT], key: list[Any], measure: Callable[[], OutcomeT]
    ) -> OutcomeT:
        """The outcome, a dataclass of this kind, of plain values; measured if it is not known."""
        text = json.dumps(key, ensure_ascii=False)
        if text not in self.known:
            self.known[text] = asdict(measure())  # type: ignore[call-overload]
            if self.path is not None:
                line = json.dumps({"key": text, **self.known[text]}, ensure_ascii=False)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
        return kind(**self.known[text])
