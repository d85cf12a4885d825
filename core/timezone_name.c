/* Names of time zones: which are allowed, and which is near to one that does not exist. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/nearest.h"
#include "core/timezone_private.h"

#define DIRECTORY "/usr/share/zoneinfo"
#define NAME_BYTES 64
#define DEPTH 3 /* America/Argentina/Ushuaia */

const char *wr_timezone_directory(void) {
    const char *given = getenv("TZDIR");
    return given && given[0] ? given : DIRECTORY;
}

bool wr_timezone_name_valid(const char *name) {
    const size_t len = strlen(name);
    const size_t good = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/");
    return good == len && len > 0 && len <= NAME_BYTES && name[0] != '/'; /* no dots: nothing outside of the directory */
}

struct search {
    struct wr_nearest nearest;
    const char *city; /* what stands behind the last slash of the word */
    bool same_city;
    bool any; /* there is a zone at all */
    char found[NAME_BYTES + 1];
};

static const char *behind_slash(const char *name) {
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* The same city in another area, or in small letters, is nearer than any other. */
static void look_at(struct search *search, const char *name) {
    search->any = true;
    const bool same_city = strcasecmp(behind_slash(name), search->city) == 0;
    const bool nearer = wr_nearest_take(&search->nearest, name);
    if (search->same_city || (!same_city && !nearer))
        return;
    search->same_city = same_city;
    snprintf(search->found, sizeof search->found, "%s", name);
}

/* All zones below a directory; name is its own ("Europe/"), the paths of files are as long as a name may be. */
static void walk(struct search *search, const char *name, int depth) {
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", wr_timezone_directory(), name) >= sizeof path)
        return;
    DIR *directory = opendir(path);
    if (!directory)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char below[NAME_BYTES + 2];                           /* room for a slash behind it */
        if (entry->d_name[0] < 'A' || entry->d_name[0] > 'Z') /* zones and areas begin so; posix/, right/ and lists do not */
            continue;
        const size_t len = (size_t)snprintf(below, sizeof below, "%s%s", name, entry->d_name);
        if (len > NAME_BYTES || !wr_timezone_name_valid(below))
            continue;
        if (entry->d_type != DT_DIR)
            look_at(search, below);
        if ((entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) && depth > 1) {
            memcpy(below + len, "/", 2);
            walk(search, below, depth - 1);
        }
    }
    closedir(directory);
}

enum wr_result wr_timezone_not_found(const char *name, struct wr_error *err) {
    struct search search = {.city = behind_slash(name)};
    wr_nearest_init(&search.nearest, name);
    walk(&search, "", DEPTH);
    if (!search.any)
        return wr_error_set(err, WR_NOT_FOUND, "no time zones in %s: install the package tzdata", wr_timezone_directory());
    if (search.found[0])
        return wr_error_set(err, WR_NOT_FOUND, "no time zone '%s': did you mean '%s'?", name, search.found);
    return wr_error_set(err, WR_NOT_FOUND, "no time zone '%s' in %s (write UTC or Area/City; is the package tzdata complete?)", name,
                        wr_timezone_directory());
}
