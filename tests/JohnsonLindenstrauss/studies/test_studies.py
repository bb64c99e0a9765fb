"""Every study: small, from the command's own entry."""

import csv
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.random_projection import johnson_lindenstrauss_min_dim

from JohnsonLindenstrauss.studies import STUDIES
from JohnsonLindenstrauss.studies import baselines as study

SMALL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "guarantee": ({"SIZES": ((12, 6, 20),)}, {"steps": 600}),
    "baselines": (
        {"COMPONENTS": (6, 12), "MANY_COMPONENTS": (60,), "DRAWS": 20},
        {"num_points": 20, "dimension": 30, "steps": 600},
    ),
    "new-points": (
        {"SIZES": {"figure 6": (30, 10), "small patches": (90, 6)}, "DRAWS": 3},
        {"steps": 50},
    ),
}


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    module = importlib.import_module(STUDIES[name])
    constants, settings = SMALL[name]
    for constant, value in constants.items():
        monkeypatch.setattr(module, constant, value)
    module.main(module.Config(output_dir=folder, quiet=True, seeds=2, workers=1, **settings))
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_writes_its_numbers_claims_and_figure(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = run(name, tmp_path, monkeypatch)
    assert record["experiment"] == f"JohnsonLindenstrauss/{name}"
    if name != "new-points":  # its claims are about averages; test_new_points.py looks at them
        assert all(claim["holds"] is not False for claim in record["claims"])
    rows = record["results"]["rows"]
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2 * len(rows)
    (figure,) = record["figures"]
    assert (tmp_path / figure).stat().st_size > 10_000
    if name == "guarantee":
        assert [claim["id"] for claim in record["claims"]] == ["T5.5", "F7"] * 2 + ["T5.5"] * 2
        assert all(each["measured"]["direct_from_zero"]["values"] == [1, 1] for each in rows)
    elif name == "new-points":
        assert [claim["id"] for claim in record["claims"]] == ["NEW"] * 11
        assert rows[1]["measured"]["complement_change"]["values"] == [None, None]
    else:
        needed = record["results"]["needed_components"]
        assert needed["0.5"]["learned"] == 6
        assert 1 <= needed["0.5"]["numax"] <= needed["0.1"]["numax"] <= 19
        assert needed["0.5"]["min_dim"] == johnson_lindenstrauss_min_dim(20, eps=0.5)
        assert rows[-1]["measured"]["learned"]["values"] == [None, None]


def test_every_study_has_defaults_of_its_own() -> None:
    for name, path in STUDIES.items():
        module = importlib.import_module(path)
        config = module.Config()
        assert config.output_dir == Path(f"results/JohnsonLindenstrauss/{name}")
        assert config.seeds >= 10
        assert module.Config.__doc__


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_points": 2}, "num_points is 2"),
        ({"dimension": 79}, "dimension is 79"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_a_setting_out_of_range_is_named(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study.Config(**changed)
