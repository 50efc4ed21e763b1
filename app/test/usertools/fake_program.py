#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A program with DPDK's telemetry socket that says what it is told to say.

    fake_program.py SOCKET ANSWERS_FILE [--poll CPU]

ANSWERS_FILE maps commands with their parameters to answers, and perhaps 'banner'
to what it says first.  With --poll a
thread keeps a CPU busy, as a polling core does.  It prints a line when it can
be asked and ends when its stdin does.
"""

import json
import os
import socket
import sys
import threading


def serve(connection, answers):
    """One client, as DPDK 22.11 does it: one message in, one out."""
    with connection:
        connection.send(json.dumps(answers.get('banner', {
            'version': 'DPDK 22.11.0', 'pid': os.getpid(), 'max_output_len': 16384})).encode())
        while command := connection.recv(1024).decode():
            answer = answers.get(command)
            if answer == 'leave':
                return
            connection.send(json.dumps({command.partition(',')[0]: answer}).encode())


def listen(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen()
    return listener


def accept(listener, answers):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return      # closed
        threading.Thread(target=serve, args=(connection, answers), daemon=True).start()


def poll(cpu):
    # By name it is known for a lcore also where others leave it little of its CPU.
    with open('/proc/thread-self/comm', 'w') as name:
        name.write('rte-worker-1')
    os.sched_setaffinity(0, {cpu})
    # As EAL calls it: a share of the CPU that is small will do, on a busy machine.
    with open(f'/proc/self/task/{threading.get_native_id()}/comm', 'w') as file:
        file.write('rte-worker-1')
    while True:
        pass


def main():
    path, answers_file, *options = sys.argv[1:]
    with open(answers_file) as file:
        answers = json.load(file)
    listener = listen(path)
    if options:
        threading.Thread(target=poll, args=(int(options[1]),), daemon=True).start()
    threading.Thread(target=accept, args=(listener, answers), daemon=True).start()
    print('ready', flush=True)
    sys.stdin.read()


if __name__ == '__main__':
    main()
