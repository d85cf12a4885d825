#include "core/path.h"

#include <string.h>

bool wr_path_has_dots(const char *path, size_t len) {
    size_t start = 0;
    for (size_t at = 0; at <= len; at++) {
        if (at < len && path[at] != '/')
            continue;
        const size_t part = at - start;
        if ((part == 1 && path[start] == '.') || (part == 2 && path[start] == '.' && path[start + 1] == '.'))
            return true;
        start = at + 1;
    }
    return false;
}

bool wr_path_is_plain(const char *path) {
    return path[0] == '/' && !strstr(path, "//") && !wr_path_has_dots(path, strlen(path));
}
