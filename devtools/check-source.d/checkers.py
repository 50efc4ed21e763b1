# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The checkers: what each is asked, and what it says of its subjects."""

import fnmatch
import json
import os
import pathlib
import re
import shlex
import tempfile

import layout
import subjects
from running import TREE, Broken, cores, in_parallel, program, run, said

# Of clang's static analyser, beside core, deadcode, nullability and unix, which are on anyway.
SCAN_ON = (
    'security.insecureAPI.strcpy',
    'security.insecureAPI.rand',
    'security.FloatLoopCounter',
    'optin.portability.UnixAPI',
    'alpha.core.IdenticalExpr',
    'alpha.core.SizeofPtr',
    'alpha.core.TestAfterDivZero',
    'alpha.security.ReturnPtrRange',
    'alpha.unix.PthreadLock',
    'alpha.unix.StdCLibraryFunctionArgs',
    'alpha.unix.Stream',
    'alpha.unix.cstring.BufferOverlap',
    'alpha.unix.cstring.NotNullTerminated',
)
SCAN_OFF = (
    'security.insecureAPI.DeprecatedOrUnsafeBufferHandling',    # wants memcpy_s(), which nobody has
    'alpha.unix.cstring.OutOfBounds',   # relates no two lengths, and calls memmove() across members wrong
)

# Of gcc's all, but these.
GCC_OFF = (
    'malloc-leak',      # a pointer to its first member does not count; scan-build, LeakSanitizer
    'use-of-uninitialized-value',   # forgets what memcpy() is to read; scan-build asks the same
)
# Templates of inline functions that it follows for minutes; scan-build reads them.
GCC_LEAVES = ('net_dequeue.c', 'net_enqueue.c', 'net_async_dequeue.c', 'net_async_enqueue.c')

# "information" is about cppcheck's own limits, "style" repeats clang-tidy.
CPPCHECK_KINDS = 'warning,performance,portability'
# It follows values less well than the compilers' analysers, which ask the same as these.
CPPCHECK_OFF = (
    'leakReturnValNotUsed',         # mmap(MAP_FIXED) returns what it was told
    'memleak', 'resourceLeak',      # forgets them in "ok ? it : error"
    'nullPointer', 'nullPointerRedundantCheck', 'nullPointerArithmeticRedundantCheck', # and after loops
    'overlappingWriteUnion',        # takes two members of a struct in a union for one
    'uninitvar',                    # takes the loops of queue.h for such that may end at once
    'CastIntegerToAddressAtReturn',     # takes a pointer to a function for a number
    'invalidFunctionArg',           # knows no SEEK_DATA
    'invalidPrintfArgType_uint',    # wants no %u for a uint16_t; -Wformat has what is wrong
    'readdirCalled',                # readdir_r() is what is not to be used any more
)
# It reads no headers of the system; without these it cannot read ours.
CPPCHECK_HEADERS = ('/usr/include/x86_64-linux-gnu/sys/queue.h',
                    '/usr/include/x86_64-linux-gnu/dpdk/rte_build_config.h',
                    TREE / 'devtools/check-source.d/cppcheck.h')

# Words that are right, with the reason; see --ignore-words-list of codespell.
WORDS = {
    'inflight': "a name of the vhost-user protocol and of DPDK's API",
    'upto': 'a parameter: how much shall have been received',
}
# Escapes of C strings are not part of the word that follows.
NOT_WORDS = r'\\[nrt]'

# Of the summary of reuse's complaints.
REUSE_SUMS = re.compile(r'\* (Bad|Deprecated|Missing|Unused|Used) licenses:|'
                        r'\* Licenses without file extension:|\* Read errors:|\* Files with ')

