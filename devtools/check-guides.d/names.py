# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What the pages name: files, programs with their options, steps, commands, functions."""

import fnmatch
import functools
import os
import pathlib
import re
import shlex
import subprocess
import sys

TOPS = ('app', 'buildtools', 'config', 'debian', 'devtools', 'doc', 'examples', 'lib', 'license',
        'usertools')
SOURCES = ('app', 'buildtools', 'config', 'devtools', 'examples', 'lib', 'usertools')
PATH = re.compile(r'(?:\$TREE/|\./)?((?:' + '|'.join(TOPS) + r')/[\w.*/-]*[\w*/])')
FILE_NAME = re.compile(r'[\w.*-]+\.(?:c|h|py|rst|pml|cpp|md)')
FUNCTION = re.compile(r'(\w+)\(\)')
IDENTIFIER = re.compile(r'\b(?:rte_vhost|rte_vdpa|RTE_VHOST|VHOST_USER|VHOST_F)_\w+')
TELEMETRY = re.compile(r'(?<![\w/.])/vhost(?:_switch)?/[a-z_]+')
END_OF_COMMAND = ('|', '||', '&&', ';', '&', '>', '<')

# Programs in C: the folder whose sources have their options.
IN_C = {'dpdk-vhost': 'examples/vhost', 'dpdk-vhost-crypto': 'app/vhost-crypto',
        'dpdk-test-vhost-perf': 'app/test-vhost-perf', 'dpdk-test-vhost-blk': 'app/test-vhost-blk'}
# Whose options are in files of its own.
HELP_ELSEWHERE = ('usertools/dpdk-vhost-numa.py',)
# Not ours: options by whose they are, other names with the reason.
FOREIGN_OPTIONS = {
    "EAL's": ('--file-prefix', '--force-max-simd-bitwidth', '--in-memory', '--legacy-mem',
              '--lcores', '--log-level', '--no-huge', '--no-pci', '--no-telemetry',
              '--single-file-segments', '--socket-limit', '--socket-mem', '--trace',
              '--trace-bufsz', '--trace-dir', '--trace-mode', '--vdev'),
    "testpmd's": ('--numa', '--port-numa-config', '--total-num-mbufs', '--nb-cores'),
    "meson's": ('--prefix',),
}
FOREIGN_NAMES = {
    'dpdk-telemetry-exporter.py': "DPDK's, from 24.11 on",
    'dpdk-telemetry.py': "DPDK's",
    'examples/vhost/build': 'made by make',
    'app.c': "the reader's own",
    'follow.c': "the reader's own",
    'lib/x86_64-linux-gnu': 'of an installation, below its prefix',
}


class Tree:
    """What there is in the tree."""

    def __init__(self, folder):
        self.folder = folder
        self.files = set()
        for root, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if name not in ('.git', '__pycache__') and
                          not (pathlib.Path(root) == folder and name.startswith('build-')) and
                          not (pathlib.Path(root, name, 'build.ninja')).exists()]
            self.files |= {os.path.relpath(os.path.join(root, name), folder)
                           for name in files + folders}
        self.base_names = {os.path.basename(path) for path in self.files}

    @functools.cached_property
    def text(self):
        """Of all sources, one after the other; the guides are none, nor is this program."""
        return '\n'.join((self.folder / path).read_text(errors='replace')
                         for path in sorted(self.files)
                         if path.startswith(tuple(top + '/' for top in SOURCES)) and
                         not path.startswith('devtools/check-guides') and
                         '/seeds/' not in path and (self.folder / path).is_file() and
                         os.path.splitext(path)[1] in ('', '.c', '.h', '.py', '.build'))

    @functools.cached_property
    def identifiers(self):
        return set(re.findall(r'\w+', self.text))

    @functools.cached_property
    def telemetry(self):
        """Commands that are registered, here with a call, there in a table."""
        return set(re.findall(r'(?:register_cmd\(|\{ )"(/vhost[\w/]+)"', self.text))

    @functools.cached_property
    def steps(self):
        sys.path.insert(0, str(self.folder / 'devtools/test.d'))
        import steps
        return [step.name for step in steps.steps(pathlib.Path('build'), steps.DISTROS)]

    @functools.lru_cache(maxsize=None)
    def help_of(self, program):
        """What a program says of its options: its help, else its own text."""
        path = self.folder / program
        text = path.read_text(errors='replace')
        # some do what they do whatever they are told
        if '--help' not in text and 'argparse' not in text and program not in HELP_ELSEWHERE:
            return text
        done = subprocess.run([path, '--help'], capture_output=True, text=True, timeout=120,
                              check=False, stdin=subprocess.DEVNULL, cwd=self.folder)
        return done.stdout + done.stderr

    def has_path(self, name):
        name = name.rstrip('/')
        return name in self.files if '*' not in name else bool(fnmatch.filter(self.files, name))

    def has_file_name(self, name):
        return bool(fnmatch.filter(self.base_names, name)) or \
            any(os.path.exists(f'/usr/include/{folder}{name}') for folder in ('', 'dpdk/', 'linux/'))

    def has_option(self, program, option):
        if program in IN_C:
            sources = [path for path in self.files if path.startswith(IN_C[program] + '/') and
                       path.endswith(('.c', '.h'))]
            return any(f'"{option[2:]}"' in (self.folder / path).read_text() or
                       f'"{option}' in (self.folder / path).read_text() for path in sources)
        return re.search(re.escape(option) + r'(?![\w-])', self.help_of(program)) is not None

    @functools.cached_property
    def programs(self):
        """Programs whose options can be asked for."""
        return {path for path in self.files
                if re.fullmatch(r'devtools/[\w.-]+|usertools/[\w.-]+\.py|buildtools/check-abi\.py|'
                                r'app/test/\w+/(run|speed)|doc/models/run', path) and
                (self.folder / path).is_file() and os.access(self.folder / path, os.X_OK)}

    def program_of(self, token):
        """The program that a word of a command is, or None."""
        if os.path.basename(token) in IN_C:
            return os.path.basename(token)
        token = re.sub(r'^(?:\./|\$TREE/)', '', token)
        if f'usertools/{token}' in self.programs:
            return f'usertools/{token}'
        return token if token in self.programs else None


