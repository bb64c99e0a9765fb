"""Feed every reader thousands of broken files: no traceback, no hang and no excessive memory.

    python tests/fuzz.py --files 10000 .npz points.csv

The files are drawn from fixed seeds, so a failure can be repeated by its number. If atheris is
installed, it makes as many files again, guided by the code that they reach.
"""

import argparse
import bz2
import collections
import faulthandler
import gzip
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests import fuzz_files
from tests.fuzz_files import Maker, Mutator, mutated

SECONDS = 2.0  # for a file of a few kB
# The limits in the readers' docstrings, a little larger for small files.
MULTIPLE, FREE_BYTES = 100, 32 * 2**20
GUIDED = ["derandomization.files", "MAXCUT.graph"]


@dataclass(frozen=True)
class Target:
    """The files that one reader is given.

    Attributes:
        name: the name of the file; its suffix chooses the reader.
        sound: makes a file that can be read.
        mutate: changes a file, which may break it.
    """

    name: str
    sound: Maker
    mutate: Mutator = mutated

    def broken(self, random: Random) -> bytes:
        """A mutated file; one in twenty is unchanged, and one in twenty is random bytes."""
        fate = random.randrange(20)
        if fate == 0:
            return random.randbytes(random.randrange(300))
        content = self.sound(random)
        return content if fate == 1 else self.mutate(content, random)


TARGETS = {
    target.name: target
    for target in (
        Target("rudy", fuzz_files.rudy),
        Target(
            "graph.gz",
            fuzz_files.gzipped,
            fuzz_files.mutated_packed(gzip.compress, gzip.decompress),
        ),
        Target(
            "graph.bz2", fuzz_files.bzipped, fuzz_files.mutated_packed(bz2.compress, bz2.decompress)
        ),
        Target("graph.graphml", fuzz_files.graphml),
        Target("graph.gml", fuzz_files.gml),
        Target("graph.adjlist", fuzz_files.adjacency_list),
        Target("graph.edgelist", fuzz_files.edge_list),
        Target("graph.mtx", fuzz_files.graph_market, fuzz_files.mutated_market),
        Target("graph.npz", fuzz_files.graph_archive, fuzz_files.mutated_archive),
        Target("graph.csv", fuzz_files.graph_csv),
        Target("graph.json", fuzz_files.node_link),
        Target("graph.net", fuzz_files.pajek),
        Target("graph.metis", fuzz_files.metis),
        Target("graph.g6", fuzz_files.graph6),
        Target("graph.s6", fuzz_files.sparse6),
        Target("model.qubo", fuzz_files.qubo),
        Target("model.coo", fuzz_files.coordinates),
        Target("model.json", fuzz_files.dimod_json),
        Target("formula.cnf", fuzz_files.cnf),
        Target("formula.wcnf", fuzz_files.wcnf),
        Target("arcs.txt", fuzz_files.arcs),
        Target("points.npy", fuzz_files.array, fuzz_files.mutated_array),
        Target("points.npz", fuzz_files.point_archive, fuzz_files.mutated_archive),
        Target("points.csv", fuzz_files.csv),
        Target("points.mtx", fuzz_files.point_market, fuzz_files.mutated_market),
    )
}


def examine(path: Path, content: bytes) -> str:
    """Read the file and return the reader's message, empty if the file was read.

    Raises:
        AssertionError: the result or the message breaks a promise of the readers.
    """
    read = reader_of(path.stem)
    path.write_bytes(content)
    tracemalloc.start()
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found, message = read(path), ""
        except ValueError as error:
            found, message = None, str(error)
    seconds, peak = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < SECONDS, f"{seconds:.1f} seconds"
    assert peak < MULTIPLE * len(content) + FREE_BYTES, f"{peak} bytes for a file of {len(content)}"
    for warning in caught:
        assert warning.category is UserWarning, warning.message
        assert str(warning.message).isprintable(), warning.message
    if found is None:
        _examine_message(path, message)
        return message.removeprefix(str(path))
    _examine_result(path.stem, found)
    return ""


def reader_of(stem: str) -> Callable[[Path], Any]:
    """The reader of the files of this name."""
    # Imported here, so that atheris can instrument the imports.
    from derandomization.files.formulas import read_formula_file
    from derandomization.files.graphs import read_arc_file
    from derandomization.files.points import read_points
    from derandomization.files.quadratic import read_quadratic_file
    from MAXCUT.graph import read_graph

    return {
        "points": read_points,
        "model": lambda path: read_quadratic_file(path, lambda terms: terms),
        "formula": lambda path: read_formula_file(path, lambda clauses: clauses),
        "arcs": lambda path: read_arc_file(path, lambda arcs: arcs),
    }.get(stem, read_graph)


