"""``python -m JohnsonLindenstrauss`` is ``python JohnsonLindenstrauss/main.py``."""

from JohnsonLindenstrauss.main import command

command()
