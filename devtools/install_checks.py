# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What check-install and check-packages ask of a machine on which the library is installed."""

import glob
import hashlib
import os
import re
import stat
import subprocess
import sys
import tempfile
import time

import vhost_library

PACKAGED = vhost_library.PACKAGED
OVS = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk'
TESTPMD = 'dpdk-testpmd'
# Without hugepages, devices or traces of it in the machine.
EAL = ['--no-huge', '-m', '256', '--no-pci', '--no-shconf', '--no-telemetry']


class Checks:
    """Counts what is as it should be, and says it, line by line."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, what, holds, otherwise=''):
        """Count one; 'otherwise' is said if it does not hold. Returns whether it does."""
        self.passed += bool(holds)
        self.failed += not holds
        print(f'{"PASS" if holds else "FAIL"}  {what}', flush=True)
        if not holds and otherwise:
            print('    | ' + str(otherwise).strip().replace('\n', '\n    | '), flush=True)
        return bool(holds)

    def end(self):
        """The line that devtools/test counts by; the exit status."""
        print(f'{self.passed} passed, {self.failed} failed')
        return 1 if self.failed or not self.passed else 0


def run(*command, **options):
    """Run a command to its end; its output, both streams, is kept."""
    return subprocess.run([str(word) for word in command], stdin=options.pop('stdin', subprocess.DEVNULL),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', check=False, **options)


def must(*command, **options):
    """As run(), and end everything if it fails."""
    done = run(*command, **options)
    if done.returncode != 0:
        sys.exit(f'{" ".join(map(str, command))}: exit status {done.returncode}\n{done.stdout[-4000:]}')
    return done.stdout


def wait_for(condition, seconds=90):
    """The value of condition() as soon as it is true, or the last one."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.5)
    return value


def users(abi):
    """The installed programs, drivers and libraries that want librte_vhost.so.NN."""
    wanted = f'librte_vhost.so.{abi}'
    places = ['/usr/bin/*', '/usr/sbin/*', '/usr/local/bin/*', os.path.dirname(OVS) + '/*',
              vhost_library.driver_folder(abi) + '/*.so', PACKAGED + '/librte_*.so.*']
    found = set()
    files = {os.path.realpath(path) for place in places for path in glob.glob(place)}
    for path in filter(os.path.isfile, files):
        with open(path, 'rb') as file:
            if file.read(4) != b'\x7fELF' or wanted.encode() not in file.read():
                continue
        needed = run('objdump', '-p', path).stdout
        if re.search(rf'NEEDED +{re.escape(wanted)}$', needed, re.MULTILINE):
            found.add(path)
    return sorted(found)


def library_of(program, abi):
    """The vhost library that the loader gives to a program or driver: /lib is /usr/lib."""
    found = re.search(rf'librte_vhost\.so\.{abi} => (\S+)', run('ldd', program).stdout)
    return found and os.path.realpath(os.path.dirname(found[1])) + '/' + os.path.basename(found[1])


def mapped_by(pid):
    """The vhost library that a process has in memory; None if none."""
    with open(f'/proc/{pid}/maps') as file:
        found = re.search(r'(/\S*librte_vhost\.so\S*)', file.read())
    return found and found[1]


def loaders_cache():
    return must('/sbin/ldconfig', '-p')


def listing(*roots, without=()):
    """What is on the file systems of some folders: path to kind, mode, owner and, of files,
    size and time, or content."""
    found = {}
    for root in roots:
        device = os.lstat(root).st_dev
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders
                          if os.path.join(folder, name) not in without and
                          os.lstat(os.path.join(folder, name)).st_dev == device]
            for path in [folder, *(os.path.join(folder, name) for name in files + folders)]:
                if path not in without:
                    found[path] = _look_of(path)
    return found


def _look_of(path):
    status = os.lstat(path)
    look = [oct(status.st_mode), status.st_uid, status.st_gid]
    if stat.S_ISLNK(status.st_mode):
        look.append(os.readlink(path))
    elif stat.S_ISREG(status.st_mode) and not path.startswith('/etc/'):
        look += [status.st_size, status.st_mtime_ns]
    elif stat.S_ISREG(status.st_mode):
        # what ldconfig and package managers write again, the same
        with open(path, 'rb') as file:
            look.append(hashlib.file_digest(file, 'sha1').hexdigest())
    return look


