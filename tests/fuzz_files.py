"""Files to fuzz the readers with: sound ones of every format, and what may become of them."""

import bz2
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from random import Random

import networkx as nx
import numpy as np
import scipy.sparse

NASTY = [
    *(b"0", b"-0", b"-1", b"1.5", b"1e300", b"1e-320", b"1e999", b"-1e999", b"nan", b"-inf"),
    *(b"1000000000000", b"100001", b"9" * 400, b"1" + b"0" * 5000, b"0x10", b"1_0", b"1e5"),
    *(b"2147483648", b"18446744073709551616", b"9007199254740993", "٣".encode(), "１".encode()),
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\x1b[31m", "\u2028".encode(), b"\r", b"\r\n", b"\n\n"),
    *(b"#", b"%", b'"', b"'", b"[", b"]" * 3, b"{" * 50, b"<", b"<![CDATA[", b"&e;", b",", b",,"),
    *(
        b";",
        b'"1"',
        b'"1,5"',
        b"1,5",
        b"NA",
        b"True",
        b"<graph>",
        b"<default>2</default>",
        b" weight",
    ),
    *(b"<!DOCTYPE a>", b"]]>", b"<node", b"/>", b"object", b"|O", b"inf", b"e", b"+", b"."),
]
HOSTILE = [  # what an array's header may say
    {"shape": "(1000000000000,)"},
    {"shape": "(1000000, 1000000)"},
    {"shape": "(-1,)"},
    {"shape": "(-1, -4)"},
    {"shape": "()"},
    {"shape": "(0, 5)"},
    {"shape": "(True, 2)"},
    {"shape": "('x',)"},
    {"descr": "'|O'"},
    {"descr": "'|V0'", "shape": "(1000000000000,)"},
    {"descr": "'<U0'", "shape": "(1000000000000,)"},
    {"descr": "'<f16'"},
    {"descr": "'<c16'"},
    {"descr": "'<M8[s]'"},
    {"descr": "[('a', '<f8'), ('b', '|O')]"},
    {"descr": "('<f8', (1000000000,))"},
    {"descr": "'nonsense'"},
    {"fortran_order": "7"},
]


def mutated(content: bytes, random: Random) -> bytes:
    """A few of: bytes flipped, cut out, doubled, put in, numbers replaced, lines moved, an end."""
    for _ in range(random.randrange(1, 5)):
        content = random.choice(MUTATIONS)(content, random)
    return content


def _flip(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content) + 1)
    return content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]


def _cut(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content) + 1)
    return content[:at] + content[at + random.randrange(20) :]


def _double(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content) + 1)
    piece = content[at : at + random.randrange(1, 40)]
    return content[:at] + piece * random.choice([2, 3, 50]) + content[at + len(piece) :]


def _insert(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content) + 1)
    return content[:at] + random.choice(NASTY) + content[at:]


def _renumber(content: bytes, random: Random) -> bytes:
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?", content[:10_000]))
    if not numbers:
        return content
    number = random.choice(numbers)
    return content[: number.start()] + random.choice(NASTY) + content[number.end() :]


def _move_lines(content: bytes, random: Random) -> bytes:
    lines = content.split(b"\n")
    lines.insert(random.randrange(len(lines) + 1), lines[random.randrange(len(lines))])
    if random.randrange(2):
        del lines[random.randrange(len(lines))]
    return b"\n".join(lines)


def _truncate(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content) + 1)]


MUTATIONS = (_flip, _cut, _double, _insert, _renumber, _renumber, _move_lines, _truncate)


