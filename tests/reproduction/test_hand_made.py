"""Whatever a results.json, a manifest or a stamp holds: the check ends in lines, and embeds nothing
from outside the folder."""

import copy
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reproduction.claims import plan
from reproduction.jobs import MANIFEST, STAMP, write_manifest
from reproduction.report import html, markdown, problems_in, read_report, write_report
from tests.reproduction.made_up import write_results

RESULTS = "parts/MAXCUT/exact/seed-42/results.json"
ODD: list[Any] = [
    *(
        None,
        True,
        -1,
        0.5,
        10**400,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "x",
        "\ud800",
        "\x1b[31m",
    ),
    *(
        "../../x",
        "/etc/passwd",
        "a\nb",
        "9" * 5000,
        "\0",
        [],
        [[]],
        [1],
        {},
        {"x": 1},
        [{}],
        [None],
    ),
    *(["x.png", "../x.png", "/x.png", 7], {"id": 1}),
]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A made-up run of one seed of MAXCUT, with its report."""
    jobs = plan(("F4",), full=False, seeds=1, quick=True)
    write_manifest(tmp_path, "python reproduce.py --quick --only F4", jobs)
    for job in jobs:
        write_results(job, tmp_path)
        (tmp_path / job.folder / STAMP).write_text('{"code": "x", "config": {}}')
    write_report(read_report(tmp_path))
    return tmp_path


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of every value in a JSON document."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def replaced(document: Any, path: tuple, value: Any) -> Any:
    if not path:
        return value
    document = copy.deepcopy(document)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return document


def check(folder: Path) -> list[str]:
    """The lines of the check; ``reproduce.py --check`` prints a ``ValueError`` as one line too."""
    try:
        problems = problems_in(folder)
        report = read_report(folder)
    except ValueError as error:
        problems = [str(error)]
    else:
        page = html(markdown(report), folder)
        assert "c2VjcmV0" not in page  # "secret" in base64
    assert all(line.isprintable() for line in problems)
    return problems


@pytest.mark.parametrize("name", [RESULTS, MANIFEST, RESULTS.replace("results.json", STAMP)])
def test_every_field_may_hold_anything(small: Path, name: str) -> None:
    path = small / name
    document = json.loads(path.read_text())
    chosen = random.Random(name)
    for place in places(document):
        if place[:1] == ("claims",) and place[1:2] not in ((), (0,)):
            continue  # the others have the same fields
        for value in chosen.sample(ODD, 1):
            path.write_text(json.dumps(replaced(document, place, value)))
            check(small)


def results(**fields: Any) -> Callable[[dict], None]:
    return lambda record: record.update(fields)


def claim(**fields: Any) -> Callable[[dict], None]:
    return lambda record: record["claims"][0].update(fields)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (results(figures=[7]), "a figure is 7: no name of an image in this folder"),
        (results(figures=["../x.png"]), "a figure is '../x.png': no name of an image"),
        (results(figures=["/etc/x.png"]), "a figure is '/etc/x.png': no name of an image"),
        (results(figures=["x" * 300 + ".png"]), "no name of an image in this folder"),
        (results(figures=["x.svg"]), "a figure is 'x.svg': no name of an image"),
        (results(figures="x.png"), "no figures"),
        (results(environment=None), "no environment"),
        (results(config=[]), "no config"),
        (results(wall_seconds=True), "no wall_seconds"),
        (results(wall_seconds=10**400), "no wall_seconds"),
        (results(results=[]), "no results"),
        (results(claims={}), "no claims"),
        (results(results={"optimum": 10**400}), "no number for 'optimum by enumeration'"),
        (results(results={"optimum": "41"}), "no number for 'optimum by enumeration'"),
        (claim(id="a b"), "a claim lacks its statement, its number or its verdict"),
        (claim(statement="a\nb"), "a claim lacks its statement"),
        (claim(statement="\x1b[31m"), "a claim lacks its statement"),
        (claim(measured=10**400), "a claim lacks its statement"),
        (claim(measured=float("nan")), "a claim lacks its statement"),
        (claim(reference=[1]), "a claim lacks its statement"),
        (claim(reference_kind="theirs"), "a claim lacks its statement"),
        (claim(holds=1), "a claim lacks its statement"),
    ],
)
def test_a_line_says_what_is_wrong(small: Path, change: Callable[[dict], None], line: str) -> None:
    record = json.loads((small / RESULTS).read_text())
    change(record)
    (small / RESULTS).write_text(json.dumps(record))
    assert any(found.startswith(f"{small / RESULTS}: ") and line in found for found in check(small))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("experiment",), "../.."),
        (("experiment",), "Elsewhere"),
        (("study",), "../../.."),
        (("study",), "guarantee/../../.."),
        (("options",), {}),
        (("options",), {"seed": "42"}),
        (("options",), {"seed": 42, "estimator": "../../../etc"}),
        (("options",), {"seed": 42, "x` y": 1}),
        (("options",), {"seed": 42, "initial_cut": "a b`"}),
        (("claims",), [["F4"]]),
        (("seconds",), float("nan")),
        (("seconds",), "7"),
        (("seconds",), 10**400),
    ],
)
def test_a_manifest_of_other_jobs_is_broken(small: Path, place: tuple, value: Any) -> None:
    record = json.loads((small / MANIFEST).read_text())
    ((run, _),) = record["runs"].items()
    changed = replaced(record, ("runs", run, 0, *place), value)
    (small / MANIFEST).write_text(json.dumps(changed))
    (line,) = check(small)
    assert line.endswith(f"{MANIFEST} is missing or broken")
    (small / MANIFEST).write_text(json.dumps({"runs": {"x` | <b>": []}}))
    assert check(small) == [line]


def test_a_link_under_the_temporary_name_of_a_manifest_is_replaced(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    (tmp_path / f".{MANIFEST}").symlink_to(elsewhere)
    write_manifest(tmp_path, "python reproduce.py --quick", [])
    assert elsewhere.read_text() == "kept"
    assert not (tmp_path / MANIFEST).is_symlink()


def test_a_figure_that_is_a_link_is_not_shown(small: Path, tmp_path_factory: Any) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    secret.write_bytes(b"secret")
    figure = small / "parts/MAXCUT/exact/seed-42/figure4_cut_value.png"
    figure.unlink()
    figure.symlink_to(secret)
    assert f"{figure}: a link, and no image" in check(small)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", [RESULTS, MANIFEST, "REPORT.md"])
def test_a_pipe_is_not_waited_for(small: Path, name: str) -> None:
    (small / name).unlink()
    os.mkfifo(small / name)
    assert any("missing or broken" in line for line in check(small))


def test_deep_nesting_is_broken(small: Path) -> None:
    for name in (RESULTS, MANIFEST):
        (small / name).write_text("[" * 10**5)
        assert any("missing or broken" in line for line in check(small))