def differences(before, after):
    """Lines that say how two listings differ."""
    return '\n'.join([f'- {path}' for path in sorted(before.keys() - after.keys())] +
                     [f'+ {path}' for path in sorted(after.keys() - before.keys())] +
                     [f'* {path}: {before[path]}, now {after[path]}'
                      for path in sorted(before.keys() & after.keys())
                      if before[path] != after[path]])


def build_outside(checks, source, work, libdir, abi):
    """Build the guide's example and examples/vhost in a folder outside of the tree, by
    pkg-config alone, shared and static, and run them."""
    os.makedirs(work, exist_ok=True)
    os.environ.pop('PKG_CONFIG_PATH', None)
    example = ['cc', '-O2', '-DALLOW_EXPERIMENTAL_API', '-DEXAMPLE_MAIN', '-o']
    for name in ('vhost_numa_example.c', 'vhost_numa_example.h'):
        run('cp', f'{source}/app/test/{name}', work)
    must('cp', '-r', f'{source}/examples/vhost', work)
    run('rm', '-rf', f'{work}/vhost/build')
    for kind in ('shared', 'static'):
        flags = ['--static'] if kind == 'static' else []
        script = (' '.join([*example, f'follow-{kind}', '$(pkg-config --cflags librte_vhost)',
                            'vhost_numa_example.c',
                            f'$(pkg-config {" ".join(flags)} --libs librte_vhost)']))
        done = run('sh', '-c', script, cwd=work)
        checks.check(f'the guide\'s example builds by pkg-config, {kind}', done.returncode == 0,
                     done.stdout[-2000:])
        done = run('make', '-C', f'{work}/vhost', '-j2', kind)
        checks.check(f'examples/vhost builds by pkg-config, {kind}', done.returncode == 0,
                     done.stdout[-2000:])
    check_run(checks, f'{work}/follow-shared', f'{libdir}/librte_vhost.so', abi)
    check_run(checks, f'{work}/follow-static', None, abi)
    check_switch(checks, f'{work}/vhost/build/dpdk-vhost', f'{libdir}/librte_vhost.so', abi)
    check_switch(checks, f'{work}/vhost/build/dpdk-vhost-static', None, abi)


def check_origin(checks, program, library, abi):
    """A program is on that library, or has one of ours in itself."""
    name = os.path.basename(program)
    if library:
        found = library_of(program, abi)
        checks.check(f'{name} is on {library}', found and found.startswith(library + '.'), found)
    else:
        linked = run('ldd', program).stdout
        checks.check(f'{name} needs no library of DPDK', 'librte_' not in linked and
                     'not found' not in linked, linked)
        names = run('nm', program).stdout
        checks.check(f'{name} has this library in itself',
                     ' T rte_vhost_numa_report' in names, 'no rte_vhost_numa_report')


def socket_name():
    """A name for the socket of a program that removes it when it ends."""
    return f'{tempfile.gettempdir()}/install-checks-{os.getpid()}.sock'


def check_run(checks, program, library, abi):
    """The guide's example serves its socket, and says that there is no guest yet."""
    if not os.path.exists(program):
        return
    check_origin(checks, program, library, abi)
    done = subprocess.run([program, '-l', '0', *EAL, '--', socket_name()], input='\n', text=True,
                          errors='replace', capture_output=True, timeout=60, check=False)
    checks.check(f'{os.path.basename(program)} runs', done.returncode == 0 and
                 'no guest' in done.stdout, done.stdout + done.stderr)


def check_switch(checks, program, library, abi):
    """dpdk-vhost starts, serves a socket and ends when it is told to."""
    if not os.path.exists(program):
        return
    check_origin(checks, program, library, abi)
    with tempfile.TemporaryFile('w+') as log:
        process = subprocess.Popen([program, '--lcores', '0@0,1@0', *EAL, '--', '--socket-file',
                                    socket_name()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        is_up = wait_for(lambda: 'ready:' in _all_of(log) or process.poll() is not None)
        process.terminate()
        try:
            status = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        checks.check(f'{os.path.basename(program)} runs, and ends when it is told to',
                     is_up and status == 0, f'{status}\n{_all_of(log)}')


def _all_of(log):
    """Without moving the place in the file, which is the writer's as well."""
    return os.pread(log.fileno(), 1 << 20, 0).decode(errors='replace')
