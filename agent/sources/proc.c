#include "agent/sources/proc.h"

#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

/* -- words ----------------------------------------------------------------------------------------------------------------------------- */

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

bool wr_proc_line(struct wr_proc_text *text, struct wr_proc_text *ret_line) {
    if (text->at == text->end)
        return false;
    const char *newline = memchr(text->at, '\n', (size_t)(text->end - text->at));
    *ret_line = (struct wr_proc_text){text->at, newline ? newline : text->end};
    text->at = newline ? newline + 1 : text->end;
    return true;
}

bool wr_proc_word(struct wr_proc_text *line, struct wr_proc_text *ret_word) {
    while (line->at < line->end && is_blank(*line->at))
        line->at++;
    const char *start = line->at;
    while (line->at < line->end && !is_blank(*line->at) && *line->at != '\n')
        line->at++;
    *ret_word = (struct wr_proc_text){start, line->at};
    return line->at > start;
}

static bool number_of(const struct wr_proc_text *word, uint64_t *ret_number) {
    uint64_t number = 0;
    for (const char *p = word->at; p < word->end; p++)
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*p - '0'), &number))
            return false;
    *ret_number = number;
    return word->at < word->end;
}

bool wr_proc_number(struct wr_proc_text *line, uint64_t *ret_number) {
    struct wr_proc_text word;
    return wr_proc_word(line, &word) && number_of(&word, ret_number);
}

bool wr_proc_is(const struct wr_proc_text *word, const char *text) {
    const size_t len = strlen(text);
    return (size_t)(word->end - word->at) == len && memcmp(word->at, text, len) == 0;
}

/* Copies a word that is a name, and resolves \ooo. False: empty, too long, or no text: control characters, not UTF-8. */
static bool copy_name(char *into, size_t size, const struct wr_proc_text *word) {
    size_t len = 0;
    for (const char *p = word->at; p < word->end; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '\\' && word->end - p > 3 && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' && p[3] <= '7') {
            c = (unsigned char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
            p += 3;
        }
        if (c < ' ' || c == 127 || len + 1 >= size)
            return false;
        into[len++] = (char)c;
    }
    into[len] = '\0';
    for (size_t i = 0, n; i < len; i += n)
        if ((n = wr_utf8_length(into + i, len - i)) == 0)
            return false;
    return len > 0;
}

static bool numbers(struct wr_proc_text *line, uint64_t *const *into, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!wr_proc_number(line, into[i]))
            return false;
    return true;
}

static bool skip_numbers(struct wr_proc_text *line, unsigned n) {
    uint64_t unused;
    for (; n > 0; n--)
        if (!wr_proc_number(line, &unused))
            return false;
    return true;
}

/* -- files of one record --------------------------------------------------------------------------------------------------------------- */

bool wr_proc_stat(struct wr_proc_text text, struct wr_proc_stat *ret_stat) {
    struct wr_proc_stat stat = {.processors = 0};
    struct wr_proc_text line, word;
    bool whole = false;
    while (wr_proc_line(&text, &line)) {
        if (!wr_proc_word(&line, &word))
            continue;
        if (wr_proc_is(&word, "cpu")) {
            unsigned mode = 0;
            while (mode < WR_PROC_MODES && wr_proc_number(&line, &stat.ticks[mode]))
                mode++;
            whole = mode > WR_PROC_IDLE; /* old kernels have no more than these four */
            for (; mode < WR_PROC_MODES; mode++)
                stat.ticks[mode] = 0;
        } else if (word.end - word.at > 3 && memcmp(word.at, "cpu", 3) == 0) {
            stat.processors++;
        } else if (wr_proc_is(&word, "processes")) {
            (void)wr_proc_number(&line, &stat.forks);
        } else if (wr_proc_is(&word, "procs_running")) {
            (void)wr_proc_number(&line, &stat.running);
        } else if (wr_proc_is(&word, "procs_blocked")) {
            (void)wr_proc_number(&line, &stat.blocked);
        }
    }
    if (whole)
        *ret_stat = stat;
    return whole;
}

bool wr_proc_memory(struct wr_proc_text text, struct wr_proc_memory *ret_memory) {
    struct wr_proc_memory memory = {.total = 0};
    uint64_t reclaimable = 0;
    bool has_available = false;
    const struct {
        const char *name;
        uint64_t *value;
    } rows[] = {{"MemTotal:", &memory.total},       {"MemFree:", &memory.free},      {"MemAvailable:", &memory.available},
                {"Buffers:", &memory.buffers},      {"Cached:", &memory.cached},     {"SReclaimable:", &reclaimable},
                {"SwapTotal:", &memory.swap_total}, {"SwapFree:", &memory.swap_free}};
    struct wr_proc_text line, word;
    while (wr_proc_line(&text, &line)) {
        uint64_t kilobytes;
        if (!wr_proc_word(&line, &word) || !wr_proc_number(&line, &kilobytes) || kilobytes > UINT64_MAX / 4096)
            continue;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if (wr_proc_is(&word, rows[i].name))
                *rows[i].value = kilobytes * 1024;
        has_available = has_available || wr_proc_is(&word, "MemAvailable:");
    }
    memory.cached += reclaimable;
    if (!has_available) /* before Linux 3.14 */
        memory.available = memory.free + memory.buffers + memory.cached;
    if (memory.total == 0 || memory.free > memory.total || memory.swap_free > memory.swap_total)
        return false;
    if (memory.available > memory.total)
        memory.available = memory.total;
    *ret_memory = memory;
    return true;
}

