/* Paths as texts: whether they lead where they seem to.
 *
 * Promise: a plain path names a place below each directory that stands in it: nothing in it leads back up, and it has one spelling only. Links are not
 * looked at: that is for whoever opens it.
 * Threads: none; pure functions. Ownership: none.
 */
#ifndef WEIR_CORE_PATH_H
#define WEIR_CORE_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* Whether one of the parts between slashes is "." or "..". Of a file, or of an address of the web up to its '?'. */
bool wr_path_has_dots(const char *path, size_t len);

/* Absolute, no part of it empty, "." or ".."; a slash may stand at its end. */
bool wr_path_is_plain(const char *path);

#endif
