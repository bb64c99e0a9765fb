"""What a command prints: a stream that can't be written costs a run neither results nor files."""

import contextlib
import os
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TextIO, cast


class _Output:
    """A stream that remembers the first error of writing, and drops what can't be written.

    A reader that has closed the pipe, such as ``head``, has what it wanted: that is no error.
    Characters that the stream's encoding lacks are written as escapes such as \\u2264.
    """

    def __init__(self, stream: Any) -> None:
        self.problem: str | None = None
        self._closed = stream is None  # Python's stdout is None if it was closed from the start
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115

    def write(self, text: str) -> int:
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding
                self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError) as problem:
            self._drop(problem)
        if self._closed:
            self.problem = "it is closed"
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as problem:
            self._drop(problem)

    def _drop(self, problem: OSError | ValueError) -> None:
        """Remember the problem, and write what is buffered and all that follows to nowhere."""
        if not isinstance(problem, BrokenPipeError):
            self.problem = self.problem or getattr(problem, "strerror", None) or str(problem)
        # Else Python tries again at its end, and fails.
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def reporting_stdout() -> Iterator[None]:
    """Let the block finish even if stdout can't be written; then end in one line and exit code 2.

    If the reader of a pipe has closed it, the block finishes too, and nothing is said about it. If
    the block itself ends with an exit code other than 0, or with an error, that is kept.
    """
    output = _Output(sys.stdout)
    stop: SystemExit | None = None
    with contextlib.redirect_stdout(cast(TextIO, output)):
        try:
            yield
        except SystemExit as found:
            stop = found
        output.flush()
    if output.problem and not (stop and stop.code):
        say_on_stderr(f"error: stdout can't be written ({output.problem}); all files are")
        raise SystemExit(2)
    if stop:
        raise stop


def say_on_stderr(line: str) -> None:
    """Print a line to stderr, if it can be written."""
    if sys.stderr is None:  # it was closed from the start: print would write to stdout
        return
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def stop_in_one_line() -> None:
    """Let Ctrl-C end this process in one line, for the imports of a script, which take seconds.

    ``launch`` says more, from where it is called on.
    """
    sys.excepthook = _report_uncaught


def _report_uncaught(
    kind: type[BaseException], problem: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        say_on_stderr("\nstopped before it began")
    else:
        sys.__excepthook__(kind, problem, traceback)