/* "0.52" */
static bool decimal_of(const struct wr_proc_text *word, double *ret_value) {
    char text[32];
    const size_t len = (size_t)(word->end - word->at);
    if (len == 0 || len >= sizeof text)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((word->at[i] < '0' || word->at[i] > '9') && word->at[i] != '.')
            return false;
    memcpy(text, word->at, len);
    text[len] = '\0';
    char *end;
    *ret_value = strtod(text, &end);
    return *end == '\0';
}

bool wr_proc_load(struct wr_proc_text text, struct wr_proc_load *ret_load) {
    struct wr_proc_load load = {.threads = 0};
    struct wr_proc_text word;
    for (size_t i = 0; i < 3; i++)
        if (!wr_proc_word(&text, &word) || !decimal_of(&word, &load.load[i]))
            return false;
    if (!wr_proc_word(&text, &word)) /* "3/133": running and all */
        return false;
    const char *slash = memchr(word.at, '/', (size_t)(word.end - word.at));
    if (!slash || !number_of(&(struct wr_proc_text){slash + 1, word.end}, &load.threads))
        return false;
    *ret_load = load;
    return true;
}

bool wr_proc_value(struct wr_proc_text text, int64_t *ret_value) {
    struct wr_proc_text word;
    uint64_t number;
    if (!wr_proc_word(&text, &word))
        return false;
    const bool negative = *word.at == '-';
    word.at += negative;
    if (!number_of(&word, &number) || number > INT64_MAX)
        return false;
    *ret_value = negative ? -(int64_t)number : (int64_t)number;
    return true;
}

/* -- lists ----------------------------------------------------------------------------------------------------------------------------- */

bool wr_proc_next_disk(struct wr_proc_text *text, struct wr_proc_disk *ret_disk) {
    struct wr_proc_text line, word;
    while (wr_proc_line(text, &line)) {
        struct wr_proc_disk disk;
        uint64_t unused;
        uint64_t *const columns[] = {&disk.reads,           &unused,        &disk.read_sectors, &disk.read_ms, &disk.writes, &unused,
                                     &disk.written_sectors, &disk.write_ms, &disk.in_flight,    &disk.busy_ms};
        if (!skip_numbers(&line, 2) || !wr_proc_word(&line, &word) || !copy_name(disk.name, sizeof disk.name, &word) ||
            !numbers(&line, columns, sizeof columns / sizeof columns[0]))
            continue;
        *ret_disk = disk;
        return true;
    }
    return false;
}

bool wr_proc_next_interface(struct wr_proc_text *text, struct wr_proc_interface *ret_interface) {
    struct wr_proc_text line, word;
    while (wr_proc_line(text, &line)) {
        struct wr_proc_interface it;
        uint64_t unused;
        uint64_t *const columns[] = {
            &it.received_bytes, &it.received_packets, &it.receive_errors, &it.receive_drops, &unused, &unused, &unused, &unused,
            &it.sent_bytes,     &it.sent_packets,     &it.send_errors,    &it.send_drops};
        const char *colon = memchr(line.at, ':', (size_t)(line.end - line.at)); /* "eth0:17" is possible */
        if (!colon)
            continue;
        struct wr_proc_text name = {line.at, colon};
        line.at = colon + 1;
        if (!wr_proc_word(&name, &word) || !copy_name(it.name, sizeof it.name, &word) ||
            !numbers(&line, columns, sizeof columns / sizeof columns[0]))
            continue;
        *ret_interface = it;
        return true;
    }
    return false;
}

/* "36 35 98:0 /root /mount/point rw,noatime [tags...] - ext4 /dev/sda1 rw" */
static bool mount_of(struct wr_proc_text line, struct wr_proc_mount *mount) {
    struct wr_proc_text word;
    if (!skip_numbers(&line, 2) || !wr_proc_word(&line, &word))
        return false;
    const char *colon = memchr(word.at, ':', (size_t)(word.end - word.at));
    if (!colon || !number_of(&(struct wr_proc_text){word.at, colon}, &mount->major) ||
        !number_of(&(struct wr_proc_text){colon + 1, word.end}, &mount->minor))
        return false;
    (void)wr_proc_word(&line, &word); /* what of the file system is mounted */
    if (!wr_proc_word(&line, &word) || !copy_name(mount->path, sizeof mount->path, &word))
        return false;
    do
        if (!wr_proc_word(&line, &word))
            return false;
    while (!wr_proc_is(&word, "-"));
    if (!wr_proc_word(&line, &word) || !copy_name(mount->type, sizeof mount->type, &word))
        return false;
    if (!wr_proc_word(&line, &word) || !copy_name(mount->device, sizeof mount->device, &word))
        strcpy(mount->device, "-");
    return mount->path[0] == '/';
}

bool wr_proc_next_mount(struct wr_proc_text *text, struct wr_proc_mount *ret_mount) {
    struct wr_proc_text line;
    while (wr_proc_line(text, &line))
        if (mount_of(line, ret_mount))
            return true;
    return false;
}
