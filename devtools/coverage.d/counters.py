# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What clang's counters say of the source: which lines ran, which ways branches went.

The counters are in a file that the program maps, so that none are lost with a process that
is killed, and those of children are their parent's.
"""

import collections
import json
import os
import pathlib
import re
import shutil
import subprocess

COMPILE = '-fprofile-instr-generate -fcoverage-mapping'
# The counters have to be where the program looks for them, not where the linker has put them.
RELOCATE = '-mllvm -runtime-counter-relocation=true'
FLAGS = f'{COMPILE} {RELOCATE}'
# A file for each process, mapped.
PATTERN = '%p%c.profraw'


class Failure(Exception):
    """It could not be measured."""


def run(command, **more):
    done = subprocess.run([str(word) for word in command], check=False, **more)
    if done.returncode != 0:
        raise Failure(f'{" ".join(map(str, command))}: exit status {done.returncode}')
    return done


def llvm(name):
    """A program of the same version as the compiler."""
    said = run(['clang', '--version'], capture_output=True, text=True).stdout
    version = re.search(r'version (\d+)', said).group(1)
    found = shutil.which(f'{name}-{version}') or shutil.which(name)
    if found is None:
        raise Failure(f'no {name}: install it (devtools/setup-debian does)')
    return found


class Function:
    """One function of the source, whatever the compiler has made of it."""

    def __init__(self, file, name, first=0, last=0):
        self.file = file
        self.name = name
        self.first = first
        self.last = last
        self.lines = collections.Counter()  # number: how often
        self.ways = collections.Counter()   # (line, column, which way): how often

    def add(self, other):
        """What another run has reached of it; another program may see places that are none here."""
        self.first, self.last = self.first or other.first, self.last or other.last
        for mine, others in ((self.lines, other.lines), (self.ways, other.ways)):
            anew = not mine
            for place, count in others.items():
                if anew or count or place in mine:
                    mine[place] += count

    def missing_lines(self):
        return sorted(number for number, count in self.lines.items() if count == 0)

    def missing_ways(self):
        return sorted(way for way, count in self.ways.items() if count == 0)


def merged(*runs):
    """All that some runs have reached: what functions() returns, of each."""
    found = {}
    for reached in runs:
        for key, function in reached.items():
            found.setdefault(key, Function(*key)).add(function)
    return found


def functions(program, profiles, source):
    """The functions of a folder of sources by file and name, as processes that left their
    counters in the folder profiles have run them."""
    data = _exported(program, profiles, source)
    found = {}
    for (file, name), records in _by_place(data['functions'], source).items():
        function = found.setdefault((file, name), Function(file, name))
        for record in records:
            _add_record(function, record)
    by_file = collections.defaultdict(list)
    for function in found.values():
        by_file[function.file].append(function)
    for file in data['files']:
        path = pathlib.Path(file['filename']).resolve()
        counts = _line_counts(file['segments']) if path.is_relative_to(source) else {}
        for function in by_file[str(path.relative_to(source))] if counts else ():
            function.lines.update({number: counts[number] for number in
                                   range(function.first, function.last + 1) if number in counts})
    return found


def _exported(program, profiles, source):
    files = sorted(profiles.glob('*.profraw'))
    if not files:
        raise Failure(f'no counters in {profiles}')
    names = profiles / 'names'
    names.write_text('\n'.join(map(str, files)) + '\n')
    run([llvm('llvm-profdata'), 'merge', '--sparse', '--failure-mode=all',
         f'--input-files={names}', '--output', profiles / 'all.profdata'])
    said = run([llvm('llvm-cov'), 'export', program, '--instr-profile', profiles / 'all.profdata',
                source], stdout=subprocess.PIPE).stdout
    return json.loads(said)['data'][0]


def _by_place(records, source):
    """Those of one function, whose name may have the instruction set at its end: by file and
    what the names have in common."""
    places = collections.defaultdict(list)
    for record in records:
        path = pathlib.Path(record['filenames'][0]).resolve()
        if path.is_relative_to(source):
            places[str(path.relative_to(source)), record['regions'][0][0]].append(record)
    found = {}
    for (file, _), here in places.items():
        name = os.path.commonprefix([record['name'].split(':')[-1] for record in here])
        found.setdefault((file, name.rstrip('_')), []).extend(here)
    return found


def _add_record(function, record):
    """One of the shapes that the compiler has given a function.

    A branch in a macro is the macro's, and no decision of the function.
    """
    function.first, _, function.last = record['regions'][0][:3]
    for line, column, _, _, yes, no, file_id, _, _ in record['branches']:
        if file_id == 0:
            function.ways[line, column, 'true'] += yes
            function.ways[line, column, 'false'] += no


def _line_counts(segments):
    """How often each line ran, from where counts change in a file; as llvm-cov show has it."""
    counts = {}
    wrapped = None
    by_line = collections.defaultdict(list)
    for segment in segments:
        by_line[segment[0]].append(segment)
    for number in range(segments[0][0], segments[-1][0] + 1) if segments else ():
        here = by_line.get(number, [])
        entries = [count for _, _, count, has, entry, gap in here if has and entry and not gap]
        skipped = bool(here) and not here[0][3] and here[0][4]
        if not skipped and (entries or (wrapped and wrapped[3])):
            counts[number] = max([wrapped[2] if wrapped and wrapped[3] else 0, *entries])
        if here:
            wrapped = here[-1]
    return counts
