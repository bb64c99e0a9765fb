"""``python MAXCUT/main.py qubo``, ``ising``, ``max-2-sat`` and ``max-dicut`` on files."""

import csv
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import pytest

from derandomization.laboratory.command_line import launch
from MAXCUT.commands import COMMANDS
from MAXCUT.main import Config, main

pytestmark = pytest.mark.usefixtures("few_steps")
QUBO = "2 3\n1 1 -1\n2 2 -1\n1 2 1.5\n"
FILES = {
    "qubo": ("model.qubo", QUBO),
    "ising": ("model.coo", "0 0 1\n0 1 2\n"),
    "max-2-sat": ("formula.cnf", "p cnf 2 4\n1 2 0\n-1 2 0\n1 -2 0\n-1 -2 0\n"),
    "max-dicut": ("graph.txt", "3 3\n1 2 2\n2 1 5\n2 3 1\n"),
}
# The energy, and the assignments that reach it.
EXPECTED = {
    "qubo": (-1, [["1", "0"], ["0", "1"]]),
    "ising": (-3, [["-1", "1"]]),
    "max-2-sat": (-3, [["0", "0"], ["0", "1"], ["1", "0"], ["1", "1"]]),
    "max-dicut": (-6, [["0", "1", "0"]]),
}


def run(command: str, path: Path, folder: Path, **options: Any) -> dict[str, Any]:
    module = pkgutil.resolve_name(COMMANDS[command])
    common = {"output_dir": folder, "quiet": True, "figures": False}
    module.main(module.Config(file=path, **{**common, **options}))
    return json.loads((folder / "results.json").read_text())


# The function 3xy − 2x − 2y is least where x and y differ, of bits as of spins.
@pytest.mark.parametrize(("vartype", "energy"), [("BINARY", -2), ("SPIN", -3)])
@pytest.mark.parametrize("command", ["qubo", "ising"])
def test_the_vartype_of_the_file_counts(
    command: str, vartype: str, energy: float, tmp_path: Path
) -> None:
    path = tmp_path / "model.coo"
    path.write_text(f"# Vartype = {vartype}\n0 0 -2\n1 1 -2\n0 1 3\n")
    record = run(command, path, tmp_path)
    assert record["results"]["energy"] == energy
    rows = list(csv.reader((tmp_path / "assignment.csv").open()))
    low = -1 if command == "ising" else 0
    assert sorted(int(value) for _, value in rows[1:]) == [low, 1]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_is_solved(command: str, tmp_path: Path) -> None:
    name, text = FILES[command]
    path = tmp_path / name
    path.write_text(text)
    record = run(command, path, tmp_path / "out", figures=command == "qubo")
    energy, allowed = EXPECTED[command]
    results = record["results"]
    assert results["energy"] == results["lower_bound"] == energy
    assert results["gap"] == results["relative_gap"] == results["gap_in_range"] == 0
    assert results["proven_optimal"]
    assert all(claim["holds"] is not False for claim in record["claims"])
    assert record["claims"][0]["holds"]
    with (tmp_path / "out" / "assignment.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["variable", "value"]
    assert [value for _, value in rows[1:]] in allowed
    if command.startswith("max"):
        assert results["value"] == results["upper_bound"] == -energy
        assert results["proven_ratio"] == 1
    assert (tmp_path / "out" / "bracket.png").exists() == (command == "qubo")


def test_what_is_printed_has_the_gap_in_three_units(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.qubo"
    path.write_text(QUBO)
    run("qubo", path, tmp_path, quiet=False)
    printed = " ".join(capsys.readouterr().out.split())
    assert "proven lower bound -1 " in printed
    assert "gap 0, 0.000% of the energy, 0.000% of its range: the assignment is opt" in printed


def test_the_model_of_a_formula_is_written_and_solved_again(tmp_path: Path) -> None:
    path = tmp_path / "formula.cnf"
    path.write_text(FILES["max-2-sat"][1])
    run("max-2-sat", path, tmp_path, write_model=tmp_path / "model.json", target=2.0)
    record = run("qubo", tmp_path / "model.json", tmp_path)
    assert record["results"]["energy"] == -3


def test_a_warning_about_the_file_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "graph.txt"
    path.write_text("2 2\n1 2\n2 1 3\n")
    run("max-dicut", path, tmp_path, quiet=False)
    assert "1 of 2 lines have no weight" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["qubo", "--file", "missing.qubo"], "file is missing.qubo: it can't be read (No such"),
        (["qubo", "--file", "model.xyz"], "model.xyz: the suffix is '.xyz': it must be one of"),
        (["max-2-sat", "--file", "three.cnf"], "three.cnf, line 2: "),
        (["qubo", "--file", "m.qubo", "--write-model", "m.xyz"], "m.xyz: the suffix must be"),
        (["qubo", "--file", "m.qubo", "--write-model", "no/m.json"], "write_model is no/m.json"),
        (["ising"], "required"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("three.cnf").write_text("p cnf 3 1\n1 2 3 0\n")
    Path("m.qubo").write_text(QUBO)
    quick = ["--no-figures"] if len(arguments) > 1 else []
    monkeypatch.setattr(sys, "argv", ["main.py", *arguments, *quick])
    with pytest.raises(SystemExit) as stop:
        launch(main, Config, COMMANDS)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize("command", ["qubo", "ising", "max-2-sat", "max-dicut"])
def test_commands_that_keep_nothing_offer_no_resume(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["main.py", command, "--file", "x", "--resume"])
    with pytest.raises(SystemExit):
        launch(main, Config, COMMANDS)
    assert "unrecognized option --resume" in capsys.readouterr().err
