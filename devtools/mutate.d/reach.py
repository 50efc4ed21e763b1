# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Which test reaches which line of the library.

Either a map by line, made by running each test alone on a build that counts, or the
table that is checked in (devtools/mutate.d/suites), which knows files only.  Tests come
in the order in which they are worth running: seconds for each line of the file that a
test reaches, fewest first.
"""

import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import build as builds


ATTEMPTS = 3            # of a test on a machine that may be busy


def digest(folder):
    """What the lines of a map depend on: all sources."""
    state = hashlib.sha256()
    for path in sorted(folder.rglob('*.[ch]')):
        state.update(str(path.relative_to(folder)).encode() + b'\0' + path.read_bytes())
    return state.hexdigest()[:16]


def order(seconds, lines):
    """Tests by what a reached line of the file costs; 'lines' has how many each reaches."""
    return sorted(lines, key=lambda test: (seconds[test] / lines[test], test))


class Map:
    """By line: for each file and line the tests that reach it, [] if none does."""

    def __init__(self, seconds, files):
        self.seconds = seconds
        self._files = files
        self._order = {}
        for file, lines in files.items():
            count = collections.Counter(test for tests in lines.values() for test in tests)
            self._order[file] = order(seconds, count)

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

    def table(self):
        """The same by file, as lines of the table."""
        yield from (f'{test} {seconds:.1f}' for test, seconds in sorted(self.seconds.items()))
        for file, tests in sorted(self._order.items()):
            yield f'{file}: ' + ' '.join(tests)

    def store(self, path):
        path.write_text(json.dumps({'seconds': self.seconds, 'files': self._files}))

    @classmethod
    def load(cls, path):
        data = json.loads(path.read_text())
        return cls(data['seconds'], {file: {int(line): tests for line, tests in lines.items()}
                                     for file, lines in data['files'].items()})


class Table:
    """By file, as checked in."""

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
        """A file that the table does not know is taken to be reached by all."""
        return self._order.get(place.file, sorted(self.seconds, key=self.seconds.get))

    def complaints(self, by_line):
        """What a map by line knows otherwise."""
        new = {line.split(':')[0]: set(line.split()[1:])
               for line in by_line.table() if ':' in line}
        for file in sorted(new.keys() | self._order.keys()):
            here, there = set(self._order.get(file, [])), new.get(file, set())
            if here != there:
                yield (f'{file}: reached by {" ".join(sorted(there - here)) or "no other"}, '
                       f'no longer by {" ".join(sorted(here - there)) or "none"}')


def make_map(tree, work, jobs, anew, say):
    """Build with counters, run each test alone, and ask gcov; kept until the library changes."""
    stored = work / f'reach-{digest(tree / builds.LIBRARY)}.json'
    if stored.exists() and not anew:
        return Map.load(stored)
    say('building with counters')
    build = builds.make(tree, work / 'counted', ['-Db_coverage=true', '-Ddebug=true',
                        '-Doptimization=0'], jobs)
    seconds, reached, records = {}, {}, collections.defaultdict(set)
    with tempfile.TemporaryDirectory(prefix='mutate-') as folder, \
            concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        tests = list(build.tests())
        counted = pool.map(lambda test: count(build, test, pathlib.Path(folder) / test[0]), tests)
        for (name, *_), (seconds[name], lines) in zip(tests, counted):
            say(f'{name}: {seconds[name]:.1f} s')
            reached[name] = lines
            for file, line, _ in lines:
                records[file].add(line)
    files = {file: {line: [] for line in sorted(lines)} for file, lines in records.items()}
    for name, lines in reached.items():
        for file, line, count_ in lines:
            if count_ and name not in files[file][line]:
                files[file][line].append(name)
    result = Map(seconds, files)
    result.store(stored)
    return result


def count(build, test, folder):
    """Run one test; how long it took, and triples of file, line, and whether it got there."""
    name, command, env, limit = test
    for _ in range(ATTEMPTS):
        start = time.monotonic()
        done = subprocess.run(command, env={**os.environ, **env, 'GCOV_PREFIX': str(folder)},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors='replace',
                              timeout=5 * limit, check=False)
        seconds = time.monotonic() - start
        if done.returncode == 0:
            break
    else:
        raise builds.NoBuild(f'{name} fails without a change:\n{done.stdout[-3000:]}')
    lines = set(counted_lines(build, folder))
    shutil.rmtree(folder)
    return seconds, lines


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
