# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Builds of the tree, and programs that differ from one of them by one file.

The tree is not changed: a mutant is compiled in a copy of the library's folder, only
the objects that depend on it, with the commands of the build; it is linked with all
other objects of the build.
"""

import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

LIBRARY = 'lib/librte_vhost'
ARCHIVE = 'lib/librte_vhost.a'
PROGRAM = 'app/test/dpdk-test'
# The program in which every call of the system fails once, and its copy of the library.
FAULTS = 'app/test/faults/dpdk-test-faults'
FAULTY = 'app/test/faults/libvhost_faulty.a'
# One of the faults that are like each other; seconds that a step may take.
FAULTS_PARAMS = 'like=1,patience=5'
# What nobody needs who only wants to know whether a test fails.
QUICK = ['-O1', '-g0', '-w', '-fdiagnostics-color=never']
UNCHECKED = ['-fno-sanitize=all']
# What makes the same code of the same meaning more often than other options do.
SAME = ['-O2', '-fno-tree-vectorize', *UNCHECKED]
# The data path, once for each instruction set, would take minutes to compile; its tests
# have guards of their own around what may be touched.
MOST_CHECKED = 4


class NoBuild(Exception):
    """The unchanged tree cannot be built."""


def run(command, **more):
    return subprocess.run([str(word) for word in command], text=True, capture_output=True,
                          check=False, stdin=subprocess.DEVNULL, **more)


def output(command, **more):
    done = run(command, **more)
    if done.returncode != 0:
        raise NoBuild(f'{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}')
    return done.stdout


@functools.cache
def words_of(path):
    return frozenset(re.findall(r'\w+', path.read_text(encoding='latin-1')))


@functools.cache
def prefixes_of(path):
    """What a header's macros put in front of a word to make another of it."""
    return frozenset(re.findall(r'(\w+_)\s*##', path.read_text(encoding='latin-1')))


@functools.cache
def items_of(path):
    """Names of a header's functions and macros, each with the words that it consists of."""
    text = path.read_text(encoding='latin-1')
    items = []
    for item in re.split(r'\n}\n', text):
        names = re.findall(r'^(\w+)\(', item, re.M)
        items += [(name, frozenset(re.findall(r'\w+', item))) for name in names]
    for macro in re.finditer(r'^#\s*define\s+(\w+)((?:.*\\\n)*.*)', text, re.M):
        items.append((macro.group(1), frozenset(re.findall(r'\w+', macro.group(2)))))
    return items


def make(tree, folder, options, jobs, compiler=None):
    """A build of a tree's test program in a folder, new or brought up to date."""
    again = ['--reconfigure'] if (folder / 'build.ninja').exists() else []
    env = {**os.environ, 'CC': compiler} if compiler else None
    output(['meson', 'setup', *again, folder, tree, *options], env=env)
    output(['ninja', '-C', folder, f'-j{jobs}', PROGRAM])
    return Build(tree, folder)


