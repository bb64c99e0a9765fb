"""Separators, headers and comments of lists of edges."""

import warnings
from pathlib import Path

import pytest

from MAXCUT.graph import Graph, read_graph


def edges_of(graph: Graph) -> dict[tuple, float]:
    return {
        tuple(sorted((graph.labels[i], graph.labels[j]))): weight
        for (i, j), weight in zip(graph.ends, graph.weights, strict=True)
    }


def read(folder: Path, name: str, content: str, **options: str) -> dict[tuple, float]:
    (folder / name).write_text(content, encoding="utf-8")
    return edges_of(read_graph(folder / name, **options))


def refusal(folder: Path, name: str, content: str) -> str:
    with pytest.raises(ValueError, match=name) as raised:
        read(folder, name, content)
    message = str(raised.value)
    assert message.isprintable()
    return message.removeprefix(str(folder / name))


def silently(folder: Path, name: str, content: str, **options: str) -> dict[tuple, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read(folder, name, content, **options)


@pytest.mark.parametrize(
    ("content", "edges"),
    [
        ("a#1 b#2 3\n", {("a#1", "b#2"): 3}),
        ("a b # 3\n", {("a", "b"): 1}),
        ("a b 3 #\n", {("a", "b"): 3}),
        ("a b 3\t# said # he\n", {("a", "b"): 3}),
        ("# a b\n  # c d\n% e f\na b\n", {("a", "b"): 1}),
        ("a b {'weight': 2, 'colour': '#ff0000'}\n", {("a", "b"): 2}),
    ],
)
def test_a_comment_starts_a_line_or_stands_between_blanks(
    tmp_path: Path, content: str, edges: dict
) -> None:
    assert silently(tmp_path, "graph.edgelist", content) == edges


@pytest.mark.parametrize("name", ["graph.edgelist", "graph.adjlist"])
def test_a_word_that_starts_with_a_hash_is_refused_as_a_label(tmp_path: Path, name: str) -> None:
    message = refusal(tmp_path, name, "a b\nb #c\n")
    assert message.startswith(
        """, line 2: "b #c": '#c' is a label or a comment: put a blank after"""
    )
    assert silently(tmp_path, "graph.csv", 'b,"#c"\n') == {("#c", "b"): 1}


@pytest.mark.parametrize("name", ["graph.edgelist", "graph.csv"])
@pytest.mark.parametrize(
    ("content", "edges"),
    [
        ("0,1\n1,2\n", {("0", "1"): 1, ("1", "2"): 1}),
        ("0, 1, 2.5\n1 ,2 , -3\n", {("0", "1"): 2.5, ("1", "2"): -3}),
        ("0,1,{'weight': 2, 'time': 3}\n", {("0", "1"): 2}),  # networkx, with a delimiter
        ('a,b,1\n"x, y",New York,2\n', {("a", "b"): 1, ("New York", "x, y"): 2}),
        ("# a comment\na,b\n\nb,c\n", {("a", "b"): 1, ("b", "c"): 1}),
    ],
)
def test_commas_separate_fields(tmp_path: Path, name: str, content: str, edges: dict) -> None:
    assert silently(tmp_path, name, content) == edges


def test_commas_separate_the_nodes_of_an_adjacency_list(tmp_path: Path) -> None:
    edges = {("a", "b"): 1, ("a", "c"): 1, ("b", "c"): 1}
    assert silently(tmp_path, "graph.adjlist", "a, b, c\nb,c\n") == edges
    assert refusal(tmp_path, "graph.adjlist", "a,b\nb,,c\n") == ', line 2: "b,,c": a label is empty'


def test_commas_inside_of_labels_between_blanks(tmp_path: Path) -> None:
    content = "Paris,TX Rome,NY 2\nRome,NY Ada\n"
    with pytest.warns(UserWarning, match="1 of 2 edges have no 'weight'"):
        edges = read(tmp_path, "graph.edgelist", content)
    assert edges == {("Paris,TX", "Rome,NY"): 2, ("Ada", "Rome,NY"): 1}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("0,1 5\n", '1: "0,1 5"'),
        ("0 1,5\n", '1: "0 1,5"'),
        ("New York, Boston\n", '1: "New York, Boston"'),
        ("a b\nb, c\n", '2: "b, c"'),
        ("a b\nb ,c\n", '2: "b ,c"'),
    ],
)
def test_commas_and_blanks_do_not_mix(tmp_path: Path, content: str, line: str) -> None:
    reason = "fields are separated by blanks here, as in the first line: write commas between all"
    assert refusal(tmp_path, "graph.edgelist", content) == (
        f", line {line}: {reason} fields or none"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\na\n", ', line 2: "a": an edge must be two labels and, if it is not 1, a weight'),
        (
            "a,b\na,,3\n",
            ', line 2: "a,,3": an edge must be two labels and, if it is not 1, a weight',
        ),
        ("a,b,1\na,b,1,2\n", ', line 2: "a,b,1,2": an edge must be two labels and, if it is not'),
        ("a,b,x\nb,c,y\n", ', line 1: "a,b,x": the weight must be one finite number'),
        ("a,b,nan\nb,c,1\n", ', line 1: "a,b,nan": the weight must be one finite number'),
        ("a,b,1e999\n", ', line 1: "a,b,1e999": the weight must be one finite number'),
        ('a,"b\n', ', line 1: "a,"b": unexpected end of data'),
        (",u,v\n0,1,2\n", ', line 1: ",u,v": the header must name the columns of the ends'),
        ("source,target,a,b\n1,2,3\n", ', line 2: "1,2,3": the header names 4 columns, the line'),
        (
            "source,target,weight\n1,2,x\n",
            ', line 2: "1,2,x": the weight must be one finite number',
        ),
    ],
)
def test_csv_files_that_are_refused(tmp_path: Path, content: str, message: str) -> None:
    assert refusal(tmp_path, "graph.csv", content).startswith(message)


