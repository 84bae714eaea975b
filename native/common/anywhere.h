// SPDX-License-Identifier: Apache-2.0
/** TFXF_ANYWHERE: a function that CUDA kernels call, too. */
#pragma once

#if defined(__CUDACC__)
#define TFXF_ANYWHERE __host__ __device__
#else
#define TFXF_ANYWHERE
#endif