def mutated_archive(content: bytes, random: Random) -> bytes:
    """The same inside an archive's members, whose checksums stay right, or with its members."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:
        return mutated(content, random)
    for _ in range(random.randrange(1, 3)):
        name = random.choice(sorted(members)) if members else "data.npy"
        change = random.randrange(6)
        if change < 2:
            members[name] = mutated_array(members.get(name, b""), random)
        elif change == 2:
            members.pop(name, None)
        elif change == 3:
            members[random.choice(["format.npy", "_x.npy", "shape.npy", "a\n\x1b"])] = members.get(
                name, b""
            )
        else:
            members[name] = _saved(_hostile_array(random))
    packing = random.choice([zipfile.ZIP_STORED] * 9 + [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    return _zipped(members, packing)


def mutated_market(content: bytes, random: Random) -> bytes:
    """Matrix Market, as a rule below the first line: nothing else is read if that is wrong."""
    first, _, rest = content.partition(b"\n")
    if random.randrange(4) == 0:
        return mutated(content, random)
    return first + b"\n" + mutated(rest, random)


def mutated_array(content: bytes, random: Random) -> bytes:
    """Another header on the same bytes, or these bytes mutated."""
    if random.randrange(2) or not content.startswith(b"\x93NUMPY"):
        return mutated(content, random)
    header = {"descr": "'<f8'", "fortran_order": "False", "shape": "(3, 4)"}
    header |= random.choice(HOSTILE)
    text = "{" + ", ".join(f"{name!r}: {value}" for name, value in header.items()) + "}\n"
    start = b"\x93NUMPY" + bytes([random.choice([1, 1, 1, 2, 3, 9]), 0])
    length = len(text).to_bytes(2 if start[6] == 1 else 4, "little")
    return start + length + text.encode() + content[-random.randrange(1, 200) :]


def _hostile_array(random: Random) -> np.ndarray:
    values = [-1, 0, 1, 2, 4, 10**6, 2**31, 10**12, 2**62, -(2**63)]
    numbers = [random.choice(values) for _ in range(random.randrange(7))]
    return random.choice(
        [
            np.array(numbers, dtype=np.int64),
            np.array(numbers, dtype=float) * random.choice([1, np.nan, 1e280, 1j]),
            np.array(random.choice([b"csr", b"csc", b"coo", b"dia", b"bsr", b"lil", "csr", "x"])),
            np.array(numbers, dtype=object),
            np.array([1e-320, 1e300, np.inf]),
        ]
    )


def _saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def _zipped(members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return file.getvalue()


def _matrix(random: Random) -> np.ndarray:
    """A small table of points with a few zeros."""
    rows, columns = random.randrange(1, 6), random.randrange(1, 5)
    values = [0, 0, 1, -2.5, 1e-3, 1e10, 0.1]
    return np.array([[random.choice(values) for _ in range(columns)] for _ in range(rows)])


def _edges(random: Random) -> tuple[int, list[tuple[int, int, float]]]:
    n = random.randrange(1, 7)
    pairs = [(i, j) for i in range(1, n + 1) for j in range(i + 1, n + 1) if random.randrange(2)]
    return n, [(i, j, random.choice([1, 2, -0.5, 1e3])) for i, j in pairs]


def rudy(random: Random) -> bytes:
    n, edges = _edges(random)
    weighted = random.randrange(2)
    lines = [f"{i} {j} {w}" if weighted else f"{i} {j}" for i, j, w in edges]
    return "\n".join([f"{n} {len(edges)}", *lines, ""]).encode()


def graph_market(random: Random) -> bytes:
    n, edges = _edges(random)
    kind = random.choice(["real general", "real symmetric", "integer general"])
    lines = [f"{j} {i} {w}" for i, j, w in edges]
    head = [f"%%MatrixMarket matrix coordinate {kind}", "% c", f"{n} {n} {len(edges)}"]
    return "\n".join([*head, *lines, ""]).encode()


def graphml(random: Random) -> bytes:
    n, edges = _edges(random)
    nodes = "".join(f'<node id="n{i}"/>' for i in range(1, n + 1))
    lines = [
        f'<edge source="n{i}" target="n{j}"><data key="w">{w}</data></edge>' for i, j, w in edges
    ]
    default = random.choice(["", "<default>3</default>"])
    return (
        '<?xml version="1.0"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
        f'<key id="w" for="edge" attr.name="weight" attr.type="double">{default}</key>'
        f'<graph edgedefault="undirected">{nodes}\n' + "\n".join(lines) + "</graph></graphml>"
    ).encode()


def gml(random: Random) -> bytes:
    n, edges = _edges(random)
    nodes = [f'node [ id {i} label "v {i}" ]' for i in range(1, n + 1)]
    lines = [f"edge [ source {i} target {j} weight {w} ]" for i, j, w in edges]
    return "\n".join(["graph [", *nodes, *lines, "]"]).encode()


def edge_list(random: Random) -> bytes:
    lines = [
        random.choice([f"a{i} b{j} {w}", f"a{i} a{j} {{'weight': {w}}}", f"a{i} a{j}"])
        for i, j, w in _edges(random)[1]
    ]
    return "\n".join(["# edges", "x y", *lines]).encode()


def adjacency_list(random: Random) -> bytes:
    return "\n".join(["a b c", *(f"{i} {j} a" for i, j, _ in _edges(random)[1])]).encode()


def graph_csv(random: Random) -> bytes:
    header = random.choice([[], ["source,target,weight"], ["time,source,target,value"]])
    start = "7," if header and "time" in header[0] else ""
    lines = [f"{start}a{i},{j},{w}" for i, j, w in _edges(random)[1]]
    return _perhaps_semicolons("\n".join([*(header or ["x,y,1"]), *lines]), random)


def _perhaps_semicolons(text: str, random: Random) -> bytes:
    """The same cells, in one of three files between semicolons, perhaps with decimal commas."""
    if random.randrange(3) == 0:
        text = text.replace(",", ";")
        text = text.replace(".", ",") if random.randrange(2) else text
    return text.encode()


def node_link(random: Random) -> bytes:
    n, edges = _edges(random)
    nodes = [{"id": f"n{i}"} for i in range(1, n + 1)]
    links = [{"source": f"n{i}", "target": f"n{j}", "weight": w} for i, j, w in edges]
    return json.dumps({"nodes": nodes, random.choice(["links", "edges"]): links}).encode()


def pajek(random: Random) -> bytes:
    n, edges = _edges(random)
    vertices = [f'{i} "v {i}" 0.1 0.2' for i in range(1, n + 1)]
    lines = [f"{i} {j} {w} c Blue" for i, j, w in edges]
    lists = ["*Edgeslist", f"1 {n}"] if random.randrange(2) else []
    return "\n".join([f"*Vertices {n}", *vertices, "*Edges", *lines, *lists]).encode()


def metis(random: Random) -> bytes:
    n, edges = _edges(random)
    neighbours: list[list[str]] = [[] for _ in range(n)]
    for i, j, w in edges:
        neighbours[i - 1].append(f"{j} {w}")
        neighbours[j - 1].append(f"{i} {w}")
    return "\n".join(["% c", f"{n} {len(edges)} 001", *map(" ".join, neighbours), ""]).encode()


def graph6(random: Random) -> bytes:
    return _networkx(random, nx.to_graph6_bytes)


def sparse6(random: Random) -> bytes:
    return _networkx(random, nx.to_sparse6_bytes)


def _networkx(random: Random, write: Callable[..., bytes]) -> bytes:
    n, edges = _edges(random)
    graph = nx.empty_graph(n)
    graph.add_edges_from((i - 1, j - 1) for i, j, _ in edges)
    return write(graph, header=bool(random.randrange(2)))


def graph_archive(random: Random) -> bytes:
    n, edges = _edges(random)
    rows, columns, weights = np.array(edges or [(1, 1, 0.0)]).T
    matrix = scipy.sparse.coo_array((weights, (rows.astype(int) - 1, columns.astype(int) - 1)))
    matrix = scipy.sparse.coo_array((matrix.data, matrix.coords), shape=(n, n))
    return _sparse_archive(matrix, random)


def _sparse_archive(matrix: scipy.sparse.sparray, random: Random) -> bytes:
    file = io.BytesIO()
    layout = random.choice(["csr", "csc", "coo", "bsr", "dia"])
    scipy.sparse.save_npz(file, matrix.asformat(layout))
    return file.getvalue()


def point_archive(random: Random) -> bytes:
    table = _matrix(random)
    if random.randrange(2):
        return _sparse_archive(scipy.sparse.coo_array(table), random)
    return _zipped({"arr_0.npy": _saved(table)})


def array(random: Random) -> bytes:
    dtype = random.choice([np.float64, np.float32, np.int64, np.uint8, bool])
    table = _matrix(random).clip(0, 200).astype(dtype)
    return _saved(np.asfortranarray(table) if random.randrange(2) else table)


def csv(random: Random) -> bytes:
    table = _matrix(random).tolist()
    header = [",".join(f"x{i}" for i in range(len(table[0])))] if random.randrange(2) else []
    return _perhaps_semicolons(
        "\n".join([*header, *(json.dumps(row)[1:-1] for row in table)]), random
    )


def point_market(random: Random) -> bytes:
    table = _matrix(random)
    symmetry = random.choice(["general", "symmetric"])
    if symmetry == "symmetric":
        table = np.tril(table[: min(table.shape), : min(table.shape)])
    n, d = table.shape
    if random.randrange(2):
        entries = np.triu_indices(n)[::-1] if symmetry == "symmetric" else np.indices((n, d))
        values = [f"{value}" for value in table[tuple(entries)].flatten()]
        head = [f"%%MatrixMarket matrix array real {symmetry}", f"{n} {d}"]
        return "\n".join([*head, *values, ""]).encode()
    rows, columns = table.nonzero()
    lines = [f"{i + 1} {j + 1} {table[i, j]}" for i, j in zip(rows, columns, strict=True)]
    head = [f"%%MatrixMarket matrix coordinate real {symmetry}", f"{n} {d} {len(lines)}"]
    return "\n".join([*head, *lines, ""]).encode()


def qubo(random: Random) -> bytes:
    n, edges = _edges(random)
    lines = [f"{i} {j} {w}" for i, j, w in [*edges, (1, 1, -1.5), (n, n, 2)]]
    return "\n".join([f"{n} {len(lines)}", *lines, ""]).encode()


def coordinates(random: Random) -> bytes:
    header = random.choice([[], ["# vartype=SPIN"], ["# vartype=BINARY"]])
    lines = [f"{i} {j} {w}" for i, j, w in [*_edges(random)[1], (0, 0, 1)]]
    return "\n".join([*header, *lines, ""]).encode()


def dimod_json(random: Random) -> bytes:
    n, edges = _edges(random)
    record = {
        "type": "BinaryQuadraticModel",
        "use_bytes": False,
        "variable_labels": [random.choice([i, f"v{i}", ["a", i]]) for i in range(n)],
        "variable_type": random.choice(["SPIN", "BINARY"]),
        "offset": 0.5,
        "linear_biases": [1.5] * n,
        "quadratic_biases": [w for *_, w in edges],
        "quadratic_head": [i - 1 for i, _, _ in edges],
        "quadratic_tail": [j - 1 for _, j, _ in edges],
    }
    return json.dumps(record).encode()


def cnf(random: Random) -> bytes:
    n, edges = _edges(random)
    lines = [f"{i} -{j} 0" for i, j, _ in edges] + ["1 0"]
    return "\n".join(["c f", f"p cnf {n} {len(lines)}", *lines, ""]).encode()


def wcnf(random: Random) -> bytes:
    n, edges = _edges(random)
    lines = [f"{i * j} -{i} {j} 0" for i, j, _ in edges] + ["7 1 0"]
    header = random.choice([[], [f"p wcnf {n} {len(lines)}"], [f"p wcnf {n} {len(lines)} 999"]])
    return "\n".join([*header, *lines, ""]).encode()


def arcs(random: Random) -> bytes:
    n, edges = _edges(random)
    lines = [f"{j} {i} {w}" for i, j, w in edges]
    return "\n".join([f"{n} {len(lines)}", *lines, ""]).encode()


def gzipped(random: Random) -> bytes:
    return gzip.compress(rudy(random), mtime=0)


def bzipped(random: Random) -> bytes:
    return bz2.compress(rudy(random))


Maker = Callable[[Random], bytes]
Mutator = Callable[[bytes, Random], bytes]


def mutated_packed(pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes]) -> Mutator:
    """Mutate what is packed, or the packing."""

    def mutate(content: bytes, random: Random) -> bytes:
        try:
            return pack(mutated(unpack(content), random))
        except Exception:
            return mutated(content, random)

    return mutate
