# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The list of what is not reached: how much of which function, and who reaches it, or why
nobody does.

An entry is a line:

    FILE FUNCTION LINES BRANCHES BY [REASON]

BY is what reaches so many lines and ways of branches of the function that the fast suite does
not: "nodes" (--nodes) or "faults" (--faults); or "nobody", with the reason; or "newer": what
is built and tested with a newer ABI only, and does not count.  Numbers, because those of
lines change with every edit above them.
"""

import re

FORM = re.compile(r'(?P<file>\S+)\s+(?P<name>\S+)\s+(?P<lines>\d+)\s+(?P<ways>\d+)\s+'
                  r'(?P<by>nodes|faults|nobody|newer)(?:\s+(?P<reason>\S.*))?')
NOBODY, NEWER = 'nobody', 'newer'
UNKNOWN = '?'


class Wrong(Exception):
    """The list is not as it should be."""


class Entry:
    def __init__(self, file, name, lines, ways, by, reason=None):
        self.key = file, name
        self.lines = int(lines)
        self.ways = int(ways)
        self.by = by
        self.reason = reason

    def __str__(self):
        return f'{self.key[0]:24} {self.key[1]:36} {self.lines:3} {self.ways:3} {self.by:6} ' \
               f'{self.reason or ""}'.rstrip()


def read(path):
    """The entries of the list."""
    entries = []
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), 1):
        if not line or line.startswith('#'):
            continue
        found = FORM.fullmatch(line)
        if found is None:
            raise Wrong(f'{path}:{number}: not FILE FUNCTION LINES BRANCHES BY [REASON]')
        entry = Entry(**found.groupdict())
        if entry.by == NOBODY and entry.reason in (None, UNKNOWN):
            raise Wrong(f'{path}:{number}: no reason')
        entries.append(entry)
    return entries


def write(path, entries):
    """Anew, below the comment that it begins with."""
    text = path.read_text().splitlines() if path.exists() else []
    head = [line for line in text if not line or line.startswith('#')]
    path.write_text('\n'.join(head + sorted(map(str, entries))) + '\n')


def anew(runs, old):
    """Entries for what is missing after the first of some runs, (by, functions), and which of
    the others reaches it; reasons are those of the old entries."""
    reasons = {entry.key: (entry.by, entry.reason) for entry in old if entry.by in (NOBODY, NEWER)}
    entries = []
    for key in runs[0][1]:
        left = _missing(runs[0][1][key])
        for by, found in runs[1:]:
            after = _missing(found[key])
            entries.append(Entry(*key, *(a - b for a, b in zip(left, after)), by))
            left = after
        entries.append(Entry(*key, *left, *reasons.get(key, (NOBODY, UNKNOWN))))
    return [entry for entry in entries if entry.lines or entry.ways]


def _missing(function):
    return len(function.missing_lines()), len(function.missing_ways())


def compare(found, entries, ran):
    """What is worse than the list, as (file, text), and texts about what is better, where what
    is named in 'ran' has run beside the fast suite."""
    allowed = {key: (0, 0) for key in found}
    worse, better = [], []
    for entry in entries:
        if entry.key not in found:
            worse.append((entry.key[0], f'the list: there is no {entry.key[1]}() in {entry.key[0]}'))
        elif entry.by not in ran:
            lines, ways = allowed[entry.key]
            allowed[entry.key] = lines + entry.lines, ways + entry.ways
    for key, (lines, ways) in sorted(allowed.items()):
        missing = _missing(found[key])
        text = f'{key[0]}:{found[key].first}: {key[1]}(): {missing[0]} lines and {missing[1]} ' \
               f'branches are not reached, {lines} and {ways} in the list'
        if missing[0] > lines or missing[1] > ways:
            worse.append((key[0], text))
        elif missing != (lines, ways):
            better.append(text)
    return worse, better


def figures(found, entries, ran):
    """(reached, all) of lines and of branches; with what others reach by the list, and
    without what is newer."""
    lines, ways = _Figure(), _Figure()
    for function in found.values():
        lines.add(len(function.lines), len(function.missing_lines()))
        ways.add(len(function.ways), len(function.missing_ways()))
    for entry in entries:
        for figure, missing in ((lines, entry.lines), (ways, entry.ways)):
            if entry.by == NEWER:
                figure.add(-missing, -missing)
            elif entry.by not in (*ran, NOBODY):
                figure.add(0, -missing)
    return [(figure.all - figure.missing, figure.all) for figure in (lines, ways)]


class _Figure:
    def __init__(self):
        self.all = self.missing = 0

    def add(self, all_, missing):
        self.all += all_
        self.missing += missing
