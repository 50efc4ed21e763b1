#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Check that the library compiles for aarch64, and that what it refers to exists there.

Every source of lib/ is compiled with warnings as errors against Debian's own arm64
headers; then each name that is left open has to be in one of Debian's arm64 archives.
With --suite dpdk-test is built as well, and the fast suite run by qemu-aarch64 (Debian package
qemu-user); what that cannot do is listed in check-arm64.d/emulator.

The packages are fetched with apt into WORK_FOLDER and unpacked there: nothing is
installed, and the machine's list of architectures stays as it is.

The last line counts the cases; where the packages cannot be fetched it says skipped.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

TREE = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TREE / 'devtools' / 'check-arm64.d'))
import emulated

LIBRARY = TREE / 'lib' / 'librte_vhost'
TRIPLET = 'aarch64-linux-gnu'
PACKAGES = ('libdpdk-dev', 'libc6-dev', 'linux-libc-dev', 'libnuma-dev', 'libbsd-dev',
            'libgcc-12-dev')
# As in config/meson.build.
WARNINGS = tuple('''-Werror -Wall -Wextra -Wcast-qual -Wformat-security -Wmissing-declarations
    -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wshadow -Wstrict-prototypes
    -Wundef -Wvla -Wwrite-strings -Wno-address-of-packed-member
    -Wno-missing-field-initializers'''.split())
DEFINES = ('-D_GNU_SOURCE', '-DALLOW_INTERNAL_API', '-DALLOW_EXPERIMENTAL_API',
           '-DVHOST_HAS_LIBNUMA=1', '-DVHOST_BUILD_AVX2=0')
# As in lib/librte_vhost/meson.build: the folder of what an ABI has of its own.
ABI_FOLDERS = {'23': '23', '25': '25', '26': '25'}
# As in lib/meson.build: what is compiled several times, and with what.
ISA_SOURCES = ('net_dequeue.c', 'net_enqueue.c')
ISA_BUILDS = {'plain': (), 'log': ('-DNET_ISA_FLAGS=VQ_LOG',), 'iova': ('-DNET_ISA_FLAGS=VQ_IOVA',),
              'iova_log': ('-DNET_ISA_FLAGS=VQ_IOVA|VQ_LOG',)}
# Of the compiler, and made by the linker.
LINKER_NAMES = {'_GLOBAL_OFFSET_TABLE_'}


def apt(work, *words):
    """Run apt-get for arm64 with lists, cache and status of its own."""
    options = {'APT::Architecture': 'arm64', 'APT::Architectures': 'arm64',
               'Dir::State::lists': work / 'lists', 'Dir::Cache': work / 'cache',
               'Dir::State::status': work / 'status'}
    command = ['apt-get', '-q'] + [word for name, value in options.items()
                                   for word in ('-o', f'{name}={value}')]
    return subprocess.run(command + list(words), cwd=work, capture_output=True,
                          text=True, check=False)


def fetch(work, root, *words):
    """Unpack the packages that apt-get fetches with these words below root, unless they are
    there; what went wrong."""
    if root.exists():
        return None
    for folder in ('lists/partial', 'cache/archives/partial'):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / 'status').touch()
    for command in (('update',), (*words, *PACKAGES)):
        done = apt(work, *command)
        if done.returncode != 0:
            return f'apt-get {command[0]}: {done.stderr.strip()}'
    half = root.with_suffix('.new')
    for path in sorted([*work.glob('*.deb'), *(work / 'cache' / 'archives').glob('*.deb')]):
        subprocess.run(['dpkg-deb', '-x', path, half], check=True)
    half.rename(root)
    return None


def abi_of(work):
    """The number of the ABI of the packaged library."""
    link = work / 'root' / 'usr' / 'lib' / TRIPLET / 'librte_vhost.so'
    return os.readlink(link).rpartition('.')[2]


def jobs(abi):
    """Sources, each with its name and options of its own."""
    for path in sorted(LIBRARY.rglob('*.c')):
        if path.parent.parent.name == 'abi' and path.parent.name != ABI_FOLDERS[abi]:
            continue
        name = str(path.relative_to(LIBRARY)).replace('/', '_').removesuffix('.c')
        if path.name in ISA_SOURCES:
            for isa, options in ISA_BUILDS.items():
                yield path, f'{name}_{isa}', (f'-DNET_ISA={isa}', *options)
        else:
            yield path, name, ()


