"""``python NeuralNetworks/main.py subspace``: the directions on which one column depends."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from NeuralNetworks.own_data import Config, main


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The price depends on income less age, in units of 100 and 1."""
    rng = np.random.default_rng(0)
    age, income, noise = rng.standard_normal((3, 150))
    price = np.tanh(income - age) + 0.05 * rng.standard_normal(150)
    path = tmp_path / "table.csv"
    rows = np.stack([age, price, 100 * income, noise], axis=1)
    np.savetxt(path, rows, delimiter=",", header="age,price,income,noise", comments="")
    return path


def test_the_directions_are_found_and_written(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    main(Config(data=table, target="price", output_dir=folder, quiet=True))
    with (folder / "subspace.csv").open(newline="") as file:
        rows = {row["feature"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["age", "income", "noise"]
    direction = np.array([float(row["direction1"]) for row in rows.values()])
    assert direction * [1, 100, 1] / direction[0] == pytest.approx([1, -1, 0], abs=0.1)
    assert float(rows["noise"]["importance"]) < 0.01
    record = json.loads((folder / "results.json").read_text())
    results = record["results"]
    assert results["num_components"] == 1
    assert results["task"] == "regression"
    scores = results["scores"]
    assert scores["10 nearest neighbours in the directions"] > 0.9
    assert (
        scores["10 nearest neighbours in the directions"]
        > (scores["10 nearest neighbours among all features"])
    )
    assert [claim["holds"] for claim in record["claims"]] == [True]
    assert len(record["figures"]) == 3
    assert all((folder / name).exists() for name in record["figures"])


def test_few_whole_numbers_are_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((120, 3))
    np.save(tmp_path / "table.npy", np.c_[x, x[:, 0] > 0])
    config = Config(
        data=tmp_path / "table.npy",
        target="4",
        components=1,
        output_dir=tmp_path,
        quiet=True,
        figures=False,
    )
    main(config)
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert results["task"] == "classification"
    assert results["scores"]["network of the directions"] > 0.8


@pytest.mark.parametrize("target", ["prise", "0", "5", "-1", ""])
def test_a_target_that_is_no_column_is_one_line(table: Path, target: str) -> None:
    with pytest.raises(
        ValueError, match=r"the columns of .* are age, price, income, noise"
    ) as raised:
        main(Config(data=table, target=target, quiet=True))
    assert str(raised.value).endswith("; did you mean price?") == (target == "prise")


def test_the_target_is_checked_before_the_cells(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("age,colour,price\n1,red,3\n")
    with pytest.raises(ValueError, match=r"^target is 'prise': .*; did you mean price\?$"):
        main(Config(data=table, target="prise", quiet=True))
    with pytest.raises(
        ValueError,
        match=r"row 2, column 2 \('colour'\) is 'red': it must be a finite number; encode text as "
        "numbers, or drop the column$",
    ):
        main(Config(data=table, target="price", quiet=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n3,4\n", r"row 2 has 2 cells, row 1 has 3$"),
        ("a,a\n3,4\n", r"data is .*: two columns have the name 'a'$"),
        ("a,2019\n3,4\n", r"row 1, column 1 is 'a', but column 2 is the number '2019'"),
        ("a,b\n3,x\n", r"row 2, column 2 \('b'\) is 'x': it must be a finite number; .*$"),
    ],
)
def test_a_table_with_a_broken_header_or_cell_is_one_line(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        main(Config(data=path, target="a", quiet=True))


def test_labels_of_noise_are_said_to_be_explained_no_better_than_by_a_constant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(0)
    table = generator.standard_normal((120, 4))
    np.save(tmp_path / "noise.npy", table)
    main(Config(data=tmp_path / "noise.npy", target="4", output_dir=tmp_path / "o", figures=False))
    assert "no better than a constant" in " ".join(capsys.readouterr().out.split())
