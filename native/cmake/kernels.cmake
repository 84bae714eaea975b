# SPDX-License-Identifier: Apache-2.0
# Compiles cpu/kernels once for each instruction set, in a namespace of its name; TFXF_KERNEL_OBJECTS are the objects.

# Sanitizers are there to find errors, not to be fast: without -O3 they build in a third of the time.
set(TFXF_OPTIMIZE -O3)
if(TFXF_SANITIZE)
  # Bits are the same in all paths only if products and sums are fused in all of them, which this does.
  set(TFXF_OPTIMIZE -O1 -fexpensive-optimizations)
endif()

include(CheckCXXSourceCompiles)
# What cpu/kernels.cc has to know of the sets that are compiled.
add_library(tfxf_kernel_choice INTERFACE)

file(GLOB TFXF_KERNEL_SOURCES CONFIGURE_DEPENDS cpu/kernels/*.cc)
set(TFXF_KERNEL_OBJECTS)

# Compiles the kernels for `isa`; further arguments are the compiler options that allow it.
function(tfxf_add_kernels isa)
  set(name tfxf_kernels_${isa})
  add_library(${name} OBJECT ${TFXF_KERNEL_SOURCES})
  target_compile_definitions(${name} PRIVATE TFXF_ISA=${isa})
  target_link_libraries(${name} PRIVATE tfxf_options tfxf_no_exceptions)
  if(MSVC)
    list(TRANSFORM ARGN PREPEND "/clang:")
    target_compile_options(${name} PRIVATE ${ARGN} /O2 /clang:-O3 /clang:-ffp-contract=fast /clang:-fno-math-errno)
  else()
    target_compile_options(${name} PRIVATE ${ARGN} ${TFXF_OPTIMIZE} -ffp-contract=fast -fno-math-errno)
  endif()
  set(TFXF_KERNEL_OBJECTS ${TFXF_KERNEL_OBJECTS} $<TARGET_OBJECTS:${name}> PARENT_SCOPE)
endfunction()

if(CMAKE_OSX_ARCHITECTURES)
  set(processor ${CMAKE_OSX_ARCHITECTURES})
else()
  set(processor ${CMAKE_SYSTEM_PROCESSOR})
endif()

set(avx2 -mavx2 -mfma -mf16c)
set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl ${avx2})
if(processor MATCHES "^(x86_64|AMD64|amd64)$")
  # Linux alone is asked for the use of tiles (cpu/kernels.cc).
  set(CMAKE_REQUIRED_FLAGS "-mamx-tile -mamx-bf16")
  check_cxx_source_compiles("#include <immintrin.h>\nint main() { _tile_zero(0); _tile_dpbf16ps(0, 1, 2); }" TFXF_HAS_AMX)
  unset(CMAKE_REQUIRED_FLAGS)
  if(TFXF_HAS_AMX AND CMAKE_SYSTEM_NAME STREQUAL Linux)
    tfxf_add_kernels(amxbf16 ${avx512} -mavx512bf16 -mamx-tile -mamx-bf16)
    target_compile_definitions(tfxf_kernel_choice INTERFACE TFXF_AMX)
  endif()
  tfxf_add_kernels(avx512bf16 ${avx512} -mavx512bf16)
  tfxf_add_kernels(avx512 ${avx512})
  tfxf_add_kernels(avx2 ${avx2})
elseif(NOT processor MATCHES "^(aarch64|arm64|ARM64)$")
  message(FATAL_ERROR "There are kernels for x86-64 and arm64, not for ${processor}; build one architecture at a time")
endif()
tfxf_add_kernels(baseline)
