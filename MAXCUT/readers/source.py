"""A file's content, unpacked within a limit, and the one line that says what is wrong with it."""

import bz2
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# 256 MiB hold 10^7 edges of a rudy file. networkx takes tenfold in memory: no bomb may have more.
MAX_BYTES = 2**28
PACKED = (".gz", ".bz2")


class MalformedGraphError(ValueError):
    """One line naming the file, where possible the line of it, and the reason."""


@dataclass(frozen=True)
class Source:
    """The unpacked bytes of a file.

    Attributes:
        name: the path as the caller wrote it.
        content: every byte of the file.
    """

    name: str
    content: bytes

    def error(
        self, reason: str, line: int | None = None, text: str | None = None
    ) -> MalformedGraphError:
        """The error to raise: ``name, line: "text": reason``, whatever characters are in it."""
        place = self.name if line is None else f"{self.name}, line {line}"
        quoted = "" if text is None else f'"{_shortened(text.strip(), 60)}": '
        message = f"{place}: {quoted}{_shortened(reason, 300)}"
        return MalformedGraphError(
            "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in message)
        )

    def text(self) -> str:
        """The content as UTF-8, or an error that names the first line that is not."""
        try:
            text = self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise self.error("the line is not UTF-8", line) from error
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            raise self.error("the line has a NUL byte: the file is not text", line)
        return text

    def uncommented_lines(self) -> Iterator[tuple[int, str]]:
        """The number and the words of each line that is not blank, without its # comment."""
        for number, line in enumerate(io.StringIO(self.text(), newline=None), start=1):
            words = line.partition("#")[0].strip()
            if words:
                yield number, words


def read_source(file: io.BufferedIOBase, path: Path) -> Source:
    """Everything in an open file, unpacked if the path ends in .gz or .bz2.

    Raises:
        ValueError: a broken or truncated stream, no content, or more than ``MAX_BYTES``.
    """
    source = Source(str(path), _read_bounded(file, str(path)))
    suffix = path.suffix.lower()
    if suffix in PACKED:
        packed = io.BytesIO(source.content)
        stream = gzip.GzipFile(fileobj=packed) if suffix == ".gz" else bz2.BZ2File(packed)
        try:
            source = Source(source.name, _read_bounded(stream, source.name))
        except (OSError, EOFError, zlib.error) as error:
            raise source.error(f"the {suffix} stream is broken: {error}") from error
    return source


def _read_bounded(stream: io.BufferedIOBase, name: str) -> bytes:
    chunks, size = [], 0
    while chunk := stream.read(2**20):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            raise Source(name, b"").error(f"the file holds more than {MAX_BYTES} bytes")
    content = b"".join(chunks)
    if not content or content.isspace():
        raise Source(name, b"").error("the file is empty")
    return content


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