@pytest.mark.parametrize(
    ("content", "edges"),
    [
        ("source,target,weight\na,b,2\n", {("a", "b"): 2}),
        ("Source,Target,Type,Id,Label,weight\na,b,Undirected,0,,2\n", {("a", "b"): 2}),
        (",weight,target,source\n0,2,b,a\n", {("a", "b"): 2}),  # as pandas numbers its rows
        ("id_1,id_2\n7,8\n", {("7", "8"): 1}),
        ("from,to\nx,y\n", {("x", "y"): 1}),
        ("person,friend,weight\nada,bob,2\n", {("ada", "bob"): 2}),
        ("id,from,to,weight\n7,a,b,2\n", {("a", "b"): 2}),
        ("rank;from;to;weight\n7;a;b;2\n", {("a", "b"): 2}),
        ("id,source node,target node,weight\n7,a,b,2\n", {("a", "b"): 2}),
        ("weight,From_Node-ID,To_Node-ID\n2,a,b\n", {("a", "b"): 2}),
        ("from,to,source,target\nx,y,a,b\n", {("a", "b"): 1}),
        ("src,dest\nann,bob\n", {("ann", "bob"): 1}),
        ("person1,person2\nann,bob\n", {("ann", "bob"): 1}),
        ("Source Node,Target Node\na,b\n", {("a", "b"): 1}),
        ("node_1,vertex 2\na,b\n", {("a", "b"): 1}),
        ("u,v,weight\n7,8,2\n", {("7", "8"): 2}),
        ("city 1,city 2\nRome,Oslo\n", {("Oslo", "Rome"): 1}),
    ],
)
def test_headers_of_csv_files(tmp_path: Path, content: str, edges: dict) -> None:
    assert silently(tmp_path, "graph.csv", content) == edges


