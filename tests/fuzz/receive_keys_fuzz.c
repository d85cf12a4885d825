/* A key log of any bytes: read without harm; what is read goes on after one more commit, and is the same when it is read again. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/receive/key_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static void check_records(const uint8_t *data, size_t size) {
    struct wr_key_record_reader reader;
    struct wr_key_set set;
    wr_key_set_init(&set);
    wr_key_record_read(&reader, data, size);
    while (wr_key_record_next(&reader))
        if (!reader.item.is_file) {
            must(reader.item.first > 0 && reader.item.first <= reader.item.last);
            must(wr_key_set_add(&set, reader.item.node, reader.item.epoch, reader.item.first, reader.item.last) == WR_OK);
            must(wr_key_set_valid(&set));
        }
    wr_key_set_fini(&set);
}

static char directory[] = "/dev/shm/weir-keys-fuzz-XXXXXX";

static void remove_directory(void) {
    char command[80];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    (void)!system(command);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[64];
    struct wr_key_log log;
    struct wr_error err;
    if (!path[0]) {
        must(mkdtemp(directory) != NULL);
        snprintf(path, sizeof path, "%s/keys", directory);
        atexit(remove_directory);
    }
    check_records(data, size);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    if (wr_key_log_open(&log, directory, &err) == WR_OK) {
        const struct wr_message_key key = {.epoch = 1, .seq = 1, .node = "gw-1"};
        const size_t ranges = log.set.n_ranges;
        must(wr_key_set_valid(&log.set));
        must(wr_key_log_lock(&log, &err) == WR_OK);
        const bool known = wr_key_log_has(&log, &key);
        must(wr_key_log_commit(&log, &key, 1, NULL, 0, &err) == WR_OK);
        wr_key_log_unlock(&log);
        wr_key_log_close(&log);
        must(wr_key_log_open(&log, directory, &err) == WR_OK && wr_key_log_has(&log, &key));
        must(!known || log.set.n_ranges == ranges);
    }
    wr_key_log_close(&log);
    return 0;
}
