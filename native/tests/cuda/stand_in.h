// SPDX-License-Identifier: Apache-2.0
/**
 * A stand-in for libcuda.so.1, of the same functions: it records what is called, in order, fails where it is told to,
 * and runs kernels on the emulator (emulator.h), all in host memory, at once. So the host side, from the search for the
 * library to the last launch, and the kernels, run on a machine with no GPU.
 *
 * Memory that it hands out ends at a page that cannot be touched: a kernel that reads or writes beyond it crashes.
 */
#pragma once

#include <map>
#include <string>
#include <vector>

namespace tfxf {
namespace cuda {

struct StandIn {
  /** Each call as text: "cuStreamWaitEvent stream1 event1". Launches are named by kernel and blocks. */
  std::vector<std::string> calls;
  bool records = false;
  /** A call of this name fails with this CUresult, after so many that do not; empty: none does. */
  std::string failing;
  int result = 2, passing = 0;
  int devices = 1, version = 13000, major = 9, minor = 0, multiprocessors = 6, shared_bytes = 232448;
  /** The device that owns all memory. */
  int owner = 0;
  /** How often each kernel ran: in the EmulationModes, in turns. */
  std::map<std::string, int> launched;
};

/** Exported by the library as tfxf_stand_in. */
using StandInOf = StandIn* (*)();

}  // namespace cuda
}  // namespace tfxf