@pytest.mark.parametrize(
    ("name", "content", "edges"),
    [
        ("graph.edgelist", "source target\na b\n", {("a", "b"): 1}),
        ("graph.edgelist", "Source Target weight\na b 2\n", {("a", "b"): 2}),
        ("graph.edgelist", "x y\n1 2\n", {("1", "2"): 1}),
        ("graph.edgelist", "x y weight\na b 2\n", {("a", "b"): 2}),
        ("graph.edgelist", "from, to\na, b\n", {("a", "b"): 1}),
        ("graph.edgelist", "id,from,to\n7,a,b\n", {("a", "b"): 1}),
        ("graph.edgelist", "u v\na b\n", {("a", "b"): 1}),
        ("graph.edgelist", "city1 city2\na b\n", {("a", "b"): 1}),
        ("graph.csv", "u,v\na,b\n", {("a", "b"): 1}),
        ("graph.csv", "I,J\na,b\n", {("a", "b"): 1}),
        ("graph.csv", "u,v,weight\na,b,2\n", {("a", "b"): 2}),
        ("graph.csv", "city1,city2\nRome1,Oslo2\n", {("Oslo2", "Rome1"): 1}),
        ("graph.adjlist", "node neighbours\na b\n", {("a", "b"): 1}),
    ],
)
def test_a_header_of_other_lists_is_skipped_with_a_warning(
    tmp_path: Path, name: str, content: str, edges: dict
) -> None:
    with pytest.warns(UserWarning, match=r"line 1: .* the line is taken for a header, not for"):
        assert read(tmp_path, name, content) == edges


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("graph.edgelist", "source target\na source\n"),
        ("graph.edgelist", "a b x\nb c 1\n"),
        ("graph.edgelist", "id,from,to\n7,a,from\n"),
        ("graph.edgelist", "u v\na v\n"),
        ("graph.csv", "u,v\na,v\n"),
        ("graph.csv", "node1,node2\nnode2,node3\n"),
        ("graph.adjlist", "node neighbours\na node\n"),
    ],
)
def test_a_header_whose_words_are_labels_is_refused(
    tmp_path: Path, name: str, content: str
) -> None:
    assert "the line is either a header or an edge: start a header with #" in refusal(
        tmp_path, name, content
    )


