#include "agent/receive/file_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/receive/file_output.h"
#include "agent/receive/key_log.h"
#include "core/clock.h"
#include "core/log.h"

#define OUTPUTS (WR_MESSAGE_KINDS + 1) /* one a kind, and the list of segments */

/* A message of the batch: its lines are text[from .. to) of its kind. */
struct entry {
    struct wr_message_origin origin;
    enum wr_message_kind kind; /* which output */
    bool dropped;
    bool known;
    uint64_t aggregates;
    uint64_t texts;
    uint64_t readings;
    size_t from;
    size_t to;
};

struct file_sink {
    struct wr_file_sink_options options;
    char *state;
    int directory_fd;
    int instance_fd; /* locked while we live */
    struct wr_key_log log;
    bool logged; /* there is a key log; else known keys are in `seen` */
    struct wr_key_set seen;
    struct wr_file_output outputs[OUTPUTS];
    bool recovered; /* the outputs are as the key log says */
    struct wr_buf text[OUTPUTS];
    struct entry *entries;
    size_t n;
    size_t cap;
    struct wr_message_key *keys;     /* of one commit */
    struct wr_message_origin origin; /* of the open entry */
    struct wr_render render;
    struct wr_sink_counts counts;
};

/* -- the batch ------------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result begin(void *self, const struct wr_message_origin *origin, struct wr_error *err) {
    struct file_sink *sink = self;
    if (sink->n == sink->cap) {
        const size_t cap = sink->cap > 0 ? sink->cap * 2 : 64;
        struct entry *entries = realloc(sink->entries, cap * sizeof *entries);
        if (entries)
            sink->entries = entries;
        struct wr_message_key *keys = entries ? realloc(sink->keys, cap * sizeof *keys) : NULL;
        if (!keys)
            return wr_error_set(err, WR_NO_MEMORY, "no memory for a batch of %zu messages", cap);
        sink->keys = keys;
        sink->cap = cap;
    }
    const enum wr_message_kind kind = origin->kind == WR_MESSAGE_EVENT ? WR_MESSAGE_AGG : origin->kind;
    sink->origin = *origin;
    sink->entries[sink->n++] = (struct entry){.origin = *origin, .kind = kind, .from = sink->text[kind].len, .to = sink->text[kind].len};
    wr_render_begin(&sink->render, sink->options.format, &sink->text[kind], &sink->origin);
    return WR_OK;
}

static enum wr_result told(enum wr_result result, struct wr_error *err) {
    return result == WR_OK        ? WR_OK
           : result == WR_INVALID ? wr_error_set(err, WR_INVALID, "a record that this format cannot hold: it has nothing to show")
                                  : wr_error_set(err, WR_NO_MEMORY, "no memory for the lines of a message");
}

static enum wr_result aggregate(void *self, const struct wr_aggregate *aggregate, struct wr_error *err) {
    struct file_sink *sink = self;
    struct entry *entry = &sink->entries[sink->n - 1];
    entry->aggregates++;
    entry->readings += wr_aggregate_readings(aggregate);
    return told(wr_render_aggregate(&sink->render, aggregate), err);
}

static enum wr_result text(void *self, const char *json, size_t len, struct wr_error *err) {
    struct file_sink *sink = self;
    struct entry *entry = &sink->entries[sink->n - 1];
    entry->texts++;
    return told(wr_render_text(&sink->render, json, len), err);
}

static void end(void *self, bool keep) {
    struct file_sink *sink = self;
    struct entry *entry = &sink->entries[sink->n - 1];
    if (!keep) {
        sink->text[entry->kind].len = entry->from;
        sink->n--;
        return;
    }
    entry->to = sink->text[entry->kind].len;
}

static size_t bytes(const void *self) {
    const struct file_sink *sink = self;
    size_t sum = sink->n * sizeof(struct entry);
    for (int i = 0; i < OUTPUTS; i++)
        sum += sink->text[i].len;
    return sum;
}

static void drop(void *self, size_t entry) {
    struct file_sink *sink = self;
    sink->entries[entry].dropped = true;
}

static void clear(void *self) {
    struct file_sink *sink = self;
    sink->n = 0;
    for (int i = 0; i < OUTPUTS; i++)
        wr_buf_clear(&sink->text[i]);
}

static void counts(const void *self, struct wr_sink_counts *ret_counts) {
    const struct file_sink *sink = self;
    *ret_counts = sink->counts;
}

/* -- the commit ------------------------------------------------------------------------------------------------------------------------------- */

