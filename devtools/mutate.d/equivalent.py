# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The list of mutants that change nothing a test could see, each with the reason.

    file.c function kind: the line
        why

means every place of that kind on such lines of that function; with "kind 2" only the
second on the line.
"""

import dataclasses
import re

HEAD = re.compile(r'(\S+) (\w+|-) (\w+)(?: (\d+))?: (.+)')


@dataclasses.dataclass(frozen=True)
class Entry:
    file: str
    function: str
    kind: str
    nth: int                # 0: all
    text: str

    def matches(self, place):
        return ((self.file, self.function, self.kind, self.text) ==
                (place.file, place.function or '-', place.kind, place.text) and
                self.nth in (0, place.nth))


def read(path):
    """The entries of the list, with their reasons."""
    entries, entry = {}, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        if line[0].isspace() and entry is not None:
            entries[entry] = (entries[entry] + ' ' + line.strip()).strip()
            continue
        match = HEAD.fullmatch(line)
        if match is None:
            raise ValueError(f'{path.name}:{number}: "file function kind: line" is missing')
        file, function, kind, nth, text = match.groups()
        entry = Entry(file, function, kind, int(nth or 0), text)
        entries[entry] = ''
    return entries


def complaints(entries, places_of):
    """What is wrong with the list: 'places_of' gives the places of a file."""
    for entry, reason in entries.items():
        where = f'{entry.file} {entry.function} {entry.kind}: {entry.text}'
        if not reason:
            yield f'{where}: has no reason'
        if not any(entry.matches(place) for place in places_of(entry.file)):
            yield f'{where}: there is no such place'
