// SPDX-License-Identifier: Apache-2.0
/** The libraries of this process, as the operating system tells of them. */
#pragma once

namespace tfxf {

/** Calls `visit(path, context)` for each library, until it returns true. */
void each_loaded_library(bool (*visit)(const char* path, void* context), void* context);

/** A handle of a library that is loaded, which keeps it loaded; null if it is not. */
void* open_loaded(const char* path);
/** Gives a handle of open_loaded() back. */
void close_library(void* library);

/** A function or variable of the library or of those that it depends on, or null. */
void* find_symbol(void* library, const char* name);

/** Keeps the library that holds this address in memory until the process ends; returns whether it will. */
bool pin_library_of(const void* address);

}  // namespace tfxf
