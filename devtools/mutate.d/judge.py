# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Runs tests on mutants until one fails."""

import dataclasses
import itertools
import os
import re
import resource
import signal
import subprocess
import threading
import time

FAILED_CASE = re.compile(r'\+ case +\d+ : (.*?) +FAILED|^(?:CRASH|TIMEOUT) in .*, case (.+)$')
# What crashes before the first case, or after the last one.
NO_CASE = 'none'
# The suite of faults has children that crash on purpose.
FAILED_PARENT = re.compile(r'\+ case +\d+ : (.*?) +FAILED')
WORDS = re.compile(r'\.c:\d+: |CRASH in|TIMEOUT in|SUMMARY: \w+Sanitizer|runtime error:|'
                   r'WARNING: ThreadSanitizer')
SKIPPED = 77
OPTIONS = 'halt_on_error=1:abort_on_error=1:print_stacktrace=0'
SANITIZERS = {'ASAN_OPTIONS': OPTIONS + ':hard_rss_limit_mb=6000', 'UBSAN_OPTIONS': OPTIONS,
              'TSAN_OPTIONS': 'halt_on_error=1'}
# A mutant is let off so many tests before it is asked whether it changes anything.
BEFORE_ASKING = 3
GRACE = 20        # seconds on top of five times what a test takes


@dataclasses.dataclass
class Verdict:
    """What became of a mutant."""
    place: object
    # caught, survived, unreached; or does not count: 'same code', 'does not compile', 'equivalent'
    name: str
    test: str = ''
    case: str = ''
    why: str = ''
    tests: int = 0          # that it was run on
    seconds: float = 0
    build: str = ''         # on which it was judged at last

    @property
    def missed(self):
        return self.name in ('survived', 'unreached')

    @property
    def counts(self):
        return self.missed or self.name == 'caught'


@dataclasses.dataclass
class Outcome:
    """How a test ended."""
    passed: bool
    case: str = ''          # that failed, if it is known
    why: str = ''
    seconds: float = 0

    @property
    def hung(self):
        return self.why.startswith(('not done', 'TIMEOUT'))


def limits():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # guests of a test may be as large, in files that are nearly empty
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, 1 << 40))


class Reader:
    """Reads what a test says until its first failed case."""

    def __init__(self, failed):
        self.case = self.why = ''
        self._failed = failed       # what a failed case looks like

    def read(self, stream):
        for line in stream:
            if not self.why and WORDS.search(line):
                self.why = line.strip()[:200]
            match = self._failed.search(line)
            if match:
                case = next(filter(None, match.groups()))
                self.case = case if case != NO_CASE else ''
                return


def run_test(program, test, limit, tag, case=None, failed=FAILED_CASE):
    """Run a test by a program like its own, until it ends, or its first case has failed, or for
    too long."""
    _, command, env, _ = test
    # the prefix must differ where two run
    command = [str(program), *(word + tag if before == '--file-prefix' else word
                               for before, word in itertools.pairwise(command))]
    env = {**os.environ, **SANITIZERS, **env}
    if case:
        params = env.get('DPDK_TEST_PARAMS')
        env['DPDK_TEST_PARAMS'] = f'{params},case={case}' if params else f'case={case}'
    start = time.monotonic()
    process = subprocess.Popen(command, env=env,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors='replace',
                               start_new_session=True, preexec_fn=limits)
    late = threading.Event()
    clock = threading.Timer(limit, lambda: (late.set(), end(process)))
    clock.start()
    reader = Reader(failed)
    try:
        reader.read(process.stdout)
        if not reader.case:
            process.wait()
    finally:
        clock.cancel()
        end(process)
        process.stdout.close()
        status = process.wait()
    seconds = time.monotonic() - start
    if late.is_set():
        return Outcome(False, reader.case, f'not done after {seconds:.0f} s', seconds)
    if reader.case or status not in (0, SKIPPED):
        return Outcome(False, reader.case, reader.why or f'exit status {status}', seconds)
    return Outcome(True, seconds=seconds)


