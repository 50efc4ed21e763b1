# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The kernel that the machine boots and the small file system it starts from.

The file system is built in memory: busybox, the modules that are needed to
reach the host's files, and the two guest scripts.  No file of it ever lies on
the host's disk, so there is nothing to clean up.
"""

import glob
import io
import lzma
import os
import re
import stat
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
BUSYBOX = '/bin/busybox'
MODULES = ('virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'overlay')


class LabError(Exception):
    """The machine cannot be built or did not start; the text says why."""


def find_kernel(path=None):
    """Return (image, version): the given image, or the newest that can do it.

    The modules must be installed: they come from the host's own tree.
    """
    images = [path] if path else (glob.glob('/boot/vmlinuz-*') +
                                  glob.glob('/lib/modules/*/vmlinuz'))
    for image in sorted(images, key=_version_key, reverse=True):
        version = _version(image)
        if _has_modules(version) and os.access(image, os.R_OK):
            return image, version
    if path:
        raise LabError(f'{path}: not readable, or /lib/modules has no 9p and '
                       'overlay modules of that version')
    raise LabError('no kernel with 9p modules in /boot or /lib/modules: install '
                   'linux-image-amd64 (devtools/setup-debian does)')


def build(kernel_version, files):
    """Return the initramfs as bytes; files maps names under /lab to bytes."""
    out = io.BytesIO()
    for name in ('lab', 'lab/modules'):
        _add(out, name, b'', stat.S_IFDIR | 0o755)
    _add(out, 'init', _read(os.path.join(HERE, 'guest-init')))
    _add(out, 'lab/start', _read(os.path.join(HERE, 'guest-start')))
    _add(out, 'lab/busybox', _busybox())
    for number, module in enumerate(_module_files(kernel_version)):
        _add(out, f'lab/modules/{number:02}.ko', _read_module(module))
    for name, content in files.items():
        _add(out, f'lab/{name}', content)
    _add(out, 'TRAILER!!!', b'', 0)
    return out.getvalue()


def _version(image):
    """From /boot/vmlinuz-VERSION, or /lib/modules/VERSION/vmlinuz as from Linux 7 on."""
    folder, name = os.path.split(image)
    return name.partition('-')[2] or os.path.basename(folder)


def _version_key(image):
    return [int(n) for n in re.findall(r'\d+', _version(image))]


def _has_modules(version):
    return glob.glob(f'/lib/modules/{version}/kernel/fs/9p/9p.ko*') != []


def _module_files(version):
    """Paths of MODULES and what they depend on, in the order of loading."""
    files = []
    for module in MODULES:
        answer = subprocess.run(
            ['/sbin/modprobe', '-S', version, '--show-depends', module],
            capture_output=True, text=True)
        if answer.returncode != 0:
            raise LabError(f'module {module}: {answer.stderr.strip()}')
        files += re.findall(r'^insmod (\S+)', answer.stdout, re.MULTILINE)
    return list(dict.fromkeys(files))


def _read_module(path):
    """busybox loads plain modules only."""
    content = _read(path)
    return lzma.decompress(content) if path.endswith('.xz') else content


def _busybox():
    """A dynamically linked busybox would not run without the host's files."""
    try:
        content = _read(BUSYBOX)
    except FileNotFoundError:
        content = b''
    if not content or b'ld-linux' in content[:4096]:
        raise LabError('no static busybox: install busybox-static '
                       '(devtools/setup-debian does)')
    return content


def _read(path):
    with open(path, 'rb') as file:
        return file.read()


def _add(out, name, content, mode=stat.S_IFREG | 0o755):
    """Append one member in the kernel's "newc" archive format."""
    name = name.encode() + b'\0'
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    header = b'070701' + b''.join(b'%08X' % field for field in fields)
    for part in (header + name, content):
        out.write(part)
        out.write(bytes(-out.tell() % 4))
