// SPDX-License-Identifier: Apache-2.0
/** loaded_libraries.h on Linux, macOS and Windows. */
#include "ops/loaded_libraries.h"

#if defined(_WIN32)

#include <windows.h>

#include <psapi.h>

namespace tfxf {

void each_loaded_library(bool (*visit)(const char* path, void* context), void* context) {
  HMODULE modules[2048];
  DWORD bytes = 0;
  if (!EnumProcessModules(GetCurrentProcess(), modules, sizeof modules, &bytes)) return;
  const DWORD count = (bytes < sizeof modules ? bytes : sizeof modules) / sizeof(HMODULE);
  for (DWORD n = 0; n < count; n++) {
    char path[MAX_PATH];
    const DWORD length = GetModuleFileNameA(modules[n], path, MAX_PATH);
    if (length > 0 && length < MAX_PATH && visit(path, context)) return;
  }
}

void* open_loaded(const char* path) {
  HMODULE module = nullptr;
  GetModuleHandleExA(0, path, &module);
  return module;
}

void close_library(void* library) { FreeLibrary(static_cast<HMODULE>(library)); }

void* find_symbol(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}

bool pin_library_of(const void* address) {
  HMODULE module = nullptr;
  const DWORD how = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
  return GetModuleHandleExA(how, static_cast<const char*>(address), &module) != 0;
}

}  // namespace tfxf

#else

#include <dlfcn.h>

#if defined(__APPLE__)
#include <mach-o/dyld.h>
#else
#include <link.h>
#include <stdlib.h>
#include <string.h>
#endif

namespace tfxf {

#if defined(__APPLE__)

void each_loaded_library(bool (*visit)(const char* path, void* context), void* context) {
  for (uint32_t n = 0; n < _dyld_image_count(); n++) {
    const char* path = _dyld_get_image_name(n);
    if (path != nullptr && visit(path, context)) return;
  }
}

#else

namespace {

struct Paths {
  char** list;
  int count, capacity;
};

int add_path(dl_phdr_info* info, size_t, void* argument) {
  Paths& paths = *static_cast<Paths*>(argument);
  if (info->dlpi_name == nullptr || info->dlpi_name[0] == 0) return 0;
  if (paths.count == paths.capacity) {
    const int capacity = 2 * paths.capacity + 64;
    void* list = realloc(paths.list, static_cast<size_t>(capacity) * sizeof(char*));
    if (list == nullptr) return 1;
    paths.list = static_cast<char**>(list);
    paths.capacity = capacity;
  }
  char* path = strdup(info->dlpi_name);
  if (path == nullptr) return 1;
  paths.list[paths.count++] = path;
  return 0;
}

}  // namespace

/** Two steps: the loader is locked while it tells of its libraries, and `visit` calls it. */
void each_loaded_library(bool (*visit)(const char* path, void* context), void* context) {
  Paths paths = {nullptr, 0, 0};
  dl_iterate_phdr(add_path, &paths);
  bool stop = false;
  for (int n = 0; n < paths.count; n++) {
    if (!stop) stop = visit(paths.list[n], context);
    free(paths.list[n]);
  }
  free(paths.list);
}

#endif

void* open_loaded(const char* path) { return dlopen(path, RTLD_NOLOAD | RTLD_LAZY); }

void close_library(void* library) { dlclose(library); }

void* find_symbol(void* library, const char* name) { return dlsym(library, name); }

bool pin_library_of(const void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return false;
  return dlopen(info.dli_fname, RTLD_NOLOAD | RTLD_LAZY | RTLD_NODELETE) != nullptr;
}

}  // namespace tfxf

#endif