class Build:
    """A build whose objects are there: its commands and its tests."""

    def __init__(self, tree, folder):
        self.tree = tree
        self.folder = folder
        self.library = tree / LIBRARY
        self._units = {}        # object: (source, command)
        self._users = {}        # file below the library: its objects
        self._read_commands()
        self._read_dependencies()
        self.link = self.command(PROGRAM)
        self.pack = self.command(ARCHIVE)
        self.members = [word for word in self.pack if word.endswith('.o')]
        self._linked = {*self.members, *self.link}

    def command(self, target):
        """The words of the command that makes a target of its parts."""
        said = output(['ninja', '-C', self.folder, '-t', 'commands', '-s', target])
        return shlex.split(said.strip().splitlines()[-1])

    def _read_commands(self):
        for unit in json.loads((self.folder / 'compile_commands.json').read_text()):
            self._units[unit['output']] = (self._absolute(unit['file']),
                                           shlex.split(unit['command']))

    def _absolute(self, path):
        return pathlib.Path(os.path.normpath(self.folder / path))

    def _read_dependencies(self):
        """Which objects depend on which file of the library."""
        wanted = None
        for line in output(['ninja', '-C', self.folder, '-t', 'deps']).splitlines():
            if not line.startswith(' '):
                name = line.split(':')[0]
                wanted = name if name in self._units else None
            elif wanted:
                path = self._absolute(line.strip())
                if path.is_relative_to(self.library):
                    self._users.setdefault(str(path.relative_to(self.library)), []).append(wanted)

    def abi(self):
        """The number of the ABI, 0 if there is none."""
        path = self.folder / 'config' / 'vhost_build_config.h'
        match = path.exists() and re.search(r'#define VHOST_ABI (\d+)', path.read_text())
        return int(match.group(1)) if match else 0

    def files(self):
        """All files of the library that are part of the build."""
        return sorted(name for name, users in self._users.items()
                      if any(user in self.members for user in users))

    def objects(self, file, function=''):
        """The objects that depend on a file; of a function of a header, those that use it.

        Tests keep theirs as it was, if they are not the only users.
        """
        names = [name for name in self._users[file] if name in self._linked]
        if file.endswith('.h') and function:
            users = self._who_mentions(function)
            names = [name for name in names
                     if not users.isdisjoint(words_of(self._units[name][0]))]
        return [name for name in names if name in self.members] or names

    def _who_mentions(self, function):
        """A function of a header with the functions and macros of headers that lead to it."""
        headers = [self.library / name for name in self.files() if name.endswith('.h')]
        pasted = {prefix for path in headers for prefix in prefixes_of(path)}
        known, before = {function}, 0
        while len(known) > before:
            before = len(known)
            known.update([name.removeprefix(prefix) for name in known for prefix in pasted])
            known.update([item for path in headers for item, words in items_of(path)
                          if not known.isdisjoint(words)])
        return known

    def compile_command(self, name, library=None):
        """The words that compile an object of the build, up to where it goes."""
        words = iter(self._units[name][1])
        library = library or self.library
        result = []
        for word in words:
            if os.path.basename(word) == 'ccache' or word in ('-MD', '-c'):
                continue
            if word in ('-o', '-MQ', '-MF'):
                next(words)
            else:
                result.append(self._moved(word, library))
        return result

    def _moved(self, word, library):
        """A word of a command with its path made absolute, in another copy of the library."""
        match = re.fullmatch(r'(-I)?((?:\.\./)*(?:[\w./-]*))', word)
        if match is None or word.startswith('-') and not match.group(1):
            return word
        path = self._absolute(match.group(2))
        if match.group(1) is None and not path.is_file():
            return word
        if path.is_relative_to(self.library):
            path = library / path.relative_to(self.library)
        elif path == self.library.parent:
            path = library.parent
        return (match.group(1) or '') + str(path)

    def parse_arguments(self, file):
        """A unit that sees a file, and what libclang wants to know of its command."""
        names = [name for name in self._users[file] if name in self.members]
        name = next((name for name in names
                     if self._units[name][0] == self.library / file), names[0])
        source = self._units[name][0]
        wanted = re.compile(r'-(I|D|std=|isystem|m(avx|arch))')
        words = self.compile_command(name)
        keep = [word for word in words if wanted.match(word)]
        for at, word in enumerate(words):
            if word == '-include':
                keep += words[at:at + 2]
        return source, keep

    def tests(self):
        """Of each quick test of the program: name, command, environment, limit in seconds."""
        return self._tests(PROGRAM, 'fast-tests')

    def fault_tests(self):
        """The same of what has every call of the system fail once; makes the program."""
        output(['ninja', '-C', self.folder, FAULTS])
        for name, command, env, limit in self._tests(FAULTS, 'fault-tests'):
            yield name, command, {**env, 'DPDK_TEST_PARAMS': FAULTS_PARAMS}, limit

    def _tests(self, program, wanted):
        path = str(self.folder / program)
        for test in json.loads(output(['meson', 'introspect', '--tests', self.folder])):
            suites = [suite.split(':')[-1] for suite in test['suite']]
            if test['cmd'][0] == path and wanted in suites:
                yield test['name'], test['cmd'], test['env'], test['timeout']


