/* Any bytes as each of the files of /proc and /sys that the source `system` reads. Whatever they are: no crash, every list ends, what is said to be
 * whole is consistent, and names are texts that can be tags. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sources/proc.h"
#include "core/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
    if (!holds)
        abort();
}

static void is_name(const char *name, size_t size) {
    const size_t len = strnlen(name, size);
    must(len > 0 && len < size);
    for (size_t i = 0, n; i < len; i += n) {
        n = wr_utf8_length(name + i, len - i);
        must(n > 0 && (uint8_t)name[i] >= ' ');
    }
}

static void single(struct wr_proc_text text) {
    struct wr_proc_stat stat;
    struct wr_proc_memory memory;
    struct wr_proc_load load;
    int64_t value;
    (void)wr_proc_stat(text, &stat);
    (void)wr_proc_value(text, &value);
    if (wr_proc_memory(text, &memory))
        must(memory.total > 0 && memory.available <= memory.total && memory.free <= memory.total && memory.swap_free <= memory.swap_total);
    if (wr_proc_load(text, &load))
        for (int i = 0; i < 3; i++)
            must(isfinite(load.load[i]) && load.load[i] >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *bytes = malloc(size + 1);
    must(bytes != NULL);
    memcpy(bytes, data, size);
    const struct wr_proc_text all = {bytes, bytes + size};
    single(all);
    struct wr_proc_text text = all;
    struct wr_proc_disk disk;
    struct wr_proc_interface interface;
    struct wr_proc_mount mount;
    while (wr_proc_next_disk(&text, &disk))
        is_name(disk.name, sizeof disk.name);
    must(text.at == text.end);
    for (text = all; wr_proc_next_interface(&text, &interface);)
        is_name(interface.name, sizeof interface.name);
    for (text = all; wr_proc_next_mount(&text, &mount);) {
        is_name(mount.path, sizeof mount.path);
        is_name(mount.type, sizeof mount.type);
        is_name(mount.device, sizeof mount.device);
        must(mount.path[0] == '/');
    }
    free(bytes);
    return 0;
}