/* Marks what is known already, or twice in the batch; the keys of the others into sink->keys. */
static enum wr_result sift(struct file_sink *sink, size_t *ret_n, struct wr_error *err) {
    struct wr_key_set now;
    enum wr_result result = WR_OK;
    size_t n = 0;
    wr_key_set_init(&now);
    for (size_t i = 0; i < sink->n && result == WR_OK; i++) {
        struct entry *entry = &sink->entries[i];
        entry->known = false;
        if (entry->dropped || !entry->origin.keyed)
            continue;
        const struct wr_message_key *key = &entry->origin.key;
        entry->known = (sink->logged ? wr_key_log_has(&sink->log, key) : wr_key_set_has(&sink->seen, key->node, key->epoch, key->seq)) ||
                       wr_key_set_has(&now, key->node, key->epoch, key->seq);
        if (!entry->known) {
            sink->keys[n++] = *key;
            result = wr_key_set_add(&now, key->node, key->epoch, key->seq, key->seq);
        }
    }
    wr_key_set_fini(&now);
    *ret_n = n;
    return result == WR_OK ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory for the keys of a batch");
}

static bool is_new(const struct entry *entry) {
    return !entry->dropped && !entry->known;
}

/* All new lines of a kind; runs of neighbours in one write. */
static enum wr_result write_kind(struct file_sink *sink, enum wr_message_kind kind, bool *ret_wrote, struct wr_error *err) {
    const uint8_t *data = sink->text[kind].data;
    size_t from = 0;
    size_t to = 0;
    *ret_wrote = false;
    for (size_t i = 0; i <= sink->n; i++) {
        const struct entry *entry = i < sink->n ? &sink->entries[i] : NULL;
        if (entry && (entry->kind != kind || !is_new(entry) || entry->from == entry->to))
            continue;
        if (entry && entry->from == to) {
            to = entry->to;
            continue;
        }
        if (to > from) {
            WR_TRY(wr_file_output_append(&sink->outputs[kind], data + from, to - from, err));
            *ret_wrote = true;
        }
        from = entry ? entry->from : 0;
        to = entry ? entry->to : 0;
    }
    return WR_OK;
}

/* Where records are JSON: a line for each new segment, for the audit. */
static enum wr_result write_list(struct file_sink *sink, bool *ret_wrote, struct wr_error *err) {
    struct wr_buf *list = &sink->text[WR_MESSAGE_LIST];
    wr_buf_clear(list);
    for (size_t i = 0; i < sink->n && sink->options.format == WR_RENDER_JSON; i++) {
        const struct entry *entry = &sink->entries[i];
        if (is_new(entry) && entry->origin.keyed &&
            wr_render_list(list, &entry->origin, entry->aggregates + entry->texts, entry->readings) != WR_OK)
            return wr_error_set(err, WR_NO_MEMORY, "no memory for the list of a batch");
    }
    *ret_wrote = list->len > 0;
    return list->len > 0 ? wr_file_output_append(&sink->outputs[WR_MESSAGE_LIST], list->data, list->len, err) : WR_OK;
}

static enum wr_result recover(struct file_sink *sink, struct wr_error *err) {
    for (int kind = 0; kind < OUTPUTS && sink->directory_fd >= 0; kind++) {
        const struct wr_key_file *known = wr_key_log_file(&sink->log, sink->options.instance, (enum wr_message_kind)kind);
        WR_TRY(wr_file_output_recover(&sink->outputs[kind], known, err));
    }
    sink->recovered = true;
    return WR_OK;
}

