"""Link what a distribution depends on, as installed for this Python, into another environment.

    python .ci/link_dependencies.py FOLDER DISTRIBUTION

The folder is the other environment's site-packages. Nothing else of this environment is visible
there, and nothing is installed twice.
"""

import sys
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement


def dependencies(name: str) -> set[str]:
    """Everything that a distribution needs without its extras, and what that needs."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for text in distribution(waiting.pop()).requires or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if requirement.name not in found and (not marker or marker.evaluate({"extra": ""})):
                found.add(requirement.name)
                waiting.append(requirement.name)
    return found


def link(name: str, folder: Path) -> None:
    """Link a distribution's folders and modules, and its metadata."""
    installed = distribution(name)
    for top in {file.parts[0] for file in installed.files or []} - {"..", "__pycache__"}:
        if not (folder / top).exists():
            (folder / top).symlink_to(Path(str(installed.locate_file(top))).absolute())


if __name__ == "__main__":
    for each in dependencies(sys.argv[2]):
        link(each, Path(sys.argv[1]))
