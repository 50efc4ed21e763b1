# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""testpmd at its prompt, and its telemetry."""

import glob
import json
import os
import re
import socket
import subprocess
import time

from waiting import ScenarioError

PROMPT = b'testpmd> '


class Testpmd:
    """A testpmd; use it as a context manager."""

    def __init__(self, name, memory, cores, folder, options, env=None):
        """memory: MiB by node; cores: where it runs."""
        self.prefix = f'{name}{os.getpid()}'
        self.log = os.path.join(folder, f'testpmd-{name}.log')
        amounts = ','.join(str(memory.get(node, 0)) for node in range(max(memory) + 1))
        bound = ','.join(map(str, memory))
        self._command = [
            # The prompt is written past stdio, whose lines must not come later.
            'stdbuf', '-oL', 'numactl', f'--membind={bound}', 'dpdk-testpmd',
            '-l', ','.join(map(str, cores)), '--socket-mem', amounts,
            '--file-prefix', self.prefix, '--no-pci', *options]
        self._env = dict(os.environ, **(env or {}))

    def __enter__(self):
        self._log = open(self.log, 'wb')
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=self._env)
        os.set_blocking(self._process.stdout.fileno(), False)
        self.pid = self._process.pid
        try:
            self._read_prompt(120)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()
        for rest in glob.glob(f'/dev/hugepages/{self.prefix}map_*'):
            os.unlink(rest)

    def _read_prompt(self, seconds):
        deadline = time.monotonic() + seconds
        text = b''
        while not text.endswith(PROMPT):
            part = self._process.stdout.read()
            if part:
                self._log.write(part)
                self._log.flush()
                text += part
                continue
            if self._process.poll() is not None:
                raise ScenarioError(f'{self.prefix} ended:\n{text.decode()[-2000:]}')
            if time.monotonic() > deadline:
                raise ScenarioError(f'{self.prefix}: no prompt:\n{text.decode()[-2000:]}')
            time.sleep(0.02)
        return text.decode(errors='replace')

    def do(self, command, seconds=60):
        """What testpmd answers to a command."""
        self._process.stdin.write(command.encode() + b'\n')
        self._process.stdin.flush()
        return self._read_prompt(seconds)

    def port_stats(self):
        """{'RX-packets': ..., ...} of port 0."""
        text = self.do('show port stats 0')
        return {name: int(value) for name, value in
                re.findall(r'([RT]X-(?:packets|errors|missed)):\s*(\d+)', text)}

    def ask(self, command):
        """The answer to a telemetry command."""
        folder = os.environ.get('RUNTIME_DIRECTORY', '/var/run')
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as talk:
            talk.settimeout(60)
            talk.connect(f'{folder}/dpdk/{self.prefix}/dpdk_telemetry.v2')
            talk.recv(16384)
            talk.send(command.encode())
            return json.loads(talk.recv(65536))[command.partition(',')[0]]
