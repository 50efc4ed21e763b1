#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Have the loader look at its folders again, and say which library programs get now.

usage: tell-loader.py FOLDER NAME

The last thing that "meson install" does.  An installation that the loader does not know
looks like one that it does, so it is said in any case.
"""

import os
import shutil
import stat
import subprocess
import sys


def loaders_choice(ldconfig, name):
    """The file that the loader takes for that name, by its cache; None if it has none."""
    cache = subprocess.run([ldconfig, '-p'], capture_output=True, text=True, check=True).stdout
    for line in cache.splitlines():
        if line.split(' ', 1)[0].strip() == name:
            return line.rpartition(' => ')[2]
    return None


def say(text):
    """Where meson itself speaks: what an install script prints it shows only if that fails."""
    place = f'/proc/{os.getppid()}/fd/1'
    kind = os.stat(place).st_mode
    if stat.S_ISCHR(kind) or stat.S_ISFIFO(kind):
        with open(place, 'a') as stream:
            print(text, file=stream)


def main():
    folder, name = sys.argv[1:]
    ldconfig = shutil.which('ldconfig', path=os.environ.get('PATH', '') + ':/sbin:/usr/sbin')
    if not ldconfig:
        return
    if os.geteuid() == 0:
        subprocess.run([ldconfig], check=True)
    choice = loaders_choice(ldconfig, name)
    if choice and os.path.dirname(choice) == folder:
        say(f'Programs that start from now on load {choice}.\n'
            'The way back: ninja uninstall, and then ldconfig.')
    else:
        say(f'Programs still load {choice or "no " + name}, not that of {folder}.\n'
            f'It takes ldconfig, as root, and {folder} in /etc/ld.so.conf; '
            f'or LD_LIBRARY_PATH={folder}.')


if __name__ == '__main__':
    main()
