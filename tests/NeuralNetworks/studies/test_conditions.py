"""biases, regularization, depth, losses, multi-index: small, from the command's own entry."""

import csv
import json
import pkgutil
from pathlib import Path
from typing import Any

import pytest

from NeuralNetworks.studies import STUDIES, conditions

# What makes each study quick: constants of the module, and options.
SMALL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "biases": ({"BIASES_STEPS": {1e-3: 300, 1e-1: 300}}, {"width": 50}),
    "regularization": ({"REGULARIZATION_STEPS": {3e-3: 1300, 3e-2: 1300}}, {"width": 30}),
    "depth": ({"DEPTHS": (2, 4), "WIDTHS": (10, 20), "WIDTH_OF_DEEP": 10}, {"steps": 400}),
    "losses": ({}, {"width": 10, "steps": 60}),
    "multi-index": ({"INDICES": (1, 3)}, {"dimension": 6, "width": 10, "regularization": 1e-2}),
}
IDS = {
    "biases": "BIAS",
    "regularization": "REG",
    "depth": "DEPTH",
    "losses": "LOSS",
    "multi-index": "T4.1",
}


@pytest.mark.parametrize("study", SMALL)
def test_a_study_writes_its_numbers_and_its_claims(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = pkgutil.resolve_name(STUDIES[study])
    constants, settings = SMALL[study]
    for name, value in constants.items():
        monkeypatch.setattr(conditions, name, value)
    command.main(command.Config(output_dir=tmp_path, quiet=True, seeds=2, workers=1, **settings))
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["experiment"] == f"NeuralNetworks/{study}"
    rows = record["results"]["rows"]
    claims = {claim["id"]: claim for claim in record["claims"]}
    assert set(claims) == {IDS[study], "T4.1", "L3.1"}
    assert claims["L3.1"]["holds"] is True
    if study != "losses":  # at sixty steps they are on their way
        assert claims[IDS[study]]["holds"] in (True, None)
        assert all(claim["holds"] is not False for claim in record["claims"])
    for row in rows:
        assert len(row["measured"]["relative_orthogonal_norm"]["values"]) == 2
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * len(rows)
    assert [float(line["risk"]) for line in table[:2]] == rows[0]["measured"]["risk"]["values"]
    (figure,) = record["figures"]
    assert (tmp_path / figure).stat().st_size > 10_000


def test_every_study_has_settings_and_defaults_of_its_own() -> None:
    for name, path in STUDIES.items():
        command = pkgutil.resolve_name(path)
        config = command.Config()
        assert config.output_dir == Path(f"results/NeuralNetworks/{name}")
        assert config.seeds >= 10
        assert callable(command.main)
        assert command.Config.__doc__