def words_of(command):
    """A command's words; what no shell would read is cut at spaces."""
    try:
        return shlex.split(command, comments=True)
    except ValueError:
        return command.split()


def option_complaints(tree, command):
    """Options that the programs of a command line do not have."""
    program, behind_dashes, words = None, False, words_of(command)
    for place, word in enumerate(words):
        if word in END_OF_COMMAND:
            program = None
        elif tree.program_of(word):
            program, behind_dashes = tree.program_of(word), False
        elif word == '--':
            # EAL's options come before, the program's behind; of ours, another command
            behind_dashes = True
            program = program if program in IN_C else None
        elif program and re.match(r'--[a-z]', word) and (program not in IN_C or behind_dashes):
            option = re.match(r'--[\w-]+', word)[0]
            if not tree.has_option(program, option):
                yield f'{program} has no option {option}'
            text = words[place + 1] if place + 1 < len(words) else ''
            if program == 'devtools/test' and option == '--only' and \
                    not any(text in step for step in tree.steps):
                yield f'devtools/test has no step "{text}"'


def lone_option_complaints(tree, text):
    """An option that is named without a program: is it of any?"""
    option = re.match(r'--[a-z][\w-]*', text)
    if option and not any(option[0] in theirs for theirs in FOREIGN_OPTIONS.values()) and \
            not any(tree.has_option(program, option[0])
                    for program in sorted(tree.programs) + list(IN_C)):
        yield f'no program of the tree has the option {option[0]}'


def name_complaints(tree, text):
    """Of a text that is set as code: files, functions, commands that are not there."""
    for found in PATH.finditer(text):
        before = text[:found.start()]
        if (not before or before[-1] in ' \'"(=') and found[1] not in FOREIGN_NAMES and \
                not any(found[1].startswith(name + '/') for name in FOREIGN_NAMES) and \
                not tree.has_path(found[1]):
            yield f'there is no {found[1]}'
    if FILE_NAME.fullmatch(text) and text not in FOREIGN_NAMES and not tree.has_file_name(text):
        yield f'there is no file {text}'
    for name in IDENTIFIER.findall(text):
        known = name in tree.identifiers if not name.endswith('_') else name in tree.text
        if not known:
            yield f'the sources have no {name}'
    for name in TELEMETRY.findall(text):
        if name not in tree.telemetry:
            yield f'there is no telemetry command {name}'
    if (found := FUNCTION.fullmatch(text)) and found[1].startswith(('vhost_', 'ring_', 'net_')) and \
            found[1] not in tree.identifiers:
        yield f'the sources have no {text}'


def complaints(tree, page):
    """(line, what is wrong) of everything that a page names."""
    for word in page.words():
        wrong = [*name_complaints(tree, word.text), *option_complaints(tree, word.text),
                 *lone_option_complaints(tree, word.text)]
        yield from ((word.line, complaint) for complaint in wrong)
    for block in page.blocks:
        if block.language not in ('console', 'shell', 'bash', 'sh', 'none'):
            continue
        text = block.text.replace('\\\n', ' ')
        for line in text.splitlines():
            wrong = [*name_complaints(tree, line), *option_complaints(tree, line)]
            yield from ((block.line, complaint) for complaint in wrong)


def link_complaints(page):
    """Links that lead nowhere."""
    for link in page.links():
        root = page.path.parent
        if link.target.startswith('/'):
            root, target = next(up for up in page.path.parents if up.name == 'guides'), link.target[1:]
        else:
            # from the API reference to the guides, where both are built
            target = re.sub(r'^\.\./\.\./guides/html/(.*)\.html$', r'../guides/\1.rst', link.target)
        found = root.glob(target) if '*' in target else [root / target]
        if not any(path.exists() for path in found):
            yield link.line, f'the link to {link.target} leads nowhere'