# How each checker is told on a line not to complain; a reason has to follow on that line.
SILENCERS = re.compile(
    r'(?://|/\*|#)\s*(?:NOLINT\w*(?:\([\w.,-]+\))?|cppcheck-suppress(?:-\w+)?\s*\S+|'
    r'shellcheck\s+(?:disable|source|shell)=\S+)(?P<reason>.*)|'
    r'#pragma GCC diagnostic ignored "-Wanalyzer[\w-]+"(?P<gcc>.*)|'
    r'^#ifn?def __clang_analyzer__(?P<clang>.*)|'
    r'^\s+VHOST_GIVEN\(.*\);(?P<given>.*)')
REASON = re.compile(r'\s*(?:[:;#]|/\*|//)?\s*\w+\W+\w+')


def database(folder, sources, compiler):
    """Write compile_commands.json for these alone."""
    entries = [{'directory': unit.folder, 'file': str(unit.path),
                'command': shlex.join(unit.command(compiler, '-c'))} for unit in sources]
    (folder / 'compile_commands.json').write_text(json.dumps(entries))


def clang_tidy(sources):
    tidy = program('clang-tidy')
    # of what is compiled twice the first is enough
    sources = list({unit.path: unit for unit in reversed(sources)}.values())

    def check(unit):
        return said(run([tidy, '--quiet', f'--config-file={TREE}/.clang-tidy', unit.path, '--',
                         *unit.flags], unit.folder), tidy, unit.folder)

    return sum(in_parallel(check, sources), [])


def scan_build(sources):
    """clang's static analyser as scan-build calls it, without the compiling beside it."""
    clang = program('clang')
    options = [word for name in SCAN_ON for word in ('-Xclang', f'-analyzer-checker={name}')]
    options += [word for name in SCAN_OFF
                for word in ('-Xclang', f'-analyzer-disable-checker={name}')]
    options += ['-fno-color-diagnostics', '-fno-caret-diagnostics']

    def check(unit):
        done = run(unit.command(clang, '--analyze', '--analyzer-output', 'text', *options), unit.folder)
        return said(done, clang, unit.folder)

    return sum(in_parallel(check, sources), [])


def gcc_analyzer(sources):
    gcc = program('gcc')
    options = ['-fanalyzer', '-fdiagnostics-plain-output', '-c', '-o', '/dev/null', '-DVHOST_ANALYSIS',
               *(f'-Wno-analyzer-{name}' for name in GCC_OFF)]

    def check(unit):
        return said(run(unit.command(gcc, *options), unit.folder), gcc, unit.folder)

    return sum(in_parallel(check, [unit for unit in sources if unit.path.name not in GCC_LEAVES]), [])


def cppcheck(sources):
    checker = program('cppcheck')
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        database(folder, sources, 'gcc')
        done = run([checker, f'--project={folder}/compile_commands.json', f'--enable={CPPCHECK_KINDS}',
                    '--inline-suppr', '--quiet', '--library=posix,gnu,bsd', '--error-exitcode=1',
                    '--template={file}:{line}: {severity}: {message} [{id}]', '-j', cores(),
                    *(f'--include={header}' for header in CPPCHECK_HEADERS),
                    *(f'--suppress={name}' for name in CPPCHECK_OFF)])
    return said(done, checker)


def codespell(paths):
    speller = program('codespell')
    done = run([speller, '--ignore-words-list', ','.join(WORDS), '--ignore-regex', NOT_WORDS, *paths])
    if done.returncode not in (0, 65):
        raise Broken(f'{speller}: {done.stderr}')
    return [line for line in done.stdout.splitlines() if line]


def shellcheck(paths):
    checker = program('shellcheck')
    done = run([checker, '--format=gcc', *paths])
    found = done.stdout.splitlines()
    if done.returncode != 0 and not found:
        raise Broken(f'{checker}: {done.stderr}')
    return found


def pyflakes(paths):
    checker = program('pyflakes3')
    done = run([checker, *paths])
    found = (done.stdout + done.stderr).splitlines()
    if done.returncode != 0 and not found:
        raise Broken(f'{checker}: exit status {done.returncode}')
    return found


