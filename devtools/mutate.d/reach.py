# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Which test reaches which line of the library.

Either a map by line, made by running each test alone on a build that counts, or the
table that is checked in (devtools/mutate.d/suites), which knows files only.  Tests come
in the order in which they are worth running: seconds for each line of the file that a
test reaches, fewest first, and a test that is named like the file costs an eighth.
"""

import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import build as builds


MOST_LISTED = 8         # tests of a file in the table
ATTEMPTS = 3            # of a test on a machine that may be busy
# What most tests reach, one is there for.
NAMESAKES_ARE_CHEAPER = 8
NO_NAMES = {'vhost', 'autotest', 'packed'}


def digest(folder):
    """What the lines of a map depend on: all sources."""
    state = hashlib.sha256()
    for path in sorted(folder.rglob('*.[ch]')):
        state.update(str(path.relative_to(folder)).encode() + b'\0' + path.read_bytes())
    return state.hexdigest()[:16]


def words(name):
    return set(re.findall('[a-z]+', name)) - NO_NAMES


def order(file, seconds, lines):
    """Tests by what a reached line of the file costs; 'lines' has how many each reaches."""
    subject = words(file.rsplit('.', 1)[0])

    def price(test):
        cheaper = NAMESAKES_ARE_CHEAPER if words(test) & subject else 1
        return seconds[test] / lines[test] / cheaper

    return sorted(lines, key=lambda test: (price(test), test))


class Map:
    """By line: for each file and line the tests that reach it, [] if none does."""

    def __init__(self, runs):
        """Of each test how long it took, and by file the lines with whether it reached them."""
        self.seconds = {test: run['seconds'] for test, run in runs.items()}
        self._files = files = collections.defaultdict(lambda: collections.defaultdict(list))
        for test, run in runs.items():
            for file, lines in run['lines'].items():
                for line, is_reached in lines.items():
                    files[file][int(line)] += [test] if is_reached else []
        self._order = {}
        for file, lines in files.items():
            count = collections.Counter(test for tests in lines.values() for test in tests)
            self._order[file] = order(file, self.seconds, count)

    def tests(self, place):
        """The tests that reach a place, in order."""
        lines = self._files.get(place.file)
        if lines is None:       # only tests use it
            return sorted(self.seconds, key=self.seconds.get)
        if not place.function:
            return self._order.get(place.file, [])
        for line in (place.line, place.first_line):
            if line in lines:
                return [test for test in self._order[place.file] if test in lines[line]]
        # of several lines some have no code of their own
        above = [line for line in lines if line <= place.line]
        reach = lines[max(above)] if above else []
        return [test for test in self._order.get(place.file, []) if test in reach]

    def files(self):
        """Files that a test reaches."""
        return {file for file, tests in self._order.items() if tests}

    def tests_of(self, file):
        return self._order.get(file, [])

    def table(self):
        """The same by file, as lines of the table."""
        yield from (f'{test} {seconds:.1f}' for test, seconds in sorted(self.seconds.items()))
        for file, tests in sorted(self._order.items()):
            yield f'{file}: ' + ' '.join(tests[:MOST_LISTED])


class Table:
    """By file, as checked in: the tests that are most worth running, then all others."""

    def __init__(self, path):
        self.seconds = {}
        self._order = {}
        for line in path.read_text().splitlines():
            if line.startswith('#') or not line:
                continue
            head, _, tail = line.partition(' ')
            if head.endswith(':'):
                self._order[head[:-1]] = tail.split()
            else:
                self.seconds[head] = float(tail)

    def tests(self, place):
        listed = self._order.get(place.file, [])
        return listed + [test for test in sorted(self.seconds, key=self.seconds.get)
                         if test not in listed]

    def complaints(self, by_line):
        """What a map by line knows otherwise."""
        for file, tests in sorted(self._order.items()):
            for test in tests:
                if test in by_line.seconds and test not in by_line.tests_of(file):
                    yield f'{file}: {test} does not reach it'
        for file in sorted(by_line.files() - self._order.keys()):
            yield f'{file}: is not listed'


def make_map(tree, work, jobs, anew, say):
    """Build with counters, run each test alone, and ask gcov; kept until the library changes.

    Tests that fail, on a machine that is too busy for them, are not in it; they are tried
    again the next time.
    """
    folder = work / f'reach-{digest(tree / builds.LIBRARY)}'
    if anew:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    build = builds.make(tree, work / 'counted', ['-Db_coverage=true', '-Ddebug=true',
                        '-Doptimization=0'], jobs)
    tests = {test[0]: test for test in build.tests()}
    with tempfile.TemporaryDirectory(prefix='mutate-') as place, \
            concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(count, build, tests[name], pathlib.Path(place) / name,
                               folder / name, say)
                   for name in tests if not (folder / name).exists()]
        for future in running:
            future.result()
    return Map({name: json.loads((folder / name).read_text()) for name in tests
                if (folder / name).exists()})


def count(build, test, place, result, say):
    """Run one test, and write down how long it took and which lines it reached."""
    name, command, env, limit = test
    for _ in range(ATTEMPTS):
        start = time.monotonic()
        done = subprocess.run(command, env={**os.environ, **env, 'GCOV_PREFIX': str(place)},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors='replace',
                              timeout=5 * limit, check=False)
        seconds = time.monotonic() - start
        if done.returncode == 0:
            break
    else:
        say(f'{name} fails without a change, it is not in the map:\n{done.stdout[-500:]}')
        return
    lines = collections.defaultdict(dict)
    for file, line, is_reached in counted_lines(build, place):
        lines[file][line] = lines[file].get(line, False) or is_reached
    shutil.rmtree(place)
    result.with_suffix('.new').write_text(json.dumps({'seconds': seconds, 'lines': lines}))
    result.with_suffix('.new').rename(result)
    say(f'{name}: {seconds:.1f} s')


def counted_lines(build, folder):
    counts = [path for path in folder.rglob('*.gcda')
              if '.a.p' in str(path)]       # of the library, not of the tests
    for path in counts:
        notes = (pathlib.Path('/') / path.relative_to(folder)).with_suffix('.gcno')
        path.with_suffix('.gcno').symlink_to(notes)
    said = subprocess.run(['gcov', '--json-format', '--stdout', *counts], cwd=build.folder,
                          text=True, capture_output=True, check=True).stdout
    for document in said.splitlines():
        for file in json.loads(document)['files']:
            path = pathlib.Path(os.path.normpath(build.folder / file['file']))
            if path.is_relative_to(build.library):
                for line in file['lines']:
                    yield (str(path.relative_to(build.library)), line['line_number'],
                           line['count'] > 0)