def end(process):
    """End a process of ours and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Judge:
    """Knows how each test of a build ends without a change, and how long it takes."""

    def __init__(self, name, build, seconds, patience, slower=1, faults=False):
        self.build = build
        self._name = name
        self._tests = {test[0]: test for test in build.tests()}
        more = {test[0]: test for test in build.fault_tests()} if faults else {}
        self._fault_tests = list(more)
        self._tests.update(more)
        self._seconds = seconds     # that tests take on another build
        self._slower = slower       # so many times slower is this one
        self._patience = patience   # with one mutant, in seconds; 0: without end
        self._sound = {}        # (test, case or None): its outcome on the unchanged program
        self._locks = {name: threading.Lock() for name in self._tests}

    def judge(self, place, names, workshop):
        """What becomes of a mutant whose place these tests reach, in this order."""
        start = time.monotonic()
        known = [name for name in names if name in self._tests]
        return self._sign(self._judge(place, known, workshop), start)

    def judge_again(self, place, last, workshop):
        """The same verdict as the last time, by its row of a report; None if it is not the same."""
        start = time.monotonic()
        if not workshop.uses(place):
            return None
        if last['verdict'] == 'same code' and workshop.changes_nothing(place):
            return self._sign(Verdict(place, 'same code'), start)
        if last['verdict'] == 'caught' and last['test'] in self._tests and workshop.make(place):
            name = last['test']
            failed = self._fails(workshop, name, last['case'] or None)
            if failed is not None:
                verdict = Verdict(place, 'caught', name, failed.case, failed.why, 1)
                return self._sign(verdict, start)
        return None

    def judge_by_faults(self, place, workshop):
        """The verdict if the suite of faults notices a mutant; None if it does not."""
        start = time.monotonic()
        if not (self._fault_tests and workshop.uses(place) and workshop.make(place)):
            return None
        for name in self._fault_tests:
            # how long it takes has to be known first
            failed = self._is_sound(name, None) and self._fails(workshop, name)
            if failed:
                verdict = Verdict(place, 'caught', name, failed.case, failed.why, 1)
                return self._sign(verdict, start)
        return None

    def _sign(self, verdict, start):
        verdict.build = self._name
        verdict.seconds = time.monotonic() - start
        return verdict

    def _judge(self, place, names, workshop):
        if not workshop.uses(place):
            return Verdict(place, 'same code')
        if not workshop.make(place):
            return Verdict(place, 'does not compile')
        if not names:
            same = workshop.changes_nothing(place)
            return Verdict(place, 'same code' if same else 'unreached')
        end_of_patience = time.monotonic() + self._patience
        for number, name in enumerate(names):
            failed = self._fails(workshop, name)
            if failed is not None:
                return Verdict(place, 'caught', name, failed.case, failed.why, number + 1)
            last = number + 1 == len(names) or (
                self._patience and time.monotonic() > end_of_patience)
            # not at once: what is the same on this processor TSan may know to be wrong
            if (last or number + 1 == BEFORE_ASKING) and workshop.changes_nothing(place):
                return Verdict(place, 'same code', tests=number + 1)
            if last:
                break
        left = len(names) - number - 1
        return Verdict(place, 'survived', why=f'{left} tests not run' if left else '',
                       tests=number + 1)

    def _fails(self, workshop, name, case=None):
        """How a mutant fails a test, or a case of it, that fails twice, and that passes without
        the mutant."""
        outcome = self._run(workshop, name, case)
        if outcome.passed or not self._is_sound(name, case):
            return None
        if outcome.hung and not outcome.case:
            return outcome
        again = self._run(workshop, name, outcome.case) if outcome.case else outcome
        if again.passed or not outcome.case:
            again = self._run(workshop, name, case)
        return None if again.passed else outcome

    def _is_sound(self, name, case):
        with self._locks[name]:
            if (name, case) not in self._sound:
                test = self._tests[name]
                self._sound[name, case] = run_test(test[1][0], test, 5 * test[3], 'sound', case,
                                                   self._failed(name))
            return self._sound[name, case].passed

    def unsound(self):
        return [f'{name}{f", {case}" if case else ""}: {outcome.why}'
                for (name, case), outcome in self._sound.items() if not outcome.passed]

    def _run(self, workshop, name, case=None):
        if (name, None) in self._sound:
            normal = self._sound[name, None].seconds
        else:
            normal = self._slower * self._seconds.get(name, self._tests[name][3])
        test = self._tests[name]
        return run_test(workshop.program(test[1][0]), test, 5 * normal + GRACE,
                        workshop.folder.name, case, self._failed(name))

    def _failed(self, name):
        return FAILED_PARENT if name in self._fault_tests else FAILED_CASE
