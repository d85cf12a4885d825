/* Parsers of what Linux says of itself in /proc and /sys: text in memory to numbers. No I/O, no allocation.
 *
 * Promise: any bytes are taken; what does not look as it should is passed over, or makes the parser say false. A number beyond 64 bits does not
 * look as it should. Words point into the text; names are copied, with their escapes (\040 for a blank) resolved, and
 * are valid UTF-8.
 * Threads: any; a text belongs to its caller. Units: as the kernel counts, named in each struct.
 * Source: proc(5), Documentation/admin-guide/iostats.rst.
 */
#ifndef WEIR_AGENT_SOURCES_PROC_H
#define WEIR_AGENT_SOURCES_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is still to be read. */
struct wr_proc_text {
    const char *at;
    const char *end;
};

/* Cuts the next line off, without its newline. False at the end. */
bool wr_proc_line(struct wr_proc_text *text, struct wr_proc_text *ret_line);
/* Cuts the next word off, without the blanks around it. */
bool wr_proc_word(struct wr_proc_text *line, struct wr_proc_text *ret_word);
/* The next word as a number. */
bool wr_proc_number(struct wr_proc_text *line, uint64_t *ret_number);
bool wr_proc_is(const struct wr_proc_text *word, const char *text);

enum wr_proc_mode {
    WR_PROC_USER,
    WR_PROC_NICE,
    WR_PROC_SYSTEM,
    WR_PROC_IDLE,
    WR_PROC_IOWAIT,
    WR_PROC_IRQ,
    WR_PROC_SOFTIRQ,
    WR_PROC_STEAL,
    WR_PROC_MODES
};

/* /proc/stat. */
struct wr_proc_stat {
    uint64_t ticks[WR_PROC_MODES]; /* since boot, all processors together */
    uint64_t processors;
    uint64_t running; /* processes */
    uint64_t blocked;
    uint64_t forks; /* since boot */
};
bool wr_proc_stat(struct wr_proc_text text, struct wr_proc_stat *ret_stat);

/* /proc/meminfo, in bytes. */
struct wr_proc_memory {
    uint64_t total;
    uint64_t free;
    uint64_t available; /* what programs may still get without swapping */
    uint64_t buffers;
    uint64_t cached; /* with reclaimable slab */
    uint64_t swap_total;
    uint64_t swap_free;
};
bool wr_proc_memory(struct wr_proc_text text, struct wr_proc_memory *ret_memory);

/* /proc/loadavg. */
struct wr_proc_load {
    double load[3]; /* of 1, 5 and 15 minutes */
    uint64_t threads;
};
bool wr_proc_load(struct wr_proc_text text, struct wr_proc_load *ret_load);

/* The next device of /proc/diskstats; false: no more. */
struct wr_proc_disk {
    char name[64];
    uint64_t reads, read_sectors, read_ms; /* since boot; a sector is 512 bytes here, whatever the device has */
    uint64_t writes, written_sectors, write_ms;
    uint64_t in_flight, busy_ms;
};
bool wr_proc_next_disk(struct wr_proc_text *text, struct wr_proc_disk *ret_disk);

/* The next interface of /proc/net/dev; false: no more. */
struct wr_proc_interface {
    char name[64];
    uint64_t received_bytes, received_packets, receive_errors, receive_drops;
    uint64_t sent_bytes, sent_packets, send_errors, send_drops;
};
bool wr_proc_next_interface(struct wr_proc_text *text, struct wr_proc_interface *ret_interface);

/* The next mount of /proc/self/mountinfo; false: no more. One whose path is longer is passed over. */
struct wr_proc_mount {
    uint64_t major, minor;
    char path[512];
    char type[32];
    char device[128]; /* "-" when it has no name that fits */
};
bool wr_proc_next_mount(struct wr_proc_text *text, struct wr_proc_mount *ret_mount);

/* A file that holds one whole number, as those of hwmon and thermal zones do. */
bool wr_proc_value(struct wr_proc_text text, int64_t *ret_value);

#endif
