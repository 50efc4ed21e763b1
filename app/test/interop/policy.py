# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Placement of a running testpmd asked and changed through its telemetry socket, with packets going round.

The backends run without hugepages and so have memory of one node only: nothing moves,
and a pin to a node that does not exist is refused. Devices that really move are those of
vhost_telemetry_autotest on a machine with several nodes.
"""

from processes import Skip, check, wait_until
from testpmd import Testpmd

QUEUES = 2
RINGS = 2 * QUEUES
ROUNDS = 20
FLOW_SECONDS = 30
# No program's, no device's, no machine's.
NO_VID, NO_NODE = 1023, 63
WRONG = ("/vhost/info", "/vhost/info,x", f"/vhost/info,{NO_VID}", "/vhost/vq,0", f"/vhost/vq,0,{RINGS}",
         f"/vhost/numa,{NO_VID}", f"/vhost/numa_refresh,{NO_VID}", "/vhost/numa_interval,soon",
         "/vhost/numa_policy,0,pin", "/vhost/numa_policy,0,stay", f"/vhost/numa_policy,{NO_VID},off",
         "/vhost/numa_policy,/nowhere,off")


def start(bench, options):
    """A backend and a guest, and packets that go round between them for ever."""
    path = bench.path("vhost.sock")
    arguments = [f"--rxq={QUEUES}", f"--txq={QUEUES}", "--forward-mode=io"]
    backend = Testpmd(bench, "backend", [f"net_vhost0,iface={path},queues={QUEUES}"], arguments, backend=True,
                      with_telemetry=True).ready()
    if bench.library.packaged:
        raise Skip("the system's own library has no such commands")
    frontend = Testpmd(bench, "frontend", [f"net_virtio_user0,path={path},queues={QUEUES},cq=1,{options}"],
                       arguments).ready()
    for side in (backend, frontend):
        side.wait_link_up()
    backend.command_ok("start", "packet forwarding")
    frontend.command_ok("start tx_first 4", "packet forwarding")
    return backend, frontend


def check_told(backend, path):
    """What the device is, as far as telemetry tells."""
    check(backend.ask("/vhost/list") == [0], f"devices: {backend.ask('/vhost/list')}")
    info = backend.ask("/vhost/info,0")
    check(info["path"] == path and info["running"] and info["vrings"] >= RINGS, f"info: {info}")
    for ring in range(RINGS):
        queue = backend.ask(f"/vhost/vq,0,{ring}")
        check(queue["qid"] == ring and queue["live"] and queue["enabled"] and
              queue["node"] == info["vring_nodes"][ring], f"vq: {queue}")
    for command in WRONG:
        answer = backend.ask(command)
        check(list(answer or ()) == ["error"], f"{command}: {answer}")


def wait_flow(backend):
    """Packets go on in each queue, both ways."""

    def counted():
        return [backend.ask(f"/vhost/vq,0,{ring}")["good_packets"] for ring in range(RINGS)]

    before = counted()
    wait_until(lambda: all(now > then for now, then in zip(counted(), before)), FLOW_SECONDS, "packets in each queue")


def set_policy(backend, words, policy, node=-1, restart=0):
    """Set a policy; the answer is what is in force."""
    answer = backend.ask(f"/vhost/numa_policy,{words}")
    check(answer and (answer["policy"], answer["policy_node"], answer["restart_on_drift"]) == (policy, node, restart),
          f"numa_policy,{words}: {answer}")
    again = backend.ask("/vhost/numa_policy,0")
    check(again == answer, f"numa_policy: {again}")


def refresh(backend, node):
    """Look again; the device stays where it is."""
    answer = backend.ask("/vhost/numa_refresh,0")
    check(answer["result"] == 0 and answer["numa_node"] == node and set(answer["vring_nodes"]) == {node} and
          answer["moves"] == 0 and answer["refused_nodes"] == [], f"numa_refresh: {answer}")


def change_policies(backend, path):
    """All policies, one after the other, with packets in between."""
    node = backend.ask("/vhost/numa,0")["numa_node"]
    for _ in range(ROUNDS):
        before = backend.ask("/vhost/numa_policy,0")
        answer = backend.ask(f"/vhost/numa_policy,0,pin,{NO_NODE}")
        check(list(answer) == ["error"] and f"node {NO_NODE} " in answer["error"], f"a node that is none: {answer}")
        check(backend.ask("/vhost/numa_policy,0") == before, "a policy that was refused is in force")
        set_policy(backend, f"{path},off", "off")
        refresh(backend, node)
        set_policy(backend, f"{path},pin,{node},restart", "pin", node, 1)
        refresh(backend, node)
        set_policy(backend, "0,follow", "follow")
        refresh(backend, node)
        wait_flow(backend)
    placement = backend.ask("/vhost/numa,0")
    check(placement["moves"] == 0 and placement["restarts"] == 0, f"nothing had to move: {placement}")


def set_interval(backend, milliseconds):
    """Set the time between looks at the guest's memory."""
    for command in (f"/vhost/numa_interval,{milliseconds}", "/vhost/numa_interval"):
        answer = backend.ask(command)
        check(answer == {"interval_ms": milliseconds}, f"{command}: {answer}")


def check_looks(backend):
    """Looks are made as often as is asked for."""
    set_interval(backend, 20)
    probes = backend.ask("/vhost/numa,0")["probes"]
    wait_until(lambda: backend.ask("/vhost/numa,0")["probes"] > probes + 2, FLOW_SECONDS, "looks at the guest's memory")


def check_counters(backend, frontend):
    """Nothing was lost: what went out at one end came in at the other, but for what is in the rings."""
    frontend.command("stop")
    sent = frontend.port_counters()["TX-packets"]
    wait_until(lambda: backend.port_counters()["RX-packets"] == sent, FLOW_SECONDS, f"{sent} packets at the backend")
    backend.command("stop")
    back = backend.port_counters()["TX-packets"]
    check(back == sent, f"{sent} packets came in and {back} went out")
    frontend.command("set fwd rxonly")
    frontend.command_ok("start", "packet forwarding")
    wait_until(lambda: frontend.port_counters()["RX-packets"] == back, FLOW_SECONDS, f"{back} packets at the guest")


def run_case(bench, options):
    """One format of rings."""
    backend, frontend = start(bench, options)
    if backend.ask("/vhost/numa,0")["numa_node"] < 0:
        raise Skip("this kernel tells no nodes")
    path = bench.path("vhost.sock")
    check_told(backend, path)
    wait_flow(backend)
    # No look but those that are asked for: each one counts.
    set_interval(backend, 0)
    change_policies(backend, path)
    check_looks(backend)
    check_counters(backend, frontend)
    for side in (frontend, backend):
        side.quit()


def cases():
    """Name and function of each case."""
    for name, options in (("split", "packed_vq=0"), ("packed", "packed_vq=1,mrg_rxbuf=1")):
        yield f"policy-telemetry-{name}", lambda bench, o=options: run_case(bench, o)
