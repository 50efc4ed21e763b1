#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What the vhost library of a folder is called, and what goes with it.

The number in librte_vhost.so.NN, the library's ABI, is that of the DPDK it was built
against: this is the only place where scripts learn it.  As a program, for shell scripts:

    vhost_library.py FOLDER              print the name, librte_vhost.so.NN
    vhost_library.py --drivers FOLDER    print the folder of the drivers for it
    vhost_library.py --used PID FOLDER   fail unless the process PID has it loaded from there
"""

import glob
import os
import re
import sys

PACKAGED = '/usr/lib/x86_64-linux-gnu'


class NoLibrary(Exception):
    """There is no vhost library in the folder; the text says so."""


def library_name(folder):
    """The name under which programs load the library of a folder."""
    names = [name for name in map(os.path.basename,
                                  glob.glob(os.path.join(folder, 'librte_vhost.so.*')))
             if re.fullmatch(r'librte_vhost\.so\.\d+', name)]
    if len(names) != 1:
        raise NoLibrary(f'{len(names) or "no"} librte_vhost.so.NN in {folder}')
    return names[0]


def need_built(parser, build, *programs):
    """End with one line unless the build folder has these programs; of an argparse parser."""
    for program in programs:
        if not os.path.isfile(os.path.join(build, program)):
            parser.error(f'{build} has no {program}: "ninja -C {build}" makes it')


def library_abi(folder=PACKAGED):
    """NN of librte_vhost.so.NN; without a folder, of the packaged one."""
    return library_name(folder).rpartition('.')[2]


def driver_folder(abi=None):
    """Where EAL of that ABI looks for its drivers; without one, that of the packaged EAL."""
    return f'{PACKAGED}/dpdk/pmds-{abi or library_abi()}.0'


def mapped_libraries(pid):
    """The files of vhost libraries in a process's map: what it really uses."""
    with open(f'/proc/{pid}/maps') as maps:
        paths = {line.split(maxsplit=5)[5].rstrip('\n') for line in maps if '/' in line}
    return sorted(path for path in paths
                  if os.path.basename(path).startswith('librte_vhost.so'))


def check_used(pid, folder):
    """NoLibrary unless the one vhost library of a process is that of the folder.

    A loader that finds none in LD_LIBRARY_PATH takes the packaged one without a word.
    """
    wanted = os.path.realpath(os.path.join(folder, library_name(folder)))
    mapped = mapped_libraries(pid)
    if [os.path.realpath(path) for path in mapped] != [wanted]:
        raise NoLibrary(f'process {pid} shall use {wanted}, but has '
                        f'{", ".join(mapped) or "no vhost library"}')


def main():
    try:
        match sys.argv[1:]:
            case ['--drivers', folder]:
                print(driver_folder(library_abi(folder)))
            case ['--used', pid, folder]:
                check_used(pid, folder)
            case [folder] if not folder.startswith('-'):
                print(library_name(folder))
            case _:
                sys.exit(__doc__)
    except (NoLibrary, OSError) as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