def reasons(paths):
    """What is silenced without one."""
    found = []
    for path in paths:
        for number, line in enumerate(path.read_text(errors='replace').splitlines(), 1):
            silenced = SILENCERS.search(line)
            if silenced and not REASON.match(''.join(filter(None, silenced.groups()))):
                found.append(f'{path}:{number}: silenced without a reason: {line.strip()}')
    return found


def folder_of(paths):
    """The tree, or where the file of a self-test is."""
    return paths[0].parent if len(paths) == 1 else pathlib.Path(os.path.commonpath(paths))


def maintainers(paths):
    """Lines of MAINTAINERS without files, and files without a line."""
    root = folder_of(paths)
    names = [str(path.relative_to(root)) for path in paths]
    found, covered = [], set()
    lines = (root / 'MAINTAINERS').read_text().splitlines()
    # what the letters mean comes before the first title
    begin = next((number for number, line in enumerate(lines, 1) if line.startswith('---')), 0)
    for number, line in enumerate(lines, 1):
        if number <= begin or not line.startswith('F: '):
            continue
        pattern = line.removeprefix('F: ')
        pattern += '*' if pattern.endswith('/') else ''
        matching = set(fnmatch.filter(names, pattern))
        # what no other checker reads
        if not matching and not any(root.glob(pattern)):
            found.append(f'MAINTAINERS:{number}: nothing is {pattern}')
        covered |= matching
    return found + [f'{name}: no line of MAINTAINERS has it' for name in names if name not in covered]


def reuse(paths):
    """Files of which nobody can tell the licence or the holder of the copyright."""
    checker = program('reuse')
    # It reads a whole tree, and knows by git what belongs to it, whoever owns the tree.
    root = folder_of(paths)
    done = run(['env', 'GIT_CONFIG_COUNT=1', 'GIT_CONFIG_KEY_0=safe.directory',
                'GIT_CONFIG_VALUE_0=*', checker, '--root', root, 'lint'])
    found = []
    for line in done.stdout.splitlines():
        if line.startswith('# '):
            kind = line.lower()
        elif line.startswith('The following files have no '):
            kind = 'no ' + line.removeprefix('The following files have no ').rstrip(':')
        elif line.startswith('* ') and not REUSE_SUMS.match(line):
            name = line[2:].removeprefix(f'{root}/')
            found.append(f'{name}: {kind.removeprefix("# ")}')
    if done.returncode != 0 and not found:
        raise Broken(f'{checker}: {done.stdout}{done.stderr}')
    return found


CODE = ('lib/librte_vhost', 'examples/vhost')
# Those that read C as it is compiled.
COMPILED = ('clang-tidy', 'scan-build', 'gcc', 'cppcheck')


def code(build):
    return subjects.units(build, *CODE)


def code_and_tests(build):
    return subjects.units(build, *CODE, 'app')


def files(_build):
    return subjects.tree_files()


def shell_files(_build):
    return [path for path in subjects.tree_files() if subjects.is_shell(path)]


def python_files(_build):
    return [path for path in subjects.tree_files() if subjects.is_python(path)]


def c_files(_build):
    return [path for path in subjects.tree_files() if path.suffix in ('.c', '.h')
            and str(path.relative_to(TREE)).startswith(CODE)]


# What each reads, of a build folder or of the tree.
CHECKERS = {
    'clang-tidy': (clang_tidy, code),
    'scan-build': (scan_build, code),
    'gcc': (gcc_analyzer, code),
    'cppcheck': (cppcheck, code_and_tests),
    'codespell': (codespell, files),
    'shellcheck': (shellcheck, shell_files),
    'pyflakes': (pyflakes, python_files),
    'reasons': (reasons, files),
    'reuse': (reuse, files),
    'maintainers': (maintainers, files),
    'clang-format': (layout.findings, c_files),
}
