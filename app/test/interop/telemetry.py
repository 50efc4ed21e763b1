# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Ask a running DPDK program through its telemetry socket."""

import json
import socket

from processes import Failure

ANSWER_SECONDS = 20
LONGEST_ANSWER = 1 << 20


def ask(path, command):
    """The answer to a telemetry command, as JSON gives it; path is that of dpdk_telemetry.v2."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as talk:
        talk.settimeout(ANSWER_SECONDS)
        try:
            talk.connect(path)
            talk.recv(LONGEST_ANSWER)
            talk.send(command.encode())
            answer = talk.recv(LONGEST_ANSWER)
        except OSError as error:
            raise Failure(f"telemetry {command}: {error}") from None
    try:
        return json.loads(answer)[command.partition(",")[0]]
    except (ValueError, KeyError):
        raise Failure(f"telemetry {command}: no JSON in {answer[:200]!r}") from None
