/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * alg_guest DRIVER REFERENCE ROUNDS
 *
 * Runs in a guest, statically linked: encrypts and decrypts with one driver of the
 * kernel's crypto API and with another, by AF_ALG, and compares.  One line for each
 * length and direction; the status is the number of those that differ.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_alg.h>

#define IV_BYTES 16
#define KEY_BYTES 16
#define MAX_BYTES 4096

static uint8_t
pattern(unsigned int i, unsigned int seed)
{
	return (i + seed) * 2654435761u >> 21;
}

/** A socket that encrypts and decrypts with this driver; -1 after saying what is wrong. */
static int
open_cipher(const char *driver)
{
	struct sockaddr_alg address = { .salg_family = AF_ALG, .salg_type = "skcipher" };
	uint8_t key[KEY_BYTES];
	int sock = socket(AF_ALG, SOCK_SEQPACKET, 0), op = -1;

	snprintf((char *)address.salg_name, sizeof(address.salg_name), "%s", driver);
	for (unsigned int i = 0; i < sizeof(key); i++)
		key[i] = pattern(i, 99);
	if (sock >= 0 && bind(sock, (struct sockaddr *)&address, sizeof(address)) == 0 &&
			setsockopt(sock, SOL_ALG, ALG_SET_KEY, key, sizeof(key)) == 0)
		op = accept(sock, NULL, 0);
	if (op < 0)
		perror(driver);
	return op;
}

/** One request: 0 or -1. */
static int
run(int op, uint32_t direction, unsigned int seed, const uint8_t *in, uint8_t *out, size_t len)
{
	char control[CMSG_SPACE(sizeof(uint32_t)) +
		CMSG_SPACE(sizeof(struct af_alg_iv) + IV_BYTES)] = { 0 };
	struct iovec data = { (void *)(uintptr_t)in, len };
	struct msghdr msg = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct af_alg_iv *iv;

	cmsg->cmsg_level = SOL_ALG;
	cmsg->cmsg_type = ALG_SET_OP;
	cmsg->cmsg_len = CMSG_LEN(sizeof(direction));
	memcpy(CMSG_DATA(cmsg), &direction, sizeof(direction));
	cmsg = CMSG_NXTHDR(&msg, cmsg);
	cmsg->cmsg_level = SOL_ALG;
	cmsg->cmsg_type = ALG_SET_IV;
	cmsg->cmsg_len = CMSG_LEN(sizeof(*iv) + IV_BYTES);
	iv = (struct af_alg_iv *)CMSG_DATA(cmsg);
	iv->ivlen = IV_BYTES;
	for (unsigned int i = 0; i < IV_BYTES; i++)
		iv->iv[i] = pattern(i, seed);
	return sendmsg(op, &msg, 0) == (ssize_t)len && read(op, out, len) == (ssize_t)len ? 0 : -1;
}

int
main(int argc, char **argv)
{
	static const size_t lengths[] = { 16, 48, 512, 1024, MAX_BYTES };
	static uint8_t in[MAX_BYTES], ours[MAX_BYTES], theirs[MAX_BYTES];
	unsigned int wrong = 0;
	int op, reference;

	if (argc != 4)
		return 255;
	op = open_cipher(argv[1]);
	reference = open_cipher(argv[2]);
	if (op < 0 || reference < 0)
		return 254;
	for (int round = 0; round < atoi(argv[3]); round++)
		for (unsigned int i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
			const uint32_t direction = i % 2 ? ALG_OP_DECRYPT : ALG_OP_ENCRYPT;
			const size_t len = lengths[i / 2];

			for (unsigned int j = 0; j < len; j++)
				in[j] = pattern(j, round + i);
			memset(ours, 0x77, sizeof(ours));
			if (run(op, direction, i, in, ours, len) < 0 ||
					run(reference, direction, i, in, theirs, len) < 0 ||
					memcmp(ours, theirs, len) != 0) {
				printf("round %d, %zu bytes, direction %u: different\n", round,
					len, direction);
				wrong++;
			}
		}
	return wrong > 250 ? 250 : wrong;
}
