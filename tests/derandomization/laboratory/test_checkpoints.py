"""Checkpoints: what is kept, what is refused, and what is never half written."""

import io
import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from derandomization import DerandomizationObjective, Diverged
from derandomization.laboratory.checkpoints import (
    HEADER,
    CannotResume,
    Checkpoints,
    Interrupted,
    Slot,
    _digest,
    resumable_descend,
)
from derandomization.optimizers import PerturbedGradientDescent

Build = Callable[..., DerandomizationObjective]


def kept(path: Path, **options: object) -> Checkpoints:
    """Two results in a file, then the checkpoints that go on from it."""
    first = Checkpoints(path, identity={"seed": 1, "rate": None})
    first.slot("numbers").keep({"a": 1.5, "b": torch.arange(3)})
    first.slot("words").keep({"c": [True, "x"]})
    first.write()
    return Checkpoints(path, identity={"seed": 1, "rate": None}, resume=True, **options)


def content(slot: Slot) -> dict | None:
    return slot.restored(lambda stored: stored)


def test_results_come_back_in_the_order_in_which_they_are_asked_for(tmp_path: Path) -> None:
    again = kept(tmp_path / "deep" / "checkpoint.pt")
    assert again.resumed
    first = content(again.slot("numbers"))
    assert first is not None
    assert first["a"] == 1.5
    assert first["b"].tolist() == [0, 1, 2]
    assert content(again.slot("words")) == {"c": [True, "x"]}
    assert content(again.slot("words")) is None


def test_without_resume_the_file_is_not_read_and_without_a_file_nothing_is_resumed(
    tmp_path: Path,
) -> None:
    kept(tmp_path / "checkpoint.pt")
    assert content(Checkpoints(tmp_path / "checkpoint.pt").slot("numbers")) is None
    assert not Checkpoints(tmp_path / "other.pt", resume=True).resumed


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        ({"seed": 2, "rate": None}, "with seed 1, now it is 2; use what it was, or start without"),
        ({"seed": 1, "rate": 0.5}, "with rate None, now it is 0.5"),
        ({"seed": True, "rate": None}, "with seed 1, now it is True"),
        ({"seed": 1, "rate": None, "steps": 3}, "with steps None, now it is 3"),
        ({"rate": None}, "with seed 1, now it is None"),
    ],
)
def test_another_runs_file_is_refused(
    tmp_path: Path, identity: dict[str, object], reason: str
) -> None:
    path = tmp_path / "checkpoint.pt"
    kept(path)
    with pytest.raises(ValueError, match=reason) as error:
        Checkpoints(path, identity=identity, resume=True)
    assert str(path) in str(error.value)


