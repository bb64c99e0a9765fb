"""What is said about edges without a weight, and lists of edges in both directions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from derandomization.files.edges import WeightAttribute, edge_weight, one_direction


def warning_of(name: str, *edges: dict) -> str:
    attribute = WeightAttribute(name)
    for edge in edges:
        attribute.of(edge)
    return attribute.warning() or ""


def test_weights_are_taken_as_they_are() -> None:
    attribute = WeightAttribute("cost")
    assert [attribute.of(e) for e in ({"cost": "7"}, {"weight": 3}, {})] == ["7", 1.0, 1.0]


def test_nothing_is_said_where_nothing_is_amiss() -> None:
    assert warning_of("weight") == ""
    assert warning_of("weight", {}, {"colour": "red"}) == ""
    assert warning_of("weight", {"weight": 1}, {"weight": 1, "cost": 2}) == ""
    assert warning_of("weight", {"id": 3}, {"Id": 4, "key": 0, "directed": True}) == ""


def test_what_is_said_about_edges_without_weights() -> None:
    assert warning_of("weight", {}, {"weight": 2}, {}) == (
        "2 of 3 edges have no 'weight': each of them has weight 1"
    )
    reason = "so every edge has weight 1"
    assert warning_of("weight", {}, {"cost": np.float32(2)}) == (
        f"no edge has a weight 'weight', {reason}; choose the numbers under 'cost' by "
        "weight='cost' (--weight 'cost')"
    )
    with pytest.raises(ValueError, match=r"^no edge has a weight 'cost'$"):
        warning_of("cost", {}, {"colour": "red"})
    with pytest.raises(ValueError, match="'cost'; choose the numbers under 'price' by weight='pri"):
        warning_of("cost", {}, {"price": 2})
    assert len(warning_of("weight", {"c" * 10**5: 2})) < 500


@pytest.mark.parametrize("value", ["x", None, [1], 10**400, 1j, float("inf")])
def test_weights_that_are_not_finite_numbers_are_named(value: object) -> None:
    with pytest.raises(ValueError, match=r"the weight of the edge 'u' – 7 is .*finite number"):
        edge_weight(value, "u", 7)


EDGES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from([1.0, 2.0])), max_size=8
)


@given(edges=EDGES, doubled=st.booleans(), random=st.randoms(use_true_random=False))
def test_one_direction(edges: list, doubled: bool, random: object) -> None:
    listed = edges + [(v, u, weight) for u, v, weight in edges if u != v] * doubled
    random.shuffle(listed)
    table = np.array(listed, dtype=float).reshape(-1, 3)
    kept = one_direction(table[:, :2].astype(np.int64), table[:, 2])
    joins = [edge for edge in listed if edge[0] != edge[1]]
    pairs = [edge[:2] for edge in joins]
    twice = all((v, u, weight) in joins for u, v, weight in joins)
    if joins and twice and len(set(pairs)) == len(pairs):
        assert kept is not None
        assert [edge for edge, keep in zip(listed, kept, strict=True) if keep] == [
            edge for edge in listed if edge[0] <= edge[1]
        ]
    else:
        assert kept is None
