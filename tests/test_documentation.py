"""The site builds without warnings, and its code blocks and commands are right."""

import contextlib
import importlib.util
import io
import pkgutil
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tyro

import reproduce
from derandomization.laboratory.claims import ExperimentClaims
from MAXCUT.commands import COMMANDS
from NeuralNetworks.main import OWN_DATA
from reproduction import EXPERIMENTS
from reproduction.jobs import MAINS

ROOT = Path(__file__).parents[1]
SITE = ROOT / "documentation"
PAGES = sorted(SITE.rglob("*.md"))
INCLUDED = [*sorted(ROOT.glob("**/README.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
needs_mkdocs = pytest.mark.skipif(
    importlib.util.find_spec("mkdocstrings") is None, reason='needs pip install ".[docs]"'
)


def blocks(path: Path, language: str) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@cache
def printed(page: str) -> list[list[str]]:
    """Run the Python blocks of a page, each alone, and return the lines that each printed."""
    outputs = []
    for block in blocks(SITE / page, "python"):
        rng = np.random.default_rng(0)
        points = rng.standard_normal((60, 4))
        stdout = io.StringIO()
        with contextlib.redirect_stdout(stdout):
            exec(block, {"X": points, "y": np.tanh(points[:, 0])})
        outputs.append(stdout.getvalue().splitlines())
    return outputs


@pytest.mark.parametrize("page", [path.relative_to(SITE).as_posix() for path in PAGES])
def test_every_python_block_runs_and_prints(page: str) -> None:
    assert all(printed(page))


def test_the_guides_blocks_do_what_it_says() -> None:
    cut, bound, pipeline = printed("guide.md")
    assert cut[-1] == "target"
    assert 0 < float(bound[0]) < 1
    assert float(pipeline[0]) > 0.9


def test_the_lemmas_example_loses_its_randomness() -> None:
    ((line,),) = printed("theory/lemma.md")
    reason, weight, bias = line.rsplit(maxsplit=2)
    assert reason == "second-order stationary"
    assert abs(float(weight)) < 1e-6
    assert abs(float(bias)) == pytest.approx(1, abs=1e-6)


def test_the_example_of_a_certificate_needs_the_stein_defect() -> None:
    ((norms, sharp, gaussian),) = printed("theory/certificate.md")
    norm, defect = (float(word) for word in norms.split())
    assert defect > 1e-6
    assert float(gaussian) < norm <= float(sharp)


def test_every_python_block_of_the_included_pages_is_run() -> None:
    tests = (ROOT / "tests" / "test_readme.py").read_text(encoding="utf-8")
    words = [eval(each) for each in re.findall(r"exec\(example\((\".*?\"|'.*?')\)", tests)]
    found = [block for path in INCLUDED[:-2] for block in blocks(path, "python")]
    assert found
    for block in found:
        assert any(each in block for each in words), block


def test_the_claims_of_the_guide_to_applications_are_claims() -> None:
    (block,) = blocks(ROOT / "CONTRIBUTING.md", "python")
    scope: dict[str, object] = {}
    exec(block, scope)
    assert isinstance(scope["CLAIMS"], ExperimentClaims)


def commands() -> list[list[str]]:
    """The commands of the experiments and of reproduce.py in all bash blocks."""
    lines = [
        line
        for path in (*INCLUDED, *PAGES)
        for block in blocks(path, "bash")
        for line in block.splitlines()
    ]
    words = [shlex.split(line, comments=True) for line in lines if not PLACEHOLDER.search(line)]
    return [each[1:] for each in words if each[:1] == ["python"] and each[1] in MODULES]


PLACEHOLDER = re.compile("<folder>|X1")  # of an application that is yet to be written
MODULES: dict[str, ModuleType] = {f"{name}/main.py": main for name, main in MAINS.items()}
MODULES["reproduce.py"] = reproduce


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_options_that_exist(command: list[str]) -> None:
    module = MODULES[command[0]]
    config, arguments = module.Config, command[1:]
    if arguments and not arguments[0].startswith("-"):
        subcommands = getattr(module, "STUDIES", {}) | OWN_DATA | COMMANDS
        config = pkgutil.resolve_name(subcommands[arguments.pop(0)]).Config
    assert tyro.cli(config, args=arguments)


def test_commands_of_every_experiment_are_found() -> None:
    assert {each[0] for each in commands()} == {f"{name}/main.py" for name in EXPERIMENTS} | {
        "reproduce.py"
    }


def test_options_are_completed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        tyro.cli(MAINS["MAXCUT"].Config, prog="cut", args=["--tyro-print-completion", "bash"])
    assert not stop.value.code
    printed = capsys.readouterr().out
    assert "complete -F" in printed
    assert "--restarts" in printed


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    arguments = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@needs_mkdocs
def test_the_site_has_every_page_and_the_figures_of_the_report(site: Path) -> None:
    names = {path.relative_to(SITE).with_suffix(".html") for path in PAGES}
    assert all((site / name).is_file() for name in names)
    results = (site / "results.html").read_text(encoding="utf-8")
    figures = re.findall(r'<img alt="[^"]+" src="([^"]+)"', results)
    assert len(figures) >= 20
    assert all((site / figure).is_file() for figure in figures)
    assert not list(site.rglob("*.py"))


@needs_mkdocs
def test_nothing_is_left_to_include_and_nothing_comes_from_other_servers(site: Path) -> None:
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        assert "<!-- include" not in html
        assert "<!-- introduction" not in html
        loaded = re.findall(r'<(?:script|img|link)\b[^>]*(?:src|href)="([^"]*)"', html)
        assert not [each for each in loaded if "//" in each and "canonical" not in each], page


@needs_mkdocs
def test_the_reference_has_the_texts_of_the_code(site: Path) -> None:
    html = (site / "api.html").read_text(encoding="utf-8")
    for name in re.findall(r"^::: (\S+)$", (SITE / "api.md").read_text(), flags=re.MULTILINE):
        assert f'id="{name}"' in html
        first = (pkgutil.resolve_name(name).__doc__ or "").split()[:3]
        assert first, name
    assert "parallel edges are summed" in html  # an argument of derandomized_cut


@pytest.fixture
def include() -> ModuleType:
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("include", SITE / "include.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_part_ends_at_the_next_heading_of_its_level(
    include: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(include, "ROOT", tmp_path)
    text = "# T\nfirst\n## A\na\n```bash\n# no heading\n```\n### B\nb\n## C\nc"
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    a = include.part("include", "page.md", "a")
    assert a.lines == ["a", "```bash", "# no heading", "```", "## B", "b"]
    assert a.anchors == ["a", "b"]
    assert include.part("introduction", "page.md", "").lines == ["first"]
    assert include.part("include", "page.md", "").lines[-1] == "c"
    with pytest.raises(ValueError, match=r"page\.md has no heading #d"):
        include.part("include", "page.md", "d")


def test_links_lead_to_the_pages_of_the_site(include: ModuleType) -> None:
    text = (
        "[guide](../README.md#your-graph), [`code`\nin it](README.md#studies), "
        "[no page](../benchmarks/results.json), [far](https://arxiv.org), "
        "![figure](<../docs/directions.png>)\n```\n[x](README.md)\n```"
    )
    assert include.with_links(text, "MAXCUT/README.md", "theory/lemma.md") == (
        "[guide](../guide.md#your-graph), [`code`\nin it](../experiments/maxcut.md#studies), "
        "no page, [far](https://arxiv.org), "
        "![figure](../docs/directions.png)\n```\n[x](README.md)\n```"
    )
