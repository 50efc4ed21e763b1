#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What the vhost library of a folder is called, and what goes with it.

The number in librte_vhost.so.NN, the library's ABI, is that of the DPDK it was built
against: this is the only place where scripts learn it.  As a program, for shell scripts:

    vhost_library.py FOLDER              print the name, librte_vhost.so.NN
    vhost_library.py --drivers FOLDER    print the folder of the drivers for it
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


def library_abi(folder=PACKAGED):
    """NN of librte_vhost.so.NN; without a folder, of the packaged one."""
    return library_name(folder).rpartition('.')[2]


def driver_folder(abi=None):
    """Where EAL of that ABI looks for its drivers; without one, that of the packaged EAL."""
    return f'{PACKAGED}/dpdk/pmds-{abi or library_abi()}.0'


def main():
    try:
        match sys.argv[1:]:
            case ['--drivers', folder]:
                print(driver_folder(library_abi(folder)))
            case [folder] if not folder.startswith('-'):
                print(library_name(folder))
            case _:
                sys.exit(__doc__)
    except NoLibrary as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
