# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The metrics over HTTP.

Apart from metrics.py, since Python's server takes as long to import as all the rest of the
tool, and most who use the tool do not need it.
"""

import contextlib
import http.server
import ipaddress
import socket
import sys
import threading

from .metrics import OPENMETRICS, TEXT, text


class Handler(http.server.BaseHTTPRequestHandler):
    """Looks anew for each question; one look at a time."""

    timeout = 10
    server_version = 'dpdk-vhost-numa'

    def do_GET(self):
        if self.path.partition('?')[0] not in ('/metrics', '/'):
            self.send_error(404, explain='The metrics are at /metrics.')
            return
        openmetrics = 'application/openmetrics-text' in self.headers.get('Accept', '')
        try:
            with self.server.one_look:
                body = text(self.server.look(), openmetrics).encode()
        except (OSError, ValueError) as error:
            self.send_error(500, explain=str(error))
            return
        self.send_response(200)
        self.send_header('Content-Type', OPENMETRICS if openmetrics else TEXT)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """On one address; whoever is slow keeps nobody else from asking."""

    daemon_threads = True

    def __init__(self, address, look):
        if ':' in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Handler)
        self.look = look
        self.one_look = threading.Lock()

    def server_bind(self):
        # not the base class's, which asks the name service for the host's name
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]


def serve(address, look):
    """Answer until interrupted."""
    with Server(address, look) as server:
        host, port = server.server_address[:2]
        if not ipaddress.ip_address(host).is_loopback:
            print(f'dpdk-vhost-numa: others than this machine can ask {host}', file=sys.stderr)
        host = f'[{host}]' if ':' in host else host
        print(f'metrics at http://{host}:{port}/metrics', flush=True)
        server.serve_forever()
