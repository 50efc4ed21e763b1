#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Check the manual pages against the programs of a build folder.

Every program that is installed has a page; the page has all sections, and its options are
those that the program's --help tells, with the same words for what follows them.

Usage: check-man.py BUILD | --self-test
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from complaints import tell, tell_self_test

TREE = pathlib.Path(__file__).resolve().parent.parent
PAGES = TREE / 'doc/guides/man'

# EAL stands before the options of a program that uses it, and wants little here.
EAL = ['--no-huge', '--no-pci', '--no-telemetry', '--no-shconf', '-m', '64', '--log-level', '*:1', '--']
# Of each page how its program is called; those of a build folder, or of the tree.
PROGRAMS = {
    'dpdk-vhost': ['examples/vhost/dpdk-vhost', *EAL],
    'dpdk-vhost-crypto': ['app/vhost-crypto/dpdk-vhost-crypto', *EAL],
    'dpdk-vhost-numa': [TREE / 'usertools/dpdk-vhost-numa.py'],
}
SECTIONS = ('Synopsis', 'Description', 'Options', 'Exit status', 'Files', 'Examples', 'See also')

OPTION = re.compile(r'(--?\w[\w-]*)(?:[ =](\S+))?')
# An option's line: what it is called, then, after some space, what it does.
HELP_LINE = re.compile(r'^\s+(-.*?)(?:\s\s.*)?$', re.MULTILINE)
PAGE_LINE = re.compile(r'^\.\. option:: (.*)$', re.MULTILINE)
TITLE = re.compile(r'^(\S.*)\n(?:=+|-+)$', re.MULTILINE)


def options(lines):
    """Of each option the word for what follows it, or None."""
    return {found[1]: found[2] for line in lines for name in line.split(', ')
            if (found := OPTION.fullmatch(name.strip()))}


def page_complaints(name, page, said):
    titles = TITLE.findall(page)
    for section in SECTIONS:
        if section not in titles:
            yield f'{name}: the page has no section "{section}"'
    told, described = options(HELP_LINE.findall(said)), options(PAGE_LINE.findall(page))
    for option in sorted(told.keys() - described.keys()):
        yield f'{name}: {option} is not in the page'
    for option in sorted(described.keys() - told.keys()):
        yield f'{name}: {option} is not an option of the program'
    for option in sorted(told.keys() & described.keys()):
        if told[option] != described[option]:
            yield f'{name}: {option} {told[option]} is {option} {described[option]} in the page'


def help_of(command, build):
    words = [str(build / command[0]), *command[1:], '--help']
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, text=True, capture_output=True,
                              env=dict(os.environ, COLUMNS='120'), check=False)
    except FileNotFoundError as error:
        sys.exit(f'check-man: {error.filename} is not there: the build needs -Dexamples=vhost')
    if done.returncode != 0:
        yield from (f'{words[0]}: --help: {line}' for line in
                    [f'exit status {done.returncode}', *done.stderr.splitlines()])
    return done.stdout


def program_complaints(programs, pages, build):
    for name, command in programs.items():
        said = yield from help_of(command, build)
        path = pages / f'{name}.rst'
        if path.exists():
            yield from page_complaints(name, path.read_text(), said)
        else:
            yield f'{name} has no page'


def installed_complaints(programs, build):
    """Programs that would be installed without a page."""
    known = {pathlib.Path(command[0]).name for command in programs.values()}
    places = json.loads((build / 'meson-info/intro-installed.json').read_text())
    for path in sorted(map(pathlib.Path, places.values())):
        if path.parent.name == 'bin' and path.name not in known:
            yield f'{path.name} is installed and has no page'


def check(programs, pages, build):
    return [*program_complaints(programs, pages, build), *installed_complaints(programs, build)]


MADE_UP = '''#!/bin/sh
cat <<END
usage: made-up [-h] [--size BYTES]

  --size BYTES, -s BYTES  how much
  --unit UNIT             of what
  --quiet                 say nothing
	--new 0|1
		as tabs have it
END
'''
MADE_UP_PAGE = '''
made-up
=======

Synopsis
--------

Description
-----------

Options
-------

.. option:: --size BYTES, -s BYTES

   How much.

.. option:: --unit NAME

.. option:: --quiet

.. option:: --old

Files
-----

Examples
--------

See also
--------
'''
EXPECTED = '''
made-up: the page has no section "Exit status"
made-up: --new is not in the page
made-up: --old is not an option of the program
made-up: --unit UNIT is --unit NAME in the page
silent: --help: exit status 1
silent has no page
stranger is installed and has no page
'''.strip().splitlines()


def self_test():
    """Two made-up programs, and a page with known faults."""
    with tempfile.TemporaryDirectory() as folder:
        build = pathlib.Path(folder)
        for name, text in (('made-up', MADE_UP), ('silent', '#!/bin/sh\nexit 1\n')):
            (build / name).write_text(text)
            (build / name).chmod(0o755)
        (build / 'made-up.rst').write_text(MADE_UP_PAGE)
        (build / 'meson-info').mkdir()
        (build / 'meson-info/intro-installed.json').write_text(json.dumps(
            {'a': '/usr/bin/made-up', 'b': '/usr/bin/stranger', 'c': '/usr/lib/silent'}))
        complaints = check({'made-up': ['made-up'], 'silent': ['silent']}, build, build)
    return tell_self_test((line.replace(f'{folder}/', '') for line in complaints), EXPECTED)


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        sys.exit(__doc__)
    return tell(check(PROGRAMS, PAGES, pathlib.Path(sys.argv[1]).resolve()),
                f'{len(PROGRAMS)} pages have what their programs tell')


if __name__ == '__main__':
    sys.exit(main())
