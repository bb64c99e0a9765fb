"""Clauses from DIMACS files, and what is refused."""

from pathlib import Path

import pytest

from derandomization.files.formulas import Clauses, read_formula_file


def read(path: Path, text: str) -> Clauses:
    path.write_text(text)
    return read_formula_file(path, lambda clauses: clauses)


def test_cnf_clauses_may_share_lines_or_span_them(tmp_path: Path) -> None:
    text = "c a\np cnf 4 3\n1 -2 0 -4\n0 c\n3\n 3 0\n%\n0\n"
    found = read(tmp_path / "f.cnf", text.replace("0 c\n", "0\nc b\n"))
    assert found.num_variables == 4
    assert found.literals.tolist() == [[1, -2], [-4, 0], [3, 3]]
    assert found.weights.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "text",
    [
        "p wcnf 3 2\n5 1 -3 0\n7 2 0\n",
        "p wcnf 3 2 100\n5 1 -3 0\n7 2 0\n",
        "c the format since 2022\n5 1 -3 0\n7 2 0\n",
    ],
)
def test_weighted_formats(text: str, tmp_path: Path) -> None:
    found = read(tmp_path / "f.wcnf", text)
    assert found.num_variables == 3
    assert found.literals.tolist() == [[1, -3], [2, 0]]
    assert found.weights.tolist() == [5, 7]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("p cnf 3 1\n1 2 3 0\n", ', line 2: "1 2 3": the clause has 3 literals: it must have one'),
        ("p cnf 3 1\n0\n", ", line 2: .*the clause is empty: it must have one or two literals"),
        ("p cnf 3 1\n1 4 0\n", ", line 2: .*'4' is no literal: it must be the number of the 3 var"),
        ("p cnf 3 1\n1 x 0\n", ", line 2: .*'x' is no literal"),
        ("p cnf 3 2\n1 2 0\n", ": the line p promises 2 clauses, the file has 1"),
        ("p cnf 3 1\n1 2\n", ", line 2: .*the last clause has no 0 at its end"),
        ("p cnf 3\n1 2 0\n", ", line 1: .*the line p must be p cnf variables clauses"),
        ("p sat 3 1\n1 2 0\n", ", line 1: .*the line p must be"),
        ("p cnf 9999999 1\n1 2 0\n", "a file of this size may have 1 to"),
        ("p wcnf 2 1 9\n9 1 2 0\n", ", line 2: .*the clause must hold"),
        ("h 1 2 0\n", ", line 1: .*the clause must hold"),
        ("p wcnf 2 1\n0.5 1 2 0\n", ", line 2: .*the weight must be an integer from 1 to 2"),
        ("p wcnf 2 1\n9007199254740993 1 0\n", ", line 2: .*the weight must be an integer"),
        ("p cnf 0 0\n", "the formula has 0 variables"),
        ("c nothing\n", "the formula has 0 variables"),
        ("p cnf 2 1\n" + "1 " * 1500 + "0\n", "a clause of over 1000 words has no 0 at its end"),
    ],
)
def test_what_is_no_formula(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "f.cnf"
    with pytest.raises(ValueError, match=reason) as raised:
        read(path, text)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)
