# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Programs that run beside us, and waiting for what they do.

In an emulated machine timers fire late and everything takes its time, so the
scenario waits for events with generous limits and never for seconds.
"""

import subprocess
import time

INTERVAL = 0.3


class ScenarioError(Exception):
    """The scenario cannot go on; the text says why."""


class Program:
    """A child process whose output goes to a log file.

    Use it as a context manager: leaving it ends the process.
    """

    def __init__(self, name, command, log, **options):
        self.name = name
        self.log = log
        with open(log, 'ab') as file:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, **options)
        self.pid = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, patience=10):
        self._process.terminate()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def check(self):
        """Raise if the process has ended by itself."""
        if self._process.poll() is not None:
            with open(self.log, errors='replace') as file:
                tail = ''.join(file.readlines()[-15:])
            raise ScenarioError(f'{self.name} ended with status '
                                f'{self._process.returncode}:\n{tail}')


def holds_within(condition, seconds, programs=()):
    """Return condition()'s value as soon as it is true, or the last one.

    ScenarioError when one of the programs that it depends on ends.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        for program in programs:
            program.check()
        time.sleep(INTERVAL)


def wait_for(what, condition, seconds, programs=()):
    """As holds_within(), but it is an error if the condition stays false."""
    value = holds_within(condition, seconds, programs)
    if not value:
        raise ScenarioError(f'waited {seconds} s for {what}')
    return value


def output_of(command, seconds=60, **options):
    """The stdout of a short command; ScenarioError if it fails."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True,
                                timeout=seconds, **options)
    except subprocess.TimeoutExpired:
        raise ScenarioError(f'no answer in {seconds} s: {" ".join(command)}')
    if answer.returncode != 0:
        raise ScenarioError(f'{" ".join(command)}: {answer.stderr.strip()}')
    return answer.stdout