/* Steps 1 and 2 of agent/receive/key_log.h. */
static enum wr_result write_batch(struct file_sink *sink, struct wr_error *err) {
    struct wr_key_file marks[OUTPUTS];
    size_t n_marks = 0;
    size_t n_keys;
    if (!sink->recovered)
        WR_TRY(recover(sink, err));
    WR_TRY(sift(sink, &n_keys, err));
    sink->recovered = false; /* until all is done */
    for (int kind = 0; kind < OUTPUTS; kind++) {
        bool wrote = false;
        WR_TRY(kind == WR_MESSAGE_LIST ? write_list(sink, &wrote, err) : write_kind(sink, (enum wr_message_kind)kind, &wrote, err));
        if (!wrote)
            continue;
        WR_TRY(wr_file_output_sync(&sink->outputs[kind], err));
        marks[n_marks++] = wr_file_output_mark(&sink->outputs[kind]);
    }
    WR_TRY(wr_key_log_commit(&sink->log, sink->keys, n_keys, marks, n_marks, err));
    for (int kind = 0; kind < OUTPUTS; kind++)
        wr_file_output_committed(&sink->outputs[kind]);
    sink->recovered = true;
    return WR_OK;
}

static enum wr_result write_stdout(struct file_sink *sink, struct wr_error *err) {
    size_t n_keys;
    WR_TRY(sift(sink, &n_keys, err));
    for (size_t i = 0; i < sink->n; i++) {
        const struct entry *entry = &sink->entries[i];
        if (is_new(entry) && entry->to > entry->from &&
            fwrite(sink->text[entry->kind].data + entry->from, 1, entry->to - entry->from, stdout) != entry->to - entry->from)
            return wr_error_set(err, WR_CLOSED, "standard output: %s", strerror(errno));
    }
    if (fflush(stdout) != 0)
        return wr_error_set(err, WR_CLOSED, "standard output: %s", strerror(errno));
    if (sink->logged)
        return wr_key_log_commit(&sink->log, sink->keys, n_keys, NULL, 0, err);
    for (size_t i = 0; i < n_keys; i++)
        if (wr_key_set_add(&sink->seen, sink->keys[i].node, sink->keys[i].epoch, sink->keys[i].seq, sink->keys[i].seq) != WR_OK)
            return wr_error_set(err, WR_NO_MEMORY, "no memory for the keys of a batch");
    return WR_OK;
}

static void count(struct file_sink *sink) {
    for (size_t i = 0; i < sink->n; i++) {
        const struct entry *entry = &sink->entries[i];
        if (entry->dropped)
            continue;
        if (entry->known) {
            sink->counts.known++;
            continue;
        }
        sink->counts.segments += entry->origin.keyed;
        sink->counts.aggregates += entry->aggregates;
        sink->counts.texts += entry->texts;
        sink->counts.readings += entry->readings;
    }
}

/* A failure leaves the file as it is: the records in it are committed. */
static void rotate(struct file_sink *sink, bool all) {
    const int64_t now_ns = wr_clock_boot_ns(wr_clock_real());
    for (int kind = 0; kind < OUTPUTS; kind++) {
        struct wr_file_output *output = &sink->outputs[kind];
        const bool due =
            all || output->committed >= sink->options.rotate_bytes || now_ns - output->opened_boot_ns >= sink->options.rotate_ns;
        struct wr_error err;
        if (output->fd >= 0 && due && wr_file_output_finish(output, &err) != WR_OK)
            WR_LOG_WITH(WR_LOG_WARN, "files", "a file was not finished, it is tried again", WR_LOG_ERR(&err));
    }
}

static enum wr_result commit(void *self, size_t *ret_poison, struct wr_error *err) {
    struct file_sink *sink = self;
    (void)ret_poison; /* nothing that was rendered is refused by a file */
    if (sink->logged)
        WR_TRY(wr_key_log_lock(&sink->log, err));
    enum wr_result result = WR_OK;
    if (sink->n > 0)
        result = sink->directory_fd >= 0 ? write_batch(sink, err) : write_stdout(sink, err);
    if (sink->logged)
        wr_key_log_unlock(&sink->log);
    if (result != WR_OK)
        return result;
    count(sink);
    clear(sink);
    if (sink->recovered)
        rotate(sink, false);
    return WR_OK;
}

