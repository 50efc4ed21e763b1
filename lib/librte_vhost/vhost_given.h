/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_GIVEN_H
#define VHOST_GIVEN_H

/*
 * What holds although a static analyser cannot see why: devtools/check-source has them
 * believe it.  For the compiler it is nothing.
 */

#if defined(__clang_analyzer__) || defined(VHOST_ANALYSIS)
#define VHOST_GIVEN(condition) do { if (!(condition)) __builtin_unreachable(); } while (0)
#else
#define VHOST_GIVEN(condition) do { } while (0)
#endif

#endif /* VHOST_GIVEN_H */
