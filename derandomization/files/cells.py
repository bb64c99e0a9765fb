"""Cells between commas or semicolons: how a line is split, and which cells are numbers or names."""

import csv
import math
import re
from dataclasses import dataclass

from derandomization.files.content import FileContent, parse_number

_QUOTED = re.compile(r'"[^"]*"')
_DECIMAL_COMMA = re.compile(r"\d,\d")
# Words for a missing value or for a number that is not finite, as common tools write them.
_MISSING = {"NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None"}
_NOT_FINITE = {"nan", "inf", "infinity"}


@dataclass(frozen=True)
class CellFormat:
    """How the cells of a file are separated, and thereby how its numbers are written.

    Between commas, numbers have a decimal point. Between semicolons, as spreadsheets write where
    the decimal mark is a comma, they may have either.
    """

    separator: str

    def split(self, line: str) -> list[str]:
        """The cells of one line; a cell in quotes may contain the separator.

        Raises ``ValueError`` or ``csv.Error`` if the line is not so written.
        """
        if self.separator == ";":
            # An edge may end in a dictionary, as networkx writes them.
            for piece in unquoted(line).partition("{")[0].split(";"):
                if "," in piece and not self.is_number(piece.strip()):
                    raise ValueError(
                        "the cells are separated by semicolons, as in the first line: "
                        "put a cell with commas in quotes"
                    )
        reader = csv.reader([line], delimiter=self.separator, skipinitialspace=True, strict=True)
        return [cell.strip() for cell in next(reader)]

    def number(self, cell: str) -> float:
        """The number in a cell; NaN if it holds none."""
        if self.separator == ";" and "," in cell and "." not in cell:
            cell = cell.replace(",", ".", 1)
        return parse_number(cell)

    def is_number(self, cell: str) -> bool:
        """Whether a cell holds a number, which may be too large for float64."""
        return not math.isnan(self.number(cell))

    def warn_of_decimal_commas(self, content: FileContent) -> None:
        """Warn that commas in the file are read as decimal marks, if they are."""
        if self.separator == ";" and (found := _DECIMAL_COMMA.search(content.text())):
            comma = found[0]
            reason = f"cells are separated by semicolons, so {comma} is read as"
            content.warn(f"{reason} {comma.replace(',', '.')}")


def cell_format(line: str) -> CellFormat:
    """The format that a line shows: semicolons if there is one outside of quotes, else commas."""
    return CellFormat(";" if ";" in unquoted(line) else ",")


def unquoted(line: str) -> str:
    """The line without what is between double quotes."""
    return _QUOTED.sub("", line)


def is_name(cell: str) -> bool:
    """Whether a cell is clearly a name: it starts with a letter and is no word for a missing value.

    Cells such as 1.O, $1 and NA are neither names nor numbers.
    """
    starts = cell[:1].isalpha() or cell[:1] == "_"
    return starts and cell not in _MISSING and not is_not_finite(cell)


def is_not_finite(cell: str) -> bool:
    """Whether a cell is a word for NaN or infinity, which ``float`` reads as a number."""
    return cell.lstrip("+-").lower() in _NOT_FINITE