class Evil:
    """What would create a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", None])
def test_a_file_that_is_none_of_ours_is_refused_and_never_run(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "checkpoint.pt"
    if content is None:
        torch.save({"identity": {}, "contents": Evil(tmp_path / "made")}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"checkpoint\.pt is no checkpoint, or a damaged one; start"
    ):
        Checkpoints(path, resume=True)
    path.write_bytes(pickle.dumps(Evil(tmp_path / "made")))
    with pytest.raises(ValueError, match="is no checkpoint"):
        Checkpoints(path, resume=True)
    assert not (tmp_path / "made").exists()


def test_any_part_of_a_file_is_refused_and_never_believed(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    kept(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is no checkpoint"):
            Checkpoints(path, resume=True)


def test_a_file_with_any_bit_flipped_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    kept(path)
    whole = path.read_bytes()
    places = [*range(0, len(whole), 41), whole.index(b"\n"), len(whole) - 1]
    for number, place in enumerate(places):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << number % 8
        path.write_bytes(damaged)
        with pytest.raises(CannotResume, match="is no checkpoint, or a damaged one"):
            Checkpoints(path, identity={"seed": 1, "rate": None}, resume=True)
    path.write_bytes(whole)
    assert kept(path).resumed


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_stands_under_the_temporary_name_is_replaced(tmp_path: Path, kind: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    planted = tmp_path / ".checkpoint.pt.part"
    planted.symlink_to(elsewhere) if kind == "link" else os.mkfifo(planted)
    assert kept(tmp_path / "checkpoint.pt").resumed
    assert elsewhere.read_text() == "kept"
    assert not (tmp_path / "checkpoint.pt").is_symlink()


@pytest.mark.parametrize("place", ["folder", "queue", "link to nothing"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, place: str) -> None:
    path = tmp_path / "checkpoint.pt"
    if place == "folder":
        path.mkdir()
    elif place == "queue":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "missing")
        assert not Checkpoints(path, resume=True).resumed
        return
    with pytest.raises(CannotResume, match="is no checkpoint"):
        Checkpoints(path, resume=True)


def write_record(path: Path, record: object) -> None:
    """A file with a fitting digest, whatever is in it."""
    stream = io.BytesIO()
    torch.save(record, stream)
    path.write_bytes(HEADER + _digest(stream.getvalue()) + b"\n" + stream.getvalue())


@pytest.mark.parametrize(
    "record",
    [
        *(None, 3, [], {}, {"identity": {}}, {"identity": 3, "contents": {}}),
        *({"identity": {}, "contents": contents} for contents in (3, {0: 3}, {"a": {}})),
    ],
)
def test_a_whole_file_of_another_form_is_refused(tmp_path: Path, record: object) -> None:
    write_record(tmp_path / "checkpoint.pt", record)
    with pytest.raises(CannotResume, match="is no checkpoint"):
        Checkpoints(tmp_path / "checkpoint.pt", resume=True)


MALFORMED = {
    "nothing": lambda kept: {},
    "another kind": lambda kept: {**kept, "kind": "call of square"},
    "no content": lambda kept: {"kind": kept["kind"], "content": None},
    **{
        f"no {name}": lambda kept, name=name: {
            **kept,
            "content": {n: value for n, value in kept["content"].items() if n != name},
        }
        for name in ("parameters", "extra", "optimizer", "columns", "snapshots", "numbers")
    },
    "other parameters": lambda kept: _with(kept, parameters={"other": torch.zeros(2)}),
    "other shapes": lambda kept: _with(
        kept,
        parameters={name: p.reshape(-1)[:1] for name, p in kept["content"]["parameters"].items()},
    ),
    "text for columns": lambda kept: _with(kept, columns={"value": "text"}),
}


def _with(kept: dict, **changes: object) -> dict:
    return {**kept, "content": {**kept["content"], **changes}}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED)
def test_a_descents_state_of_another_form_is_one_line(
    tmp_path: Path, cosine_objective: Build, change: Callable[[dict], object]
) -> None:
    path = tmp_path / "checkpoint.pt"

    def descent(checkpoints: Checkpoints) -> None:
        objective = cosine_objective([[0.5, 0.1], [0.2, 0.8]], [0.2, 0.1])
        optimizer = optimizer_of("pgd", objective, torch.Generator().manual_seed(3))
        resumable_descend(objective, optimizer, max_steps=5, checkpoints=checkpoints)

    checkpoints = Checkpoints(path)
    descent(checkpoints)
    write_record(path, {"identity": {}, "contents": {0: change(checkpoints._contents[0])}})
    with pytest.raises(CannotResume, match="does not hold what this run stores there") as error:
        descent(Checkpoints(path, resume=True))
    assert str(error.value).isprintable()


def test_where_it_cannot_be_written_one_line_says_so_once_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cosine_objective: Build
) -> None:
    (tmp_path / "file").write_text("in the way")
    checkpoints = Checkpoints(tmp_path / "file" / "checkpoint.pt", every=1e-9)
    objective = cosine_objective([[0.5, 0.1], [0.2, 0.8]], [0.2, 0.1])
    sgd = torch.optim.SGD(objective.parameters(), lr=0.2)
    history = resumable_descend(objective, sgd, max_steps=5, checkpoints=checkpoints)
    assert history.num_steps == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {tmp_path}")
    assert "no checkpoint (" in line


def test_a_full_disk_is_one_line_and_leaves_the_old_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = kept(tmp_path / "checkpoint.pt")
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    checkpoints.write()
    assert "no checkpoint (No space left on device)" in capsys.readouterr().err
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("every", [0.0, -1.0, float("nan"), float("inf")])
def test_the_interval_is_checked(tmp_path: Path, every: float) -> None:
    with pytest.raises(ValueError, match=r"checkpoint_every is .*: it must be a finite number"):
        Checkpoints(tmp_path / "checkpoint.pt", every=every)


def optimizer_of(
    kind: str, objective: DerandomizationObjective, generator: torch.Generator
) -> torch.optim.Optimizer:
    parameters = objective.parameters()
    if kind == "pgd":
        return PerturbedGradientDescent(
            parameters,
            lr=0.1,
            momentum=0.9,
            nesterov=True,
            restart=True,
            gradient_threshold=0.5,
            perturbation_radius=1e-1,
            perturbation_interval=7,
            decrease_threshold=-1.0,
            generator=generator,
        )
    return torch.optim.Adam(parameters, lr=0.1)


@pytest.mark.parametrize("kind", ["pgd", "adam"])
@pytest.mark.parametrize("stopped_at", [1, 6, 19])
def test_a_descent_stopped_by_a_signal_goes_on_bit_for_bit(
    tmp_path: Path, cosine_objective: Build, kind: str, stopped_at: int
) -> None:
    def descent(checkpoints: Checkpoints | None, stop: bool) -> tuple[list, dict]:
        objective = cosine_objective([[0.5, 0.1], [0.2, 0.8]], [0.2, 0.1])
        optimizer = optimizer_of(kind, objective, torch.Generator().manual_seed(3))

        def progress(step: int, value: float, norm: float) -> None:
            if stop and step == stopped_at:
                os.kill(os.getpid(), signal.SIGINT)

        history = resumable_descend(
            objective,
            optimizer,
            max_steps=30,
            observe=lambda: {"first": objective.bias()[0].item()},
            snapshot_steps=[0, 5, 25],
            progress=progress,
            checkpoints=checkpoints,
        )
        snapshots = {
            step: {name: p.tolist() for name, p in snapshot.items()}
            for step, snapshot in history.snapshots.items()
        }
        arrays = {name: array.tolist() for name, array in history.arrays().items()}
        return [arrays, snapshots], objective.state_dict()

    expected, end = descent(None, stop=False)
    path = tmp_path / "checkpoint.pt"
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        descent(Checkpoints(path), stop=True)
    assert signal.getsignal(signal.SIGINT) is handler
    found, reached = descent(Checkpoints(path, resume=True), stop=False)
    assert found == expected
    assert all(torch.equal(end[name], value) for name, value in reached.items())


def test_a_finished_descent_is_not_made_again(tmp_path: Path, cosine_objective: Build) -> None:
    path, steps = tmp_path / "checkpoint.pt", []

    def descent(checkpoints: Checkpoints) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
        objective = cosine_objective([[0.5, 0.1], [0.2, 0.8]], [0.2, 0.1])
        generator = torch.Generator().manual_seed(3)
        history = resumable_descend(
            objective,
            optimizer_of("pgd", objective, generator),
            max_steps=30,
            progress=lambda step, value, norm: steps.append(step),
            checkpoints=checkpoints,
        )
        return history.value, objective.bias().detach(), torch.rand(2, generator=generator)

    checkpoints = Checkpoints(path)
    value, bias, drawn = descent(checkpoints)
    assert len(steps) == len(value) - 1
    checkpoints.write()
    again = descent(Checkpoints(path, resume=True))
    assert len(steps) == len(value) - 1
    np.testing.assert_array_equal(again[0], value)
    assert torch.equal(again[1], bias)
    assert torch.equal(again[2], drawn)  # the generator too stands where it stood


def test_a_diverged_descent_diverges_again_without_a_step(
    tmp_path: Path, cubic_objective: Build
) -> None:
    path = tmp_path / "checkpoint.pt"

    def descent(checkpoints: Checkpoints) -> Diverged:
        objective = cubic_objective(0.0, -1.0, 0.1, 1.0)
        sgd = torch.optim.SGD(objective.parameters(), lr=1.0)
        with pytest.raises(Diverged) as error:
            resumable_descend(objective, sgd, max_steps=100, checkpoints=checkpoints)
        return error.value

    checkpoints = Checkpoints(path)
    first = descent(checkpoints)
    checkpoints.write()
    again = descent(Checkpoints(path, resume=True))
    assert str(again) == str(first)
    np.testing.assert_array_equal(again.history.value, first.history.value)


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoint.pt")
    with checkpoints.deferring_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        assert checkpoints.due()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_writing_takes_no_more_than_its_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0
    monkeypatch.setattr("derandomization.laboratory.checkpoints.time.monotonic", lambda: clock)
    checkpoints = Checkpoints(tmp_path / "checkpoint.pt")
    slow_sync = os.fsync

    def sync(descriptor: int) -> None:
        nonlocal clock
        clock += 2.0  # what a write takes
        slow_sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    kept = []
    for number in range(100):
        checkpoints.slot("number").keep({"number": number})
        before = clock
        checkpoints.write_soon()
        kept.append(clock > before)
        clock += 1.0  # what a call takes
    assert kept[0]  # the first is written at once
    assert sum(kept) == 3  # 2 s of writing, then 40 s without
    assert Checkpoints(tmp_path / "checkpoint.pt", resume=True).resumed
