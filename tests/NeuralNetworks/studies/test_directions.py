"""The errors, claims and figure of the study directions, and the whole of it, small."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from NeuralNetworks.estimator import PrincipalSubspace
from NeuralNetworks.links import LINKS
from NeuralNetworks.studies import directions
from NeuralNetworks.studies.directions import METHODS, Config, Setting, find_directions, main


def test_every_method_finds_an_odd_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    short = partial(PrincipalSubspace, max_iter=5)
    monkeypatch.setattr(directions, "PrincipalSubspace", short)
    found = find_directions(Setting("tanh z₁", 4, 60), 0)
    assert set(found) == set(METHODS)
    assert max(found.values()) < 0.3


def test_claims_compare_medians_and_name_the_links_that_are_lost(tmp_path: Path) -> None:
    run = Run("NeuralNetworks/directions", Config(output_dir=tmp_path, quiet=True))
    errors = {
        "a": {"network": [0.1, 0.2, 0.9], "local_linear": [0.4] * 3, "sliced": [0.8] * 3},
        "b": {"network": [0.4, 0.4, 0.4], "local_linear": [0.2] * 3, "sliced": [0.8] * 3},
    }
    rows = [
        Row(Setting(name, 4, 60), name, {key: np.array(value) for key, value in each.items()})
        for name, each in errors.items()
    ]
    directions._claims(run, rows)
    first, second = run.claims
    assert (first.id, first.holds, first.reference_kind) == ("DIR", None, "baseline")
    assert (first.measured, first.reference) == (pytest.approx(0.3), pytest.approx(0.3))
    assert "over 2 links 1.00; larger on: b;" in first.statement
    assert "rMAVE" in first.statement
    assert "over 2 links 0.35; larger on: none;" in second.statement


def test_the_study_writes_every_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directions, "LINKS", {"|z₁|": LINKS["|z₁|"]})
    monkeypatch.setattr(
        directions, "find_directions", lambda setting, seed: dict.fromkeys(METHODS, 0.5)
    )
    main(Config(output_dir=tmp_path, quiet=True, seeds=2, workers=1, dimension=4, points=30))
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["experiment"] == "NeuralNetworks/directions"
    assert [row["name"] for row in record["results"]["rows"]] == ["|z₁|"]
    assert [claim["id"] for claim in record["claims"]] == ["DIR"] * 2
    assert record["figures"] == ["directions.png"]


@pytest.mark.parametrize("bad", [{"dimension": 3}, {"points": 19}])
def test_settings_out_of_range_are_named(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Config(**bad)
