// SPDX-License-Identifier: Apache-2.0
/** Where Node's functions come from on Windows: the running program, whatever its file is called. */
#include <windows.h>

#include <delayimp.h>
#include <string.h>

namespace {

FARPROC WINAPI find_host(unsigned int event, DelayLoadInfo* info) {
  if (event != dliNotePreLoadLibrary || _stricmp(info->szDll, "node.exe") != 0) return nullptr;
  return reinterpret_cast<FARPROC>(GetModuleHandleA(nullptr));
}

}  // namespace

extern "C" const PfnDliHook __pfnDliNotifyHook2 = find_host;