/* -- life ------------------------------------------------------------------------------------------------------------------------------------------ */

static void close_sink(void *self) {
    struct file_sink *sink = self;
    if (sink->recovered)
        rotate(sink, true);
    for (int i = 0; i < OUTPUTS; i++) {
        wr_file_output_close(&sink->outputs[i]);
        wr_buf_fini(&sink->text[i]);
    }
    if (sink->logged)
        wr_key_log_close(&sink->log);
    wr_key_set_fini(&sink->seen);
    if (sink->instance_fd >= 0)
        close(sink->instance_fd);
    if (sink->directory_fd >= 0)
        close(sink->directory_fd);
    free(sink->entries);
    free(sink->keys);
    free(sink->state);
    free(sink);
}

static const struct wr_receive_sink_ops ops = {begin, aggregate, text, end, bytes, commit, drop, clear, counts, close_sink};

static enum wr_result open_directory(struct file_sink *sink, struct wr_error *err) {
    const char *directory = sink->options.directory;
    if (!directory)
        return WR_OK;
    if (mkdir(directory, 0750) != 0 && errno != EEXIST)
        return wr_error_set(err, WR_IO, "%s: %s", directory, strerror(errno));
    sink->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (sink->directory_fd < 0)
        return wr_error_set(err, WR_IO, "%s: %s", directory, strerror(errno));
    for (int i = 0; i < OUTPUTS; i++)
        sink->outputs[i].directory_fd = sink->directory_fd;
    return WR_OK;
}

static enum wr_result open_state(struct file_sink *sink, struct wr_error *err) {
    char name[WR_MESSAGE_NAME_BYTES + 16];
    if (!sink->state)
        return WR_OK;
    sink->logged = true;
    WR_TRY(wr_key_log_open(&sink->log, sink->state, err));
    (void)snprintf(name, sizeof name, "instance-%s", sink->options.instance);
    sink->instance_fd = openat(sink->log.directory_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (sink->instance_fd < 0)
        return wr_error_set(err, WR_IO, "%s/%s: %s", sink->state, name, strerror(errno));
    if (flock(sink->instance_fd, LOCK_EX | LOCK_NB) != 0)
        return wr_error_set(err, WR_BUSY, "%s: another weir-receive runs as instance '%s': give each a name of its own with `instance`",
                            sink->state, sink->options.instance);
    WR_TRY(wr_key_log_lock(&sink->log, err));
    const enum wr_result result = recover(sink, err);
    wr_key_log_unlock(&sink->log);
    return result;
}

enum wr_result wr_file_sink_new(const struct wr_file_sink_options *options, struct wr_receive_sink *ret_sink, struct wr_error *err) {
    struct file_sink *sink = calloc(1, sizeof *sink);
    if (!sink)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the output");
    sink->options = *options;
    sink->directory_fd = sink->instance_fd = -1;
    wr_key_set_init(&sink->seen);
    for (int i = 0; i < OUTPUTS; i++) {
        wr_buf_init(&sink->text[i], 0);
        wr_file_output_init(&sink->outputs[i], -1, options->instance, (enum wr_message_kind)i, options->format);
    }
    enum wr_result result = WR_OK;
    if (options->state)
        sink->state = strdup(options->state);
    else if (options->directory && asprintf(&sink->state, "%s/.keys", options->directory) < 0)
        sink->state = NULL;
    if (!sink->state && (options->state || options->directory))
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for the output");
    if (result == WR_OK)
        result = open_directory(sink, err);
    if (result == WR_OK)
        result = open_state(sink, err);
    if (result != WR_OK) {
        sink->recovered = false;
        close_sink(sink);
        return result;
    }
    *ret_sink = (struct wr_receive_sink){&ops, sink};
    return WR_OK;
}