@pytest.mark.parametrize(
    "content", ["a b\nc 1\n", "a b\nb c 1\n", "a b {'weight': 1}\n1 2 {'weight': 1}\n"]
)
def test_labels_are_no_header(tmp_path: Path, content: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ("a", "b") in read(tmp_path, "graph.edgelist", content)


def test_rows_of_an_adjacency_list_are_no_header(tmp_path: Path) -> None:
    assert ("a", "b") in silently(tmp_path, "graph.adjlist", "a b\n1 2\n")


def test_konects_files(tmp_path: Path) -> None:
    content = "% sym weighted\n% 2 3 3\n1 2 -1 1082040961\n2\t3 4 1082040962\n"
    edges = {("1", "2"): -1, ("2", "3"): 4}
    for name in ("out.some-graph", "graph.edgelist", "graph.txt", "graph"):
        assert silently(tmp_path, name, content) == edges
    assert silently(tmp_path, "out.unheaded", "1 2\n2 3\n") == {("1", "2"): 1, ("2", "3"): 1}
    bipartite = refusal(tmp_path, "out.some-graph", content.replace("sym", "bip"))
    assert bipartite.startswith(", line 1: a bipartite file of KONECT numbers both sides from 1")


SNAP = "# Directed graph (each unordered pair once): x.txt\n# Nodes: 3 Edges: 2\n0\t7\n7\t9\n"


@pytest.mark.parametrize("name", ["graph.txt", "graph", "graph.edgelist"])
def test_snaps_files(tmp_path: Path, name: str) -> None:
    assert silently(tmp_path, name, SNAP) == {("0", "7"): 1, ("7", "9"): 1}


def test_what_no_format_fits_asks_for_one(tmp_path: Path) -> None:
    hint = (
        "(the file is read as rudy; choose any other format by format= or --format: edgelist if "
        "its lines are u v [weight])"
    )
    for name in ("graph.txt", "graph.v2", "graph"):
        assert refusal(tmp_path, name, "0 7\n7 9\n") == (
            f', line 1: "0 7": the number of vertices must be from 1 to 10000000 {hint}'
        )
        edges = {("0", "7"): 1, ("7", "9"): 1}
        assert silently(tmp_path, name, "0 7\n7 9\n", format="edgelist") == edges


@pytest.mark.parametrize("name", ["graph.csv", "graph.edgelist"])
@pytest.mark.parametrize(
    ("content", "edges", "words"),
    [
        ("a;b;2\nb;c;3\n", {("a", "b"): 2, ("b", "c"): 3}, ""),
        ("a;b\nb;c\n", {("a", "b"): 1, ("b", "c"): 1}, ""),
        ("1;2;0,5\n2;3;1.5\n", {("1", "2"): 0.5, ("2", "3"): 1.5}, "so 0,5 is read as 0.5"),
        ("a;b;{'weight': 2, 'time': 3}\n", {("a", "b"): 2}, ""),
        ('a;b;2\n"x, y";c;3\n', {("a", "b"): 2, ("c", "x, y"): 3}, ""),
        (
            "source;target;weight\na;b;2,5\nb;c;1\n",
            {("a", "b"): 2.5, ("b", "c"): 1},
            "so 2,5 is read as 2.5",
        ),
    ],
)
def test_semicolons_separate_cells(
    tmp_path: Path, name: str, content: str, edges: dict, words: str
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read(tmp_path, name, content) == edges
    said = [str(each.message) for each in caught if "is taken for a header" not in str(each)]
    assert [words in message for message in said] == [True] * bool(words)


def test_semicolons_separate_the_nodes_of_an_adjacency_list(tmp_path: Path) -> None:
    edges = {("a", "b"): 1, ("a", "c"): 1}
    assert silently(tmp_path, "graph.adjlist", "a;b;c\n") == edges
    assert silently(tmp_path, "graph.edgelist", "a;1 b;2\n") == {("a;1", "b;2"): 1}


@pytest.mark.parametrize("name", ["graph.csv", "graph.edgelist"])
def test_labels_with_the_other_separator_are_in_quotes(tmp_path: Path, name: str) -> None:
    assert "put a cell with commas in quotes" in refusal(tmp_path, name, "a;1,b;2\n")
    assert silently(tmp_path, "graph.csv", '"a;1","b;2"\n') == {("a;1", "b;2"): 1}


@pytest.mark.parametrize("weight", ["1.O", "NA", "$1", "1_0", "nan", "null"])
def test_an_edge_with_a_broken_weight_is_no_header(tmp_path: Path, weight: str) -> None:
    message = refusal(tmp_path, "graph.csv", f"a,b,{weight}\nc,d,2\n")
    assert message.startswith(f', line 1: "a,b,{weight}": the weight must be one finite number')


def test_an_unusual_header_of_a_csv_file_is_a_warning_or_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="the line is taken for a header, not for an edge"):
        edges = read(tmp_path, "graph.csv", "person,friend,x\nada,bob,2\n")
    assert edges == {("ada", "bob"): 1}
    for content in ("a,b,x\nb,c,2\n", "a,b\n1,2\n2,a\n"):
        assert "the line is either a header or an edge" in refusal(tmp_path, "graph.csv", content)


@pytest.mark.parametrize("header", ["id,ann,bob,weight", "id,ann,x,y"])
def test_the_columns_that_are_taken_for_the_ends_are_named(tmp_path: Path, header: str) -> None:
    words = "not for an edge, and its columns 'id' and 'ann' for the ends"
    with pytest.warns(UserWarning, match=words):
        assert set(read(tmp_path, "graph.csv", f"{header}\n1,a,b,2\n")) == {("1", "a")}


def test_only_the_first_two_columns_may_be_numbered_ends(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="its columns 'a' and 'b' for the ends"):
        edges = read(tmp_path, "graph.csv", "a,b,w1,w2\nx,y,3,4\n", weight="w2")
    assert edges == {("x", "y"): 4}


@pytest.mark.parametrize("name", ["graph.csv", "graph.edgelist"])
def test_an_edge_between_numbered_labels_is_no_header(tmp_path: Path, name: str) -> None:
    edges = silently(tmp_path, name, "v1,v2\nx,y\nx,v17\n")
    assert edges == {("v1", "v2"): 1, ("x", "y"): 1, ("v17", "x"): 1}


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("source,target,weight,weight", "weight"),
        ("id,from,to,From", "from"),
        ("source,target,Source", "source"),
        ("a,b,c,c", "c"),
    ],
)
def test_two_columns_of_one_name_are_refused(tmp_path: Path, header: str, name: str) -> None:
    row = ",".join("12345"[: header.count(",") + 1])
    message = refusal(tmp_path, "graph.csv", f"{header}\n{row}\n")
    assert message.endswith(f"two columns have the name {name!r}")


@pytest.mark.parametrize(
    "content",
    [
        "a b {'weight': 2, 'weight': 3}\n",
        "a b {'weight': '1_0'}\n",
        "source,target,weight\na,b,1_0\n",
        "source,target,weight\na,b,٣\n",
    ],
)
def test_weights_that_only_python_takes_for_numbers(tmp_path: Path, content: str) -> None:
    name = "graph.csv" if "," in content.splitlines()[0][:8] else "graph.edgelist"
    assert "the weight must be one finite number" in refusal(tmp_path, name, content)
