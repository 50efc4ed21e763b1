#define BIGAVX
#ifndef VHOST_NET_COPY_H
#define VHOST_NET_COPY_H
#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_memcpy.h>

#define NET_COPY_INLINE 256

/** Copy len bytes, [move, 2 * move], with constant-size moves. */
#define NET_COPY_TWICE(mov, move) \
	do { \
		mov(dst, src); \
		mov(dst + len - (move), src + len - (move)); \
	} while (0)

#ifdef BIGAVX
__attribute__((target("avx2"),noinline)) static void net_copy_long(uint8_t *dst, const uint8_t *src, uint32_t len)
#define MOV64(d,s) do{ __m256i a=_mm256_loadu_si256((const void*)(s)),b=_mm256_loadu_si256((const void*)((s)+32)); _mm256_storeu_si256((void*)(d),a); _mm256_storeu_si256((void*)((d)+32),b);}while(0)
#else
static __rte_noinline void net_copy_long(uint8_t *dst, const uint8_t *src, uint32_t len)
#define MOV64 rte_mov64
#endif
{
	uint32_t head = 64 - ((uintptr_t)dst & 63);
	uint8_t *end = dst + len - 64; const uint8_t *send = src + len - 64;
	MOV64(dst, src);
	dst += head; src += head;
	while (dst < end) { MOV64(dst, src); dst += 64; src += 64; }
	MOV64(end, send);
}

static __rte_always_inline void
net_copy(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	if (len > NET_COPY_INLINE)
		net_copy_long(dst, src, len);
	else if (len > 128)
		NET_COPY_TWICE(rte_mov128, 128);
	else if (len > 64)
		NET_COPY_TWICE(rte_mov64, 64);
	else if (len > 32)
		NET_COPY_TWICE(rte_mov32, 32);
	else if (len >= 16)
		NET_COPY_TWICE(rte_mov16, 16);
	else
		rte_mov15_or_less(dst, src, len);
}
#endif
