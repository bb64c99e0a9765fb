"""Numbers over seeds, and the verdicts that they lead to."""

from pathlib import Path
from typing import Any

from reproduction.evidence import overall, summary
from reproduction.report import read_report
from tests.reproduction.made_up import edit


def test_a_number_over_seeds_has_an_interval() -> None:
    assert summary([1.0, 2.0, 3.0]) == "2 [-0.4841, 4.484]"
    assert summary([1e-9, 1e-7, 1e-5]).startswith("1e-07 [")  # by the logarithms: none below 0
    assert "-" not in summary([1e-9, 1e-7, 1e-5]).replace("e-", "")
    assert summary([41, 41]) == "41"
    assert summary([None, None]) == "–"
    assert summary(["a", "a"]) == "a"
    assert summary(["a", "b"]) == "a (first of 2 seeds)"


def test_one_failure_is_a_failure_and_no_verdict_is_open() -> None:
    assert overall([True, None, True]) is True
    assert overall([True, False, None]) is False
    assert overall([None, None]) is None


def test_a_claim_that_fails_once_fails_and_is_the_one_that_is_shown(folder: Path) -> None:
    def fail(record: dict[str, Any]) -> None:
        record["claims"][0]["holds"] = False

    edit(folder / "parts/MAXCUT/sampled/seed-42/results.json", fail)
    (finding,) = [each for each in read_report(folder).findings if each.id == "F4"]
    assert finding.verdict == "does not hold"
    assert finding.headline.where == "MAXCUT, sampled"
    assert finding.headline.count == "0 of 1"
