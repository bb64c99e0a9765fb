"""``python -m MAXCUT`` is ``python MAXCUT/main.py``."""

from MAXCUT.main import command

command()
