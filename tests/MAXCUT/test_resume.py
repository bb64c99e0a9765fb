"""A cut that is interrupted and resumed: the relaxation, what the descent saw, and small files."""

import os
import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from derandomization.laboratory.checkpoints import CannotResume, Checkpoints, Interrupted
from MAXCUT.graph import Graph
from MAXCUT.limits import Limits
from MAXCUT.optimizer import (
    EXACT,
    SNAPSHOT_BYTES,
    DerandomizedCut,
    _Watch,
    derandomize,
    settings_for,
)
from MAXCUT.sdp import SdpSolution, solve_sdp

Build = Callable[..., Graph]
NAME = "checkpoint.pt"


def stop_at(number: int, stop: bool) -> Callable[..., None]:
    """A progress callback that presses Ctrl-C once, at a sweep or a step."""

    def progress(at: int, *numbers: float) -> None:
        if stop and at == number:
            os.kill(os.getpid(), signal.SIGINT)

    return progress


@pytest.mark.parametrize("sweep", [0, 1, 7])
def test_the_relaxation_resumes_between_two_sweeps(
    tmp_path: Path, signed_graph: Build, sweep: int
) -> None:
    graph = signed_graph(30, 0)
    expected = solve_sdp(graph, np.random.default_rng(1))
    with pytest.raises(Interrupted):
        solve_sdp(
            graph,
            np.random.default_rng(1),
            progress=stop_at(sweep, True),
            checkpoints=Checkpoints(tmp_path / NAME),
        )
    sweeps: list[int] = []
    found = solve_sdp(
        graph,
        np.random.default_rng(1),
        progress=lambda number, value: sweeps.append(number),
        checkpoints=Checkpoints(tmp_path / NAME, resume=True),
    )
    assert sweeps[0] == sweep + 1
    require_equal(asdict(found), asdict(expected))


def test_a_finished_relaxation_is_not_computed_again(tmp_path: Path, signed_graph: Build) -> None:
    graph = signed_graph(10, 0)
    first = solve_sdp(graph, np.random.default_rng(1), checkpoints=Checkpoints(tmp_path / NAME))
    sweeps: list[int] = []
    again = solve_sdp(
        graph,
        np.random.default_rng(1),
        progress=lambda number, value: sweeps.append(number),
        checkpoints=Checkpoints(tmp_path / NAME, resume=True),
    )
    assert sweeps == []
    require_equal(asdict(again), asdict(first))


def require_equal(found: dict, expected: dict) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name, strict=True)


def cut(
    graph: Graph, checkpoints: Checkpoints | None, stop: int | None, limits: Limits | None = None
) -> DerandomizedCut:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((graph.num_vertices, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return derandomize(
        graph,
        SdpSolution(vectors, 1.0, float(np.abs(graph.weights).sum())),
        generator=torch.Generator().manual_seed(3),
        settings=replace(settings_for(graph, "exact"), max_steps=60),
        limits=limits,
        progress=stop_at(stop or 0, stop is not None),
        checkpoints=checkpoints,
    )


@pytest.mark.parametrize("step", [2, 40])
def test_a_descent_resumes_with_what_it_saw_before(
    tmp_path: Path, signed_graph: Build, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    watches: list[_Watch] = []
    original = _Watch.norms_along
    monkeypatch.setattr(
        _Watch,
        "norms_along",
        lambda watch, history: (watches.append(watch), original(watch, history))[1],
    )
    graph = signed_graph(25, 1)
    expected = cut(graph, None, None)
    with pytest.raises(Interrupted):
        cut(graph, Checkpoints(tmp_path / NAME), step)
    found = cut(graph, Checkpoints(tmp_path / NAME, resume=True), None)
    unbroken, resumed = (watch.state_dict() for watch in watches)
    assert torch.equal(resumed["best"], unbroken["best"])
    assert resumed["highest"] == unbroken["highest"]
    assert resumed["step"] == unbroken["step"]
    np.testing.assert_array_equal(found.signs, expected.signs)
    assert list(found.vertex_norms) == list(expected.vertex_norms)
    for at, norms in expected.vertex_norms.items():
        np.testing.assert_array_equal(found.vertex_norms[at], norms, strict=True)


@pytest.mark.parametrize("step", [20, 300])
def test_a_descent_that_started_again_resumes(tmp_path: Path, two_blocks: Graph, step: int) -> None:
    def descend(checkpoints: Checkpoints | None, stop: int | None) -> DerandomizedCut:
        return derandomize(
            two_blocks,
            solve_sdp(two_blocks, np.random.default_rng(0)),
            generator=torch.Generator().manual_seed(0),
            progress=stop_at(stop or 0, stop is not None),
            checkpoints=checkpoints,
        )

    expected = descend(None, None)
    assert expected.history.num_steps > 300  # of the second; the first has fewer
    with pytest.raises(Interrupted):
        descend(Checkpoints(tmp_path / NAME), step)
    found = descend(Checkpoints(tmp_path / NAME, resume=True), None)
    np.testing.assert_array_equal(found.history.value, expected.history.value)
    np.testing.assert_array_equal(found.signs, expected.signs)


def test_a_descent_that_a_target_has_ended_stays_ended(tmp_path: Path, signed_graph: Build) -> None:
    graph = signed_graph(25, 1)
    checkpoints = Checkpoints(tmp_path / NAME)
    first = Limits(target=0.1)
    cut(graph, checkpoints, None, first)
    checkpoints.write()
    again = Limits(target=0.1)
    cut(graph, Checkpoints(tmp_path / NAME, resume=True), None, again)
    assert first.stopped_by == again.stopped_by == "target"


def test_the_checkpoint_of_a_large_graph_holds_norms_and_few_copies_of_its_vectors(
    tmp_path: Path,
) -> None:
    n, rank = 2_000, 24
    ring = np.array([(i, (i + 1) % n) for i in range(n)])
    graph = Graph(n, np.sort(ring, axis=1), np.ones(n))
    vectors = np.random.default_rng(0).standard_normal((n, rank))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with pytest.raises(Interrupted):
        derandomize(
            graph,
            SdpSolution(vectors, 1.0, float(n)),
            generator=torch.Generator().manual_seed(3),
            settings=replace(EXACT, max_steps=81),
            progress=stop_at(79, True),
            checkpoints=Checkpoints(tmp_path / NAME),
        )
    # The descent itself holds V, its velocity, the point before the perturbation and the best one.
    assert (tmp_path / NAME).stat().st_size < 2 * SNAPSHOT_BYTES + 5 * vectors.nbytes


def test_a_relaxation_of_another_graph_is_refused(tmp_path: Path, signed_graph: Build) -> None:
    identity = {"graph": 1}
    checkpoints = Checkpoints(tmp_path / NAME, identity=identity)
    solve_sdp(signed_graph(10, 0), np.random.default_rng(1), checkpoints=checkpoints)
    with pytest.raises(CannotResume, match="was written with graph 1, now it is 2"):
        Checkpoints(tmp_path / NAME, identity={"graph": 2}, resume=True)