def write_version(work):
    """What meson would make of config/vhost_version.h.in; which version it is does not matter."""
    text = (TREE / 'config' / 'vhost_version.h.in').read_text()
    (work / 'objects' / 'vhost_version.h').write_text(text.replace('@VERSION@', '"0"'))


def compile_one(work, abi, job):
    """Compile one source: what the compiler says, empty if all is well."""
    path, name, options = job
    root = work / 'root'
    include = root / 'usr' / 'include'
    folders = [LIBRARY, LIBRARY / 'abi' / ABI_FOLDERS[abi], TREE / 'config', work / 'objects']
    folders += [path.parent for path in LIBRARY.glob('*/*.h')]
    command = [f'{TRIPLET}-gcc', f'--sysroot={root}', '-std=gnu11', '-O3', '-fPIC',
               '-march=armv8-a+crc', *WARNINGS, *DEFINES, f'-DVHOST_ABI={abi}', *options,
               *(f'-I{folder}' for folder in dict.fromkeys(folders)),
               '-isystem', include / TRIPLET, '-isystem', include / TRIPLET / 'dpdk',
               '-isystem', include / 'dpdk', '-include', 'rte_config.h',
               '-c', path, '-o', work / 'objects' / f'{name}.o']
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                          check=False)
    return '' if done.returncode == 0 else f'{path.name}:\n{done.stderr}'


def names(kind, *paths):
    """Global names that objects and archives define or leave open."""
    out = subprocess.run([f'{TRIPLET}-nm', '-g', kind, *map(str, paths)],
                         capture_output=True, text=True, check=True).stdout
    return {found[1] for found in re.finditer(r'^[0-9a-f ]*[A-Za-z] (\S+)$', out, re.MULTILINE)}


def nowhere(work):
    """Names that the library needs and neither it nor a package has."""
    objects = sorted((work / 'objects').glob('*.o'))
    lib = work / 'root' / 'usr' / 'lib'
    archives = [path for path in sorted((lib / TRIPLET).glob('*.a'))
                if path.name in ('libc.a', 'libnuma.a') or path.name.startswith('librte_')]
    archives += sorted((lib / 'gcc').rglob('libgcc.a'))
    known = names('--defined-only', *objects, *(path for path in archives
                                                if path.name != 'librte_vhost.a'))
    return sorted(names('--undefined-only', *objects) - known - LINKER_NAMES)


def compile_all(work):
    """[passed, failed] of the sources, and of the names that they refer to."""
    (work / 'objects').mkdir(exist_ok=True)
    write_version(work)
    for path in (work / 'objects').glob('*.o'):
        path.unlink()
    abi = abi_of(work)
    todo = list(jobs(abi))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [text for text in pool.map(lambda job: compile_one(work, abi, job), todo) if text]
    if not wrong:
        wrong = [f'no package for arm64 has {name}' for name in nowhere(work)]
    for text in wrong:
        print(text)
    return [max(0, len(todo) + 1 - len(wrong)), len(wrong)]


def run_suite(work):
    """[passed, failed, skipped] of the suite's cases."""
    root = work / 'suite-root'
    # programs need what the packages depend on as well
    trouble = emulated.missing() or fetch(work, root, 'install', '-y', '--download-only',
                                          '--no-install-recommends')
    if trouble:
        print(trouble)
        return [0, 0, 1]
    folder = work / 'suite'
    return emulated.run(root, folder) if emulated.build(root, folder) else [0, 1, 0]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--suite', action='store_true', help='run the fast suite as well')
    parser.add_argument('work', metavar='WORK_FOLDER', type=pathlib.Path)
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    trouble = fetch(work, work / 'root', 'download')
    if trouble:
        print(trouble)
        print('0 passed, 0 failed, 1 skipped')
        return 0
    passed, failed = compile_all(work)
    skipped = 0
    if args.suite:
        ran, wrong, skipped = run_suite(work)
        passed, failed = passed + ran, failed + wrong
    print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