def _examine_result(stem: str, found: Any) -> None:
    if stem == "points":
        assert np.isfinite(found.numpy()).all()
        assert found.ndim == 2
        assert found.numel() > 0
    elif stem == "formula":
        assert (found.weights > 0).all()
        assert np.abs(found.literals).max(initial=0) <= found.num_variables
        assert (found.literals[:, 0] != 0).all()
    elif stem == "model":
        # The coefficients of .qubo files are doubled: the sum of all is checked later.
        assert not np.isnan(found.values).any()
        assert found.ends.min(initial=0) >= 0
        assert found.ends.max(initial=0) <= len(found.labels)
        hash(found.labels)
    elif stem == "arcs":
        assert np.isfinite(found.weights).all()
        assert found.ends.max(initial=0) < len(found.labels)
    else:
        assert np.isfinite(found.weights).all()
        assert found.num_vertices == len(found.labels) > 0


def _examine_message(path: Path, message: str) -> None:
    assert message.startswith(str(path)), message
    assert message.isprintable(), message
    assert len(message) < len(str(path)) + 450, message
    # A failed check of our own annotations is a bug, not a message about the file.
    assert "ypeCheckError" not in message, message
    assert " object at 0x" not in message, message


def fuzz(target: Target, files: int, folder: Path) -> collections.Counter[str]:
    """Read this many broken files, and count the kinds of messages."""
    path = folder / target.name
    said: collections.Counter[str] = collections.Counter()
    for number in range(files):
        content = target.broken(Random(f"{target.name} {number}"))
        faulthandler.dump_traceback_later(60, exit=True)
        try:
            message = examine(path, content)
        except Exception as error:
            raise AssertionError(f"{target.name}, file {number}: {content[:500]!r}") from error
        said[message.rpartition(": ")[2][:40] if message else "read"] += 1
    faulthandler.cancel_dump_traceback_later()
    return said


def fuzz_guided(target: Target, files: int) -> None:
    """Run atheris; libFuzzer ends the process, with 0 if no file broke a promise."""
    import atheris

    with atheris.instrument_imports(include=GUIDED):
        import derandomization.files.formulas
        import derandomization.files.graphs
        import derandomization.files.points
        import derandomization.files.quadratic  # noqa: F401
        import MAXCUT.graph  # noqa: F401

    with tempfile.TemporaryDirectory() as name:
        folder, corpus = Path(name), Path(name) / "corpus"
        corpus.mkdir()
        for number in range(50):
            (corpus / f"{number}").write_bytes(target.sound(Random(number)))

        def mutate(content: bytes, max_size: int, seed: int) -> bytes:
            random = Random(seed)
            if random.randrange(4) == 0:
                return atheris.Mutate(content, max_size)
            return target.mutate(content, random)[:max_size]

        path = folder / target.name
        options = [f"-runs={files}", f"-seed={len(target.name)}", "-max_len=8192", "-verbosity=0"]
        atheris.Setup(
            [sys.argv[0], *options, f"-artifact_prefix={folder}/", str(corpus)],
            lambda content: examine(path, content) and None,
            custom_mutator=mutate,
        )
        atheris.Fuzz()


def main() -> None:
    """Fuzz the given readers, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("readers", nargs="*", help=f"of {', '.join(TARGETS)}; by default all")
    parser.add_argument("--files", type=int, default=10_000, help="broken files for each")
    parser.add_argument("--guided", action="store_true", help="by atheris alone, one reader")
    arguments = parser.parse_args()
    for name in arguments.readers or TARGETS:
        if name not in TARGETS:
            parser.error(f"readers has {name!r}: it must be among {', '.join(TARGETS)}")
    if arguments.guided:
        fuzz_guided(TARGETS[arguments.readers[0]], arguments.files)
        return
    for name in arguments.readers or TARGETS:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            said = fuzz(TARGETS[name], arguments.files, Path(folder))
        guided = _run_guided(name, arguments.files)
        seconds = time.perf_counter() - began
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        read = f"{arguments.files} files, {said['read']} read, {guided}"
        print(f"{name}: {read}, {seconds:.0f} s, at most {memory} MB so far")
        for words, count in said.most_common(6):
            print(f"    {count:6} {words}")


def _run_guided(name: str, files: int) -> str:
    """Run the guided part in its own process, since libFuzzer ends it."""
    try:
        import atheris  # noqa: F401
    except ImportError:
        return "atheris is not installed"
    command = [sys.executable, __file__, "--guided", "--files", str(files), name]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise AssertionError(f"{name}, guided:\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")
    return f"{files} more guided by atheris"


if __name__ == "__main__":
    main()
