"""Being asked to stop: Ctrl-C, a scheduler's SIGTERM and a closed terminal's SIGHUP end alike."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
Handler = Callable[[int, FrameType | None], object]


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal other than Ctrl-C.

    Parameters
    ----------
    message : str
        What to tell the user.
    number : int
        The signal.
    """

    def __init__(self, message: str = "", number: int = signal.SIGTERM) -> None:
        super().__init__(message)
        self.number = number


def interrupt(number: int, message: str = "") -> KeyboardInterrupt:
    """Return the exception that stands for signal `number`."""
    return KeyboardInterrupt(message) if number == signal.SIGINT else Terminated(message, number)


def exit_status(stop: KeyboardInterrupt) -> int:
    """Return 128 and the signal's number, as shells have it.

    Examples
    --------
    >>> exit_status(KeyboardInterrupt()), exit_status(Terminated())
    (130, 143)
    """
    return 128 + (stop.number if isinstance(stop, Terminated) else signal.SIGINT)


@contextlib.contextmanager
def resumable(folder: object) -> Iterator[None]:
    """Tell whoever stops this block that the same command goes on from `folder`."""
    try:
        yield
    except KeyboardInterrupt as stop:
        number = exit_status(stop) - 128
        message = f"stopped; the same command goes on from what is saved in {folder}"
        raise interrupt(number, message) from None


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Raise `Terminated` in this block where the system would end the process without a word.

    A second signal of the same kind ends it at once.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise interrupt(number)

    with _handled(stop, [each for each in SIGNALS if signal.getsignal(each) is signal.SIG_DFL]):
        yield


@contextlib.contextmanager
def noted() -> Iterator[Callable[[], int]]:
    """Yield a function that says which signal has come, 0 while none has.

    For work that can stop only at certain places. A second signal stops at once.
    """
    came = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = number
        signal.signal(number, at_once[number])

    at_once = {each: signal.getsignal(each) for each in SIGNALS}
    # Other handlers' owners (a pool's worker) send Ctrl-C more than once.
    if at_once[signal.SIGINT] is not signal.default_int_handler:
        at_once[signal.SIGINT] = signal.SIG_IGN
    with _handled(note, SIGNALS):
        yield lambda: came


@contextlib.contextmanager
def _handled(handler: Handler, numbers: "list[int] | tuple[int, ...]") -> Iterator[None]:
    """Install `handler`, in the main thread, for signals that are not ignored (by nohup)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = {number: signal.getsignal(number) for number in numbers}
    # None: a handler that was not set from Python, and cannot be put back.
    ours = [n for n, each in usual.items() if each is not None and each is not signal.SIG_IGN]
    for number in ours:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, usual[number])
