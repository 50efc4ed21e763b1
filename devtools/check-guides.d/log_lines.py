# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The lines that the library logs, as its sources have them, and the guide's tables of them.

A line of the sources is a level and a format, without the socket in parentheses in front.
In the guide's tables a row begins with the text as it is read in a log, with words in
capitals where the format has a conversion, and its level.  A row belongs to the format that
it matches and that has most text of its own: "%s, closing" matches much.
"""

import re

CALL = re.compile(r'\b(?P<macro>VHOST_LOG_(?:CONFIG|DATA))\s*\(')
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
PIECE = re.compile(r'\s*(?:"(?P<text>(?:[^"\\]|\\.)*)"|(?P<macro>[A-Z]\w*)(?:\s*\([^()]*\))?)')
CONVERSION = re.compile(r'%[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|z|j|t)?[diouxXcsp]|\x00')
ROW = re.compile(r'^   \* - ``(?P<text>[^\n]+?)``\n     - (?P<level>ERR|WARNING|NOTICE|INFO|DEBUG)$', re.MULTILINE)
TOLD = ('ERR', 'WARNING', 'NOTICE', 'INFO')


class Line:
    """A line that can be logged: where, at which level, in which format."""

    def __init__(self, file, number, level, text):
        self.file = file
        self.number = number
        self.level = level
        self.text = text
        parts = CONVERSION.split(text)
        self.own = sum(map(len, parts))     # characters that are the format's own
        self.pattern = re.compile('.+?'.join(map(re.escape, parts)))

    def __str__(self):
        return f'{self.file}:{self.number}: {self.level} "{CONVERSION.sub("%", self.text)}"'

    def matches(self, text):
        return self.pattern.fullmatch(text) is not None


def arguments_of(text, start):
    """The text between a parenthesis, behind which start is, and the one that closes it."""
    depth, place = 1, start
    while depth:
        found = re.compile(r'"(?:[^"\\]|\\.)*"|[()]').search(text, place)
        depth += {'(': 1, ')': -1}.get(found[0], 0)
        place = found.end()
    return text[start:place - 1]


def format_of(text):
    """The format at the start of some arguments: strings, and macros between them.

    A macro that makes up a conversion (PRIu64) ends the one that has begun; any other one
    is text that is known to the compiler only, and counts as a conversion.
    """
    whole, place = '', 0
    while found := PIECE.match(text, place):
        if found['text'] is not None:
            whole += found['text']
        elif found['macro'].startswith('PRI'):
            whole += {'x': 'x'}.get(found['macro'][3], 'u')
        else:
            whole += '\x00'
        place = found.end()
    return whole.replace('\\n', '').replace('\\t', ' ').replace('\\"', '"').removeprefix('(%s) ').strip()


def lines_of(file, text):
    """The lines of a file's calls; of a macro's own definition none."""
    for found in CALL.finditer(text):
        if text[:found.start()].endswith('#define '):
            continue
        level, _, rest = arguments_of(text, found.end()).partition(',')
        number = text.count('\n', 0, found.start()) + 1
        yield Line(file, number, level.strip(), format_of(rest))


def lines_of_library(folder):
    return [line for path in sorted([*folder.glob('*.[ch]'), *folder.glob('*/*.[ch]')])
            for line in lines_of(str(path.relative_to(folder)), path.read_text())]


def rows_of(page):
    """The rows of a page's tables of lines: (text, level)."""
    return [(row['text'], row['level']) for row in ROW.finditer(page)]


def complaints(lines, rows):
    """What the sources have and the tables have not, and the other way round."""
    claimed = set()
    for text, level in rows:
        fitting = [line for line in lines if line.matches(text)]
        if not fitting:
            yield f'no line of the library is like "{text}"'
            continue
        most = max(line.own for line in fitting)
        best = [line for line in fitting if line.own == most]
        if not any(line.level == level for line in best):
            yield f'"{text}" is no line of level {level}: {best[0]}'
        claimed |= {line.text for line in best}
    for line in lines:
        if line.level in TOLD and line.text not in claimed:
            yield f'{line} is in no table'
