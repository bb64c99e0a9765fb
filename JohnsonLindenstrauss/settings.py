"""What the options of an embedding may be, for ``--help``, which imports no library."""

from typing import Literal

Estimator = Literal["exact", "sampled"]
BLOCK_SIZE = 128  # rows of the n×n matrices at a time
