#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
#
# The article, step by step, in numa-lab, with virtio-user guests that stay until they
# are told to go:
#   devtools/numa-lab --cpus-per-node 4 --timeout 1200 -- doc/guides/howto/by_hand.sh build/lib
set -eu

lib=$(realpath "$1")
sockets=/var/run/openvswitch
log=/var/log/openvswitch/ovs-vswitchd.log

step() {
	echo
	echo "== $(cut -d. -f1 /proc/uptime) s: $*"
}

# Wait until a command succeeds, for five minutes at most.
wait_for() {
	for _ in $(seq 600); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.5
	done
	echo "not in five minutes: $*" >&2
	exit 1
}

# [switch]
step the switch, on node 0, with a polling core on each node
/usr/share/openvswitch/scripts/ovs-ctl --system-id=random --no-ovs-vswitchd start
ovs-vsctl --no-wait set Open_vSwitch . other_config:dpdk-init=true \
	other_config:dpdk-socket-mem=256,256 other_config:dpdk-lcore-mask=0x2 \
	other_config:pmd-cpu-mask=0x11 other_config:pmd-maxsleep=500
update-alternatives --set ovs-vswitchd /usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk
LD_LIBRARY_PATH=$lib taskset --cpu-list 1-3 ovs-vswitchd unix:$sockets/db.sock \
	--pidfile --detach --log-file --verbose=console:off
ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev
for n in 0 1; do
	ovs-vsctl add-port br0 vhost$n -- set Interface vhost$n type=dpdkvhostuser
done
ovs-appctl dpif-netdev/pmd-rxq-show
# [switch]

# [guests]
step two guests, one on each node
mkfifo /tmp/guest0 /tmp/guest1
for n in 0 1; do
	cpus=$((4 * n + 2)),$((4 * n + 3))
	# it ends when nothing more can come from the pipe
	sleep infinity >/tmp/guest$n &
	dpdk-testpmd -l $cpus --no-pci --file-prefix guest$n --single-file-segments \
		--socket-mem "$([ $n = 0 ] && echo 128,0 || echo 0,128)" \
		--vdev net_virtio_user0,path=$sockets/vhost$n,queues=1 \
		-- -i --total-num-mbufs 2048 --numa --nb-cores 1 </tmp/guest$n >/tmp/guest$n.log 2>&1 &
done
wait_for grep -q 'vhost1.*added on numa node 1' $log
grep -E 'reallocate|placement|added on numa' $log
# [guests]

# [look]
step what has followed
ovs-appctl dpif-netdev/pmd-rxq-show
ovs-vsctl get Interface vhost1 status:numa
usertools/dpdk-vhost-numa.py
# [look]

# [follow]
step pinned to the wrong node, and free again
numa_policy() {
	echo "/vhost/numa_policy,$sockets/vhost1,$1" | dpdk-telemetry.py
}
numa_policy pin,0
wait_for grep -q 'vhost1.*reallocate dev from 1 to 0' $log
numa_policy follow
wait_for sh -c "[ \"\$(grep -c 'vhost1.*reallocate dev from 0 to 1' $log)\" -ge 2 ]"
# [follow]

# [debug]
step what each look finds, shown by a switch that runs
ovs-appctl dpdk/log-set lib.vhost.config:debug
ovs-appctl vlog/set dpdk:file:dbg
wait_for grep -q 'looked: ' $log
grep 'looked: ' $log | tail -n 2
# [debug]
step the end
