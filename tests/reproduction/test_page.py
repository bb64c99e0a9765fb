"""The page in a browser: on screens wide and narrow, light and dark, and on paper."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")

# Written into the page, which has nothing else that a test could ask.
PROBE = """<script>
const rects = [...document.querySelectorAll(".number")].map((each) => each.getClientRects().length);
const commands = [...document.querySelectorAll("main code")].map((each) => each.textContent);
document.body.setAttribute("data-found", [
  document.documentElement.scrollWidth <= innerWidth,
  rects.length > 0 && Math.max(...rects) === 1,
  commands.filter((each) => each.startsWith("python ")).length,
  document.querySelectorAll("button").length,
  getComputedStyle(document.body).backgroundColor,
].join("|"));
</script>"""


def browse(folder: Path, *options: str) -> str:
    """What Chromium prints about the page of a folder."""
    command = [BROWSER or "", "--headless", "--no-sandbox", "--disable-gpu", *options]
    profile = f"--user-data-dir={folder / 'profile'}"
    return subprocess.run(
        [*command, profile, (folder / "report.html").as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout


@pytest.mark.parametrize("width", [1280, 1201, 390])
@pytest.mark.parametrize(("scheme", "colour"), [(0, "rgb(20, 23, 26)"), (1, "rgb(255, 255, 255)")])
def test_the_page_fits_its_screen(folder: Path, width: int, scheme: int, colour: str) -> None:
    page = folder / "report.html"
    page.write_text(page.read_text().replace("</body>", f"{PROBE}</body>"))
    size, theme = f"--window-size={width},900", f"--blink-settings=preferredColorScheme={scheme}"
    (found,) = re.findall(r'data-found="([^"]*)"', browse(folder, "--dump-dom", size, theme))
    fits, whole, commands, buttons, background = found.split("|")
    assert (fits, whole, background) == ("true", "true", colour)
    assert int(commands) == int(buttons) > 0


def test_the_page_is_printed(folder: Path) -> None:
    browse(folder, f"--print-to-pdf={folder / 'report.pdf'}", "--no-pdf-header-footer")
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF-")
