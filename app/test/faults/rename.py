#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A copy of the static library whose calls of the system go to fault_wrap.c.

Nothing that the library calls is left out without a reason: a name that is neither in
fault_calls.h nor here is an error.

usage: rename.py LIBRARY.a FAULT_CALLS.h OUTPUT.a
"""

import pathlib
import re
import subprocess
import sys

# What is not made to fail, and why not.
LEFT_ALONE = {
    'cannot fail, or only for reasons that are not the system\'s': '''
        bcmp strncmp __lsan_register_root_region __lsan_unregister_root_region
        __errno_location __isoc23_fscanf __isoc23_sscanf __isoc23_strtol __isoc23_strtoull
        __isoc99_fscanf __isoc99_sscanf __tls_get_addr clock_gettime dladdr explicit_bzero
        getenv geteuid memcmp memcpy memmove memset qsort raise sigdelset sigemptyset sigfillset
        snprintf strchr strcmp strcpy strerror strlen strnlen strrchr strsep strstr strtol
        strtoull sysconf usleep clock_nanosleep poll vsnprintf''',
    'what it does is done although it says otherwise, and nobody could do better': '''
        close fclose shutdown munlock pthread_cond_destroy pthread_condattr_destroy
        pthread_attr_destroy pthread_mutex_destroy pthread_mutexattr_destroy pthread_detach''',
    'fails for mistakes of the caller only, with glibc on Linux': '''
        pthread_attr_init pthread_attr_setdetachstate pthread_attr_setstacksize
        pthread_cond_broadcast pthread_cond_init pthread_cond_signal pthread_cond_timedwait
        pthread_cond_wait pthread_condattr_init pthread_condattr_setclock pthread_mutex_init
        pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock pthread_mutexattr_init
        pthread_mutexattr_settype pthread_self pthread_setname_np pthread_sigmask
        timerfd_settime''',
    'reads a file that is open, of the kernel\'s own': '__getdelim fgets',
    'of VDUSE devices, which need a kernel of their own': '''
        mkdir openat pwrite unlinkat getpeername getsockname''',
}
# DPDK's other functions are the tests' of those who use them.
OTHERS = re.compile(r'rte_|__rte_|per_lcore_|_?_?vhost_|_GLOBAL_OFFSET_TABLE_|__asan_|__ubsan_|'
                    r'__tsan_|__sanitizer_|__stack_chk_fail|__sancov|__gcov|__start_|__stop_')
# As _FORTIFY_SOURCE has it called.
FORTIFIED = re.compile(r'__\w+_(chk|2)$')


def calls_of(header):
    return re.findall(r'^\tCALL\((\w+)\)', pathlib.Path(header).read_text(), re.MULTILINE)


def imports_of(library):
    """What the objects call and have not among themselves."""
    lines = subprocess.run(['nm', library], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    words = [line.split() for line in lines if re.match(r'^\s*[0-9a-f]*\s+\w\s', line)]
    wanted = {name for *_, kind, name in words if kind in 'Uw'}
    return wanted - {name for *_, kind, name in words if kind not in 'Uw'}


def main(library, header, output):
    names = calls_of(header)
    renamed = {name + suffix: 'vhost_fault_' + name for name in names for suffix in ('', '64')}
    alone = {name + suffix for names in LEFT_ALONE.values() for name in names.split()
             for suffix in ('', '64')}
    imports = imports_of(library)
    unknown = sorted(name for name in imports - renamed.keys() - alone
                     if not OTHERS.match(name) and not FORTIFIED.match(name))
    if unknown:
        sys.exit('rename.py: the library calls what is neither in fault_calls.h nor here: ' +
                 ' '.join(unknown))
    words = [word for old, new in renamed.items() if old in imports
             for word in ('--redefine-sym', f'{old}={new}')]
    pathlib.Path(output).unlink(missing_ok=True)
    subprocess.run(['objcopy', *words, library, output], check=True)


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
