# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What there is to read: the files of the tree, and those of C as a build folder compiles them."""

import json
import pathlib
import re
import shlex

from running import TREE, Broken, run

# The data path is compiled once for each instruction set; these two have all branches.
VARIANTS = ('plain', 'iova_log')
# No text, or not ours to spell.
NOT_TEXT = ('.png', '.svg', '.json')
NOT_OURS = 'LICENSES/'
# Words for a compiler that are about what it writes.
OUTPUT = r'-O.|-g|-c|-M[DMP]*|-f(color-diagnostics|diagnostics-color.*)'


class Unit:
    """A file of C, with the arguments that it is compiled with, without those about output."""

    def __init__(self, entry):
        self.folder = entry['directory']
        self.path = (pathlib.Path(self.folder) / entry['file']).resolve()
        words = shlex.split(entry['command'])
        if words[0].endswith('ccache'):
            words = words[1:]
        self.flags = []
        words = iter(words[1:])
        for word in words:
            if word in ('-o', '-MF', '-MQ', '-MT'):
                next(words)
            elif word != entry['file'] and not re.fullmatch(OUTPUT, word):
                self.flags.append(word)

    def command(self, compiler, *more):
        return [compiler, *self.flags, *more, str(self.path)]


def units(build, *folders):
    """What a build folder compiles of these folders, each file as seldom as it will do."""
    path = build / 'compile_commands.json'
    if not path.exists():
        raise Broken(f'no {path}: it is made by meson setup')
    wanted = [str(TREE / folder) + '/' for folder in folders]
    found = {}
    for entry in json.loads(path.read_text()):
        variant = re.search(r'-DNET_ISA=(\w+)', entry['command'])
        variant = variant and variant.group(1)
        unit = Unit(entry)
        here = any(str(unit.path).startswith(folder) for folder in wanted)
        if here and variant in (None, *VARIANTS):
            found.setdefault((unit.path, variant), unit)
    if not found:
        raise Broken(f'{path} has nothing of {" ".join(folders)}')
    return list(found.values())


def recent(sources, most):
    """The units that have changed last, by git: of a header, the unit of its name, or else the
    first that includes it."""
    names = git('diff', '-z', '--name-only', 'HEAD')
    names += git('log', '-z', '--format=', '--name-only', '-n', '400')
    chosen = {}
    for name in dict.fromkeys(names):
        if len(chosen) < most:
            chosen.update({unit: True for unit in _units_of(TREE / name, sources)})
    return list(chosen)[:most]


def _units_of(path, sources):
    found = [unit for unit in sources if unit.path.with_suffix('') == path.with_suffix('')]
    if not found and path.suffix == '.h' and path.exists():
        line = f'#include "{path.name}"'
        found = [unit for unit in sources if line in unit.path.read_text()][:1]
    return found


def git(command, *words):
    """The names that it prints."""
    done = run(['git', '-c', 'safe.directory=*', command, *words])
    if done.returncode != 0:
        raise Broken(f'git: {done.stderr}')
    return [name for name in re.split('[\0\n]', done.stdout) if name]


def tree_files():
    names = git('ls-files', '-z', '--cached', '--others', '--exclude-standard')
    paths = [TREE / name for name in names]
    return [path for path in paths if path.is_file() and path.suffix not in NOT_TEXT
            and not str(path.relative_to(TREE)).startswith(NOT_OURS)]


def first_lines(path):
    with path.open(errors='replace') as file:
        return file.readline() + file.readline()


def is_shell(path):
    return re.match(r'#!.*\b(ba|da)?sh\b|# shellcheck shell=', first_lines(path)) is not None


def is_python(path):
    return path.suffix == '.py' or re.match(r'#!.*python3', first_lines(path)) is not None
