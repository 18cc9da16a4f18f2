"""Signals: which exception, which exit code, and what a second one does."""

import os
import signal
import subprocess
import sys

import pytest

from attnsci.interrupts import Terminated, exit_status, noted, raised, resumable


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_is_raised(number):
    usual = signal.signal(number, signal.SIG_DFL)  # nohup, for one, ignores SIGHUP
    try:
        with pytest.raises(Terminated) as stop, raised():
            os.kill(os.getpid(), number)
        assert exit_status(stop.value) == 128 + number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, usual)


def test_what_nohup_ignores_stays_ignored():
    usual = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raised(), noted() as number:
            os.kill(os.getpid(), signal.SIGHUP)
            assert number() == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, usual)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_is_noted_and_a_second_stops(number):
    with pytest.raises(KeyboardInterrupt) as stop, raised(), noted() as came:
        os.kill(os.getpid(), number)
        assert came() == number
        os.kill(os.getpid(), number)
    assert exit_status(stop.value) == 128 + number


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Terminated(number=signal.SIGHUP)])
def test_the_message_keeps_the_signal(stop):
    with (
        pytest.raises(KeyboardInterrupt, match=r"goes on from .*runs/x") as told,
        resumable("runs/x"),
    ):
        raise stop
    assert exit_status(told.value) == exit_status(stop)


def test_the_command_ends_with_143():
    code = (
        "import os, signal, sys, attnsci.cli as cli\n"
        "cli.Info.run = lambda self: os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.exit(cli.main(['info']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, "attnsci: interrupted\n")
