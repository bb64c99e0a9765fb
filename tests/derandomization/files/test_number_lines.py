"""numpy's parser and the parser by lines agree."""

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from derandomization.files import number_lines

numbers = st.one_of(st.integers(-1, 6).map(str), st.sampled_from(["1.5", "nan", "1e9", "x", ""]))


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(st.lists(numbers, min_size=2, max_size=4).map(" ".join), max_size=5))
def test_numpys_parser_accepts_only_what_ours_accepts(lines: list[str]) -> None:
    body = ("\n".join(lines) + "\n").encode()
    edge = number_lines.LineFormat((("vertex", 5), ("vertex", 5)), "weight", None)
    whole = number_lines._parse_whole(body, edge)
    if whole is not None:
        numbered_lines = enumerate(filter(bytes.strip, io.BytesIO(body)), start=1)
        content = number_lines.FileContent("graph", body)
        one_by_one = number_lines._parse_lines(content, numbered_lines, edge)
        np.testing.assert_array_equal(whole, one_by_one)