class Workshop:
    """A place where one mutant after the other is made: a copy of the library's folder."""

    def __init__(self, build, folder):
        self.build = build
        self.folder = folder
        self.library = folder / LIBRARY
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(build.library, self.library)
        self._program = folder / 'dpdk-test'
        self._changed = {}      # objects of the mutant, by the name of the build's
        self._faulty = None     # its program with faults, if somebody wanted it
        self._plain = {}        # what the unchanged objects are without checks

    def uses(self, place):
        """Whether anything is compiled of it: of a header's function nobody may be the user."""
        return bool(self.build.objects(place.file, place.function))

    def make(self, place):
        """Build a mutant's program; False if it does not compile."""
        self._changed, self._faulty = {}, None
        names = self.build.objects(place.file, place.function)
        more = UNCHECKED if len(names) > MOST_CHECKED else []
        with self._change(place):
            for name in names:
                self._changed[name] = self.folder / name.replace('/', '+')
                if not self._compile(name, self._changed[name], more):
                    return False
        return self._link(self.build.link, PROGRAM, self._program)

    def program(self, original):
        """The mutant's program in place of one of the build's."""
        if pathlib.Path(original) != self.build.folder / FAULTS:
            return self._program
        self._faulty = self._faulty or self._make_faulty()
        return self._faulty

    def changes_nothing(self, place):
        """Whether a compiler makes the same of the file with and without the change."""
        names = self.build.objects(place.file, place.function)
        before = [self._unchanged(name) for name in names]
        with self._change(place):
            return before == [self._code(name) for name in names]

    def _unchanged(self, name):
        if name not in self._plain:
            self._plain[name] = self._code(name)
        return self._plain[name]

    def _code(self, name):
        path = self.folder / 'plain.o'
        self._compile(name, path, SAME)
        return path.read_bytes()

    def _change(self, place):
        return Change(self.library / place.file, place)

    def _compile(self, name, path, more=()):
        path.unlink(missing_ok=True)
        command = self.build.compile_command(name, self.library)
        return run([*command, *QUICK, *more, '-c', '-o', path],
                   cwd=self.build.folder).returncode == 0

    def _link(self, command, target, path):
        """Make a program of the build with the mutant's objects; whether it can be."""
        words = []
        for word in command:
            if word == ARCHIVE:
                words += [self._changed.get(name, name) for name in self.build.members]
            else:
                words.append(path if word == target else self._changed.get(word, word))
        path.unlink(missing_ok=True)
        fast = ['-fuse-ld=lld'] if shutil.which('ld.lld') else []
        return run([*words, *fast, '-Wl,--strip-debug'], cwd=self.build.folder).returncode == 0

    def _make_faulty(self):
        """The mutant's program of FAULTS: its archive is packed, and names in it are changed."""
        mine = {**self._changed, ARCHIVE: self.folder / 'vhost.a', FAULTY: self.folder / 'faulty.a'}
        for made in (ARCHIVE, FAULTY):
            mine[made].unlink(missing_ok=True)
        pack = self.build.pack[self.build.pack.index('&&') + 1:]    # after the old one's removal
        for command in (pack, self.build.command(FAULTY)):
            output([mine.get(word, word) for word in command], cwd=self.build.folder)
        program = self.folder / 'dpdk-test-faults'
        words = [mine.get(word, word) for word in self.build.command(FAULTS)]
        if not self._link(words, FAULTS, program):
            raise NoBuild(f'{FAULTS} of a mutant')
        return program


class Change:
    """The file is changed as long as this lives."""

    def __init__(self, path, place):
        self._path = path
        self._place = place

    def __enter__(self):
        self._text = self._path.read_text(encoding='latin-1')
        self._path.write_text(self._place.apply(self._text), encoding='latin-1')

    def __exit__(self, *_):
        self._path.write_text(self._text, encoding='latin-1')
