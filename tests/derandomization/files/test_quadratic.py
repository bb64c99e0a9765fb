"""Quadratic functions from files: the three formats, written and read, and what is refused."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import dimod
import numpy as np
import pytest
from dimod.serialization import coo

from derandomization.files.quadratic import (
    QuadraticTerms,
    read_quadratic_file,
    write_quadratic_file,
)


def read(path: Path, **options: Any) -> QuadraticTerms:
    return read_quadratic_file(path, lambda terms: terms, **options)


def coefficients(terms: QuadraticTerms) -> dict[tuple[Any, ...], float]:
    """The coefficient of each pair of labels; the fixed variable has no label."""
    found: dict[tuple[Any, ...], float] = {}
    for ends, value in zip(terms.ends.tolist(), terms.values.tolist(), strict=True):
        key = tuple(terms.labels[end] for end in ends if end < len(terms.labels))
        found[key] = found.get(key, 0.0) + value
    return {key: value for key, value in found.items() if value}


def test_entries_beside_the_diagonal_of_a_qubo_file_count_twice(tmp_path: Path) -> None:
    path = tmp_path / "model.qubo.gz"
    path.write_bytes(gzip.compress(b"# comment\n3 3\n1 1 -2\n1 2 1.5\n1 2 1\n"))
    terms = read(path)
    assert terms.labels == (1, 2, 3)
    assert coefficients(terms) == {(1, 1): -2, (1, 2): 5}
    assert not terms.spin


def test_many_comments_without_a_header_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "model.qubo"
    path.write_text("c\n\n" * 5_000)
    with pytest.raises(ValueError, match="the header must hold 2 integers"):
        read(path)


def test_qbsolvs_qubo_files_count_each_pair_once_and_from_0(tmp_path: Path) -> None:
    path = tmp_path / "model.qubo"
    path.write_text("c of qbsolv\n\np qubo 0 4 2 2\n0 0 -2\nc more\n2 2 1e0\n0 2 1.5\n0 2 1\n")
    terms = read(path)
    assert terms.labels == (0, 1, 2, 3)
    assert coefficients(terms) == {(0,): -2, (2,): 1, (0, 2): 2.5}
    assert not terms.spin


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_the_text_of_dimod_is_read(vartype: str, tmp_path: Path) -> None:
    model = dimod.BinaryQuadraticModel({3: 1.5, 10: 0}, {(3, 10): -2}, 0, vartype)
    path = tmp_path / "model.txt"
    path.write_text(coo.dumps(model, vartype_header=True))
    terms = read(path)
    assert terms.labels == (3, 10)
    assert terms.spin == (vartype == "SPIN")
    assert coefficients(terms) == {(3,): 1.5, (3, 10): -2}
    path.write_text("0 0 1\n")
    assert not read(path).spin
    assert read(path, spin=True).spin


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
@pytest.mark.parametrize(
    "comment",
    [
        "# vartype = {}\n",
        "# Vartype={}\n",
        '# "vartype": "{}"\n',
        "  % vartype={}\r\n",
        "0 1 1\r# vartype={}\r",
        "# VARTYPE {}, as in dimod\n",
        "# vartype: Vartype.{}\n",
    ],
)
def test_the_vartype_is_read_in_any_comment(comment: str, vartype: str, tmp_path: Path) -> None:
    path = tmp_path / "model.coo"
    path.write_bytes((comment.format(vartype) + "0 0 1\n").encode())
    for spin in (False, True):
        assert read(path, spin=spin).spin == (vartype == "SPIN")


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_the_json_of_dimod_is_read_and_written(vartype: str, tmp_path: Path) -> None:
    labels = ["a", ("b", 1)]
    model = dimod.BinaryQuadraticModel(
        dict(zip(labels, [1.5, -1], strict=True)), {tuple(labels): 0.1}, 0.75, vartype
    )
    path, copy = tmp_path / "model.json", tmp_path / "copy.json"
    path.write_text(json.dumps(model.to_serializable()))
    terms = read(path)
    assert terms.labels == ("a", ("b", 1))
    expected = {(): 0.75, ("a",): 1.5, (("b", 1),): -1, ("a", ("b", 1)): 0.1}
    assert coefficients(terms) == expected
    write_quadratic_file(copy, terms)
    again = dimod.BinaryQuadraticModel.from_serializable(json.loads(copy.read_text()))
    assert again == model
    assert coefficients(read(copy)) == expected


@pytest.mark.parametrize("suffix", [".qubo", ".coo", ".json"])
def test_what_is_written_is_read_as_it_was(suffix: str, tmp_path: Path) -> None:
    ends = np.array([[0, 0], [1, 0], [0, 1], [1, 2], [0, 1]])
    terms = QuadraticTerms((1, 2), ends, np.array([0.125, 3.0, -1e30, 2.0**40 - 1, 1e30]), False)
    path = tmp_path / f"model{suffix}"
    write_quadratic_file(path, terms)
    found = read(path)
    assert found.labels == (1, 2)
    energies = [_energy(each, bits) for each in (terms, found) for bits in ([0, 1], [1, 1])]
    assert energies[:2] == energies[2:]


def _energy(terms: QuadraticTerms, bits: list[int]) -> float:
    z = np.array([*bits, 1])
    return math.fsum(terms.values * z[terms.ends[:, 0]] * z[terms.ends[:, 1]])


@pytest.mark.parametrize(
    ("name", "labels", "end", "spin", "reason"),
    [
        ("m.qubo", (1, 2), 2, False, ".qubo can't hold an offset: choose .json"),
        ("m.qubo", (1, 2), 0, True, ".qubo can't hold spins"),
        ("m.coo", (1, 2), 2, False, "COO text can't hold an offset"),
        ("m.coo", ("a", 2), 0, False, "COO text can't hold the label 'a'"),
        ("m.coo", (-1, 2), 0, False, "COO text can't hold the label -1"),
        ("m.json", (frozenset(), 2), 0, False, "JSON can't hold the labels"),
        ("m.xyz", (1, 2), 0, False, "the suffix must be one of .qubo, .coo"),
    ],
)
def test_what_a_format_can_not_hold(
    name: str, labels: tuple, end: int, spin: bool, reason: str, tmp_path: Path
) -> None:
    linear = [[end, end if end == 2 else 2]]
    terms = QuadraticTerms(labels, np.array(linear), np.array([1.0]), spin)
    with pytest.raises(ValueError, match=reason):
        write_quadratic_file(tmp_path / name, terms)


MODEL = {
    "type": "BinaryQuadraticModel",
    "variable_labels": ["a", "b"],
    "variable_type": "SPIN",
    "linear_biases": [1, 2],
    "quadratic_biases": [3],
    "quadratic_head": [0],
    "quadratic_tail": [1],
}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("m.qubo", "c\np qubo 0 2 1\n", ", line 2: .*header must be p qubo 0 n nodes couplers"),
        ("m.qubo", "p qubo 0 2 1 1\n0 0 1\n", "counts 1 nodes and 1 couplers, .* has 1 and 0"),
        ("m.qubo", "p qubo 0 2 1 0\n0 0\n", ", line 2: .*the line must be i j q"),
        ("m.qubo", "p qubo 0 2 1 0\n2 2 1\n", ", line 2: .*the variables must be 0 to 1"),
        ("m.qubo", "p qubo 0 2 0 1\n1 0 1\n", "the first at most the second"),
        ("m.qubo", "p qubo 0 2 1 0\n0 0 inf\n", "the coefficient must be a finite number"),
        ("m.qubo", "p qubo 0 999999999 1 0\n0 0 1\n", "a file of this size may have 1 to"),
        ("m.qubo", "2\n1 1 1\n", ": the header must hold 2 integers: variables, entries"),
        ("m.qubo", "2 1\n2 1 1\n", r": the entry \(2, 1\) is below the diagonal"),
        ("m.qubo", "2 1\n1 3 1\n", ", line 2: .*the variable must be an integer from 1 to 2"),
        ("m.qubo", "2 1\n1 2 nan\n", ", line 2: .*the coefficient must be a finite number"),
        ("m.qubo", "2 2\n1 2 1000000000\n", "the header promises 2 entries, the file has 1"),
        ("m.qubo", "2 2\n1 1 3\n", "the header promises 2 entries, the file has 1"),
        ("m.qubo", "9 9\n" + 9 * "1\n", "promises 9 entries, more than the file has room for"),
        ("m.qubo", "9999999 1\n1 2 1\n", "a file of this size may have 1 to"),
        ("m.coo", "0 1\n", ', line 1: "0 1": the line must be i j bias'),
        ("m.coo", "0 x 1\n", ", line 1: .*a label must be an integer"),
        ("m.coo", "0 1 inf\n", ", line 1: .*the bias must be a finite number"),
        ("m.coo", "# vartype=DISCRETE\n0 1 1\n", "the vartype is 'DISCRETE': it must be SPIN"),
        ("m.coo", "# the vartype is unknown\n0 1 1\n", "the vartype is 'is': it must be SPIN"),
        ("m.coo", "% Vartype = 'spins'\n0 1 1\n", "the vartype is 'spins': it must be SPIN"),
        ("m.coo", "# vartype=SPIN\n# vartype: BINARY\n0 1 1\n", "several vartypes: BINARY, SPIN"),
        ("m.coo", "# vartype=SPIN\n", "the file has no line i j bias"),
        ("m.json", "{", "Expecting"),
        ("m.json", "[]", 'must hold an object of "type": "BinaryQuadraticModel"'),
        ("m.json", {"use_bytes": True}, "the numbers are bytes"),
        ("m.json", {"variable_type": None}, "the vartype is None: it must be SPIN or BINARY"),
        ("m.json", {"variable_labels": ["a", "a"]}, "variable_labels has a label twice"),
        ("m.json", {"variable_labels": ["a", {}]}, "the label {} is no text, number or list"),
        ("m.json", {"variable_labels": ["a", "\ud800"]}, "half of a surrogate pair"),
        ("m.json", {"variable_labels": ["a", ["b", "\udfff"]]}, "half of a surrogate pair"),
        ("m.json", '{"type": 1, "type": 2}', "an object has two values of 'type'"),
        ("m.json", {"variable_labels": "ab"}, "variable_labels must be a list"),
        ("m.json", {"linear_biases": [1]}, "linear_biases has 1 numbers for 2 variables"),
        ("m.json", {"linear_biases": [1, True]}, "linear_biases has 'True': it must be a finite"),
        ("m.json", {"quadratic_biases": [1, 2]}, "differ in length"),
        ("m.json", {"quadratic_head": [2]}, "quadratic_head has '2': it must be an integer from 0"),
        ("m.json", {"offset": 10**400}, "offset has '1000.*it must be a finite number"),
    ],
)
def test_what_is_no_function(name: str, text: Any, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(json.dumps(MODEL | text) if isinstance(text, dict) else text)
    with pytest.raises(ValueError, match=reason) as raised:
        read(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_coefficients_that_are_rounded_are_told(tmp_path: Path) -> None:
    path = tmp_path / "m.coo"
    path.write_text("0 0 9007199254740993\n0 1 1\n")
    with pytest.warns(UserWarning, match=r"1 coefficients are 2\^53 or more: float64 may"):
        read(path)


def test_the_format_is_that_of_the_suffix_or_the_option(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_text("1 1\n1 1 4\n")
    assert coefficients(read(path, format="qubo")) == {(1, 1): 4}
    with pytest.raises(ValueError, match=r"the suffix is '': it must be one of \.qubo, \.coo"):
        read(path)
    with pytest.raises(ValueError, match="format is 'xyz': it must be one of qubo, coo, json"):
        read(path, format="xyz")
