// SPDX-License-Identifier: Apache-2.0
/**
 * Runs on older systems than the one it is built on.
 *
 * glibc 2.34 moved functions from libpthread and libdl into libc and gave them new versions, and 2.29
 * made exp2 and log2 faster at the price of errno; what is linked against that would not load before. The
 * old versions are still there, and where the libraries are separate Node has them in its process. With
 * this the addon needs glibc 2.17. The build includes this file before every other.
 */
#pragma once

#include <features.h>

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 29)
#if defined(__x86_64__)
#define TFXF_OLD_VERSION "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define TFXF_OLD_VERSION "GLIBC_2.17"
#endif
#define TFXF_USE_OLD(name) __asm__(".symver " #name "," #name "@" TFXF_OLD_VERSION)
TFXF_USE_OLD(dladdr);
TFXF_USE_OLD(dlclose);
TFXF_USE_OLD(dlerror);
TFXF_USE_OLD(dlopen);
TFXF_USE_OLD(dlsym);
TFXF_USE_OLD(exp2);
TFXF_USE_OLD(log2);
TFXF_USE_OLD(pthread_create);
TFXF_USE_OLD(pthread_detach);
TFXF_USE_OLD(pthread_sigmask);
#undef TFXF_USE_OLD
#undef TFXF_OLD_VERSION
#endif
