/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* channels INTERFACE N: what "ethtool -L INTERFACE combined N" does; linked statically, for guests. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>

int
main(int argc, char **argv)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq request = { .ifr_data = (void *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 3 || fd < 0)
		return 1;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", argv[1]);
	if (ioctl(fd, SIOCETHTOOL, &request) != 0) {
		perror("get");
		return 1;
	}
	channels.cmd = ETHTOOL_SCHANNELS;
	channels.combined_count = strtoul(argv[2], NULL, 10);
	if (ioctl(fd, SIOCETHTOOL, &request) != 0) {
		perror("set");
		return 1;
	}
	return 0;
}
