"""Tables in .csv files: no point is taken for a header, and no broken cell for a number."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derandomization.files import tables
from derandomization.files.content import FileContent
from derandomization.files.points import read_points, read_table
from derandomization.files.tables import read_csv_table


def read(text: str) -> tables.Table:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_csv_table(FileContent("a.csv", text.encode()))


@pytest.mark.parametrize(
    ("text", "values", "names"),
    [
        ("1,2\n3,4\n", [[1, 2], [3, 4]], None),
        ("1,2", [[1, 2]], None),
        ("1\n2\n", [[1], [2]], None),
        ("\ufeff1,2\r\n3,4\r\n\r\n", [[1, 2], [3, 4]], None),
        ("1,2\r3,4\r", [[1, 2], [3, 4]], None),
        (" 1, -2.5e-3\n+3 ,.5\n", [[1, -2.5e-3], [3, 0.5]], None),
        ('"1","2"\n3,"4"\n', [[1, 2], [3, 4]], None),
        ("1;2", [[1, 2]], None),
        ("1,5;2\n3;4,25\n", [[1.5, 2], [3, 4.25]], None),
        ("1.5;2\n3;4.25\n", [[1.5, 2], [3, 4.25]], None),
        ('"1,5";"2"\n', [[1.5, 2]], None),
        ("a,b\n3,4\n", [[3, 4]], ("a", "b")),
        ('"a, b",c\n3,4\n', [[3, 4]], ("a, b", "c")),
        ('a,"b\nc"\n3,4\n', [[3, 4]], ("a", "b\nc")),
        ("x;y, in m\n3;4,5\n", [[3, 4.5]], ("x", "y, in m")),
        ("# a,b\n3,4\n", [[3, 4]], ("a", "b")),  # as numpy.savetxt writes a header
        ("RI,Na,Mg\n1,2,3\n", [[1, 2, 3]], ("RI", "Na", "Mg")),
        ("area,1stFlrSF\n1,2\n", [[1, 2]], ("area", "1stFlrSF")),
    ],
)
def test_tables_that_are_read(text: str, values: list, names: tuple | None) -> None:
    table = read(text)
    assert table.values.tolist() == values
    assert table.names == names


ONLY = "a row must hold numbers only or, if it is the first, names only"
PANDAS = f"{ONLY} (if pandas wrote the file, leave out its index by index=False)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,\n3,4\n", f"row 1, column 2 is empty, but column 1 is the number '1': {ONLY}"),
        ("NA,2\n3,4\n", f"row 1, column 1 is 'NA', but column 2 is the number '2': {ONLY}"),
        ("1.O,2\n3,4\n", f"row 1, column 1 is '1.O', but column 2 is the number '2': {ONLY}"),
        ("$1,2\n3,4\n", f"row 1, column 1 is '$1', but column 2 is the number '2': {ONLY}"),
        ("x,nan\n3,4\n", f"row 1, column 1 is 'x', but column 2 is the number 'nan': {ONLY}"),
        ("# 1,2\n3,4\n", f"row 1, column 1 is '# 1', but column 2 is the number '2': {ONLY}"),
        ("True,2\n3,4\n", f"row 1, column 1 is 'True', but column 2 is the number '2': {ONLY}"),
        ("a,2019\n3,4\n", f"row 1, column 1 is 'a', but column 2 is the number '2019': {ONLY}"),
        (",0\n0,1.5\n", f"row 1, column 1 is empty, but column 2 is the number '0': {PANDAS}"),
        (",x,y\n0,1,2\n", f"row 1, column 1 is empty: {PANDAS}"),
        ('"","x"\n"1",2\n', f"row 1, column 1 is empty: {PANDAS}"),  # R's numbers of rows
        ("Unnamed: 0,x\n0,1\n", f"row 1, column 1 is 'Unnamed: 0': {PANDAS}"),
        ("x,,y\n0,1,2\n", f"row 1, column 2 is empty: {ONLY}"),
        ("1.O,2.O\n3,4\n", "row 1, column 1 is '1.O', neither a number nor a name"),
        ("$1,$2\n3,4\n", "row 1, column 1 is '$1', neither a number nor a name"),
        ("NA,N/A\n3,4\n", "row 1, column 1 is 'NA', neither a number nor a name"),
        ('"1,5","2,5"\n3,4\n', "row 1, column 1 is '1,5', neither a number nor a name"),
        ("1 2\n3\n4\n", "row 1, column 1 is '1 2', neither a number nor a name"),
        ("1\t2\n3\t4\n", r"row 1, column 1 is '1\t2', neither a number nor a name"),
        ("nan,2\n", "row 1, column 1 is 'nan': it must be a finite number"),
        ("1,2\n3,-inf\n", "row 2, column 2 is '-inf': it must be a finite number"),
        ("1,2\n3,1e999\n", "row 2, column 2 is '1e999': it must be a finite number"),
        ("1,2\n3,x\n", "row 2, column 2 is 'x': it must be a finite number"),
        ("a,b\n1,2\n3,\n", "row 3, column 2 ('b') is empty: it must be a finite number"),
        ("1,2\n3,4;5\n", "row 2, column 2 is '4;5': it must be a finite number"),
        ("1,2\n3,0x10\n", "row 2, column 2 is '0x10': it must be a finite number"),
        ('1\n2\n""\n', "row 3, column 1 is empty: it must be a finite number"),
        ("1\n2\n" + "9" * 50 + "x\n", f"row 3, column 1 is '{'9' * 39}…': it must be a finite"),
        ("1;2\n3\n4\n", "row 2 has 1 cells, row 1 has 2"),
        ("1,2\n3,4,5\n", "row 2 has 3 cells, row 1 has 2"),
        ("x,y\n1,2,3\n", "row 2 has 3 cells, row 1 has 2"),  # R's names of rows
        ("1\n\n3\n", "row 2 is blank"),
        ("1,5;2\n3;4.5\n", "row 2, column 2 has a decimal point, an earlier number a comma"),
        ("1.5;2\n3;4,5\n", "row 2, column 2 has a decimal comma, an earlier number a point"),
        ("1.234,5;2\n", "row 1, column 1 is '1.234,5', but column 2 is the number '2'"),
        ('1,2\n3,"4\n', "row 2: unexpected end of data"),
        ("a,b\n", "the file holds no row of numbers"),
    ],
)
def test_tables_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"a\.csv: ") as raised:
        read(text)
    found = str(raised.value).removeprefix("a.csv: ")
    assert found.startswith(message.replace(r"\t", "\\t"))
    assert found.isprintable()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,5;2\n3;4\n", "cells are separated by semicolons, so 1,5 is read as 1.5"),
        ("0,1,2\n1.5,2,3\n", "row 1 is 0, 1, …: it is read as a point, not as names of columns"),
        ("1,2\n1.5,3\n", "row 1 is 1, 2: it is read as a point, not as names of columns"),
    ],
)
def test_what_may_be_meant_otherwise_is_a_warning(text: str, words: str) -> None:
    with pytest.warns(UserWarning, match=words):
        read_csv_table(FileContent("a.csv", text.encode()))


@pytest.mark.parametrize("text", ["1.5;2\n3;4\n", "3,1,2\n1,2,3\n", "0\n1\n", "0,1\n"])
def test_nothing_else_is(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_csv_table(FileContent("a.csv", text.encode()))


def test_a_table_has_the_names_of_its_columns_and_points_are_its_values(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3,5\n")
    np.save(tmp_path / "a.npy", np.eye(2))
    assert read_table(tmp_path / "a.csv").names == ("a", "b")
    assert read_table(tmp_path / "a.npy").names is None
    assert read_points(tmp_path / "a.csv").tolist() == [[1, 2], [3, 5]]


@pytest.mark.parametrize("text", ["1,2.5\r\n3,-4e5\r\n", "a;b\n1;2,5\n3;-4\n"])
def test_tables_of_plain_numbers_are_parsed_at_once(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(tables, "_parse_rows")
    assert read(text).values.size == 4


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(st.text("0123456789+-.eE, \t", max_size=8), min_size=1, max_size=4),
    separator=st.sampled_from([",", ";"]),
)
def test_numpys_parser_accepts_only_what_ours_accepts(lines: list[str], separator: str) -> None:
    body = "\n".join(lines).replace(",,", separator).rstrip(" \t\r\n")
    content = FileContent("a.csv", body.encode())
    cells = tables.CellFormat(separator)
    width = lines[0].count(separator) + 1
    whole = tables._parse_whole(body, cells, width)
    if whole is not None:
        rows = tables._rows(content, cells, io.StringIO(body, newline=""), 1)
        one_by_one = tables._parse_rows(content, cells, rows, width)
        np.testing.assert_array_equal(whole, one_by_one)
