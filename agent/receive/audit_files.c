/* The audit of a directory of files: what `gap-*.jsonl` say the nodes have, and what `segment-*.jsonl` say is here. Both as of one moment, that
 * of the key log's last record: receivers may go on writing. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/codec/json_scan.h"
#include "agent/receive/audit.h"
#include "agent/receive/key_log.h"
#include "agent/receive/ledger.h"
#include "agent/receive/members.h"

#define NAME_BYTES 200

/* The books at a cut, of the records that were found of it. */
struct cut {
    size_t epoch; /* index in the audit */
    bool known;   /* its time */
    struct wr_receive_ledger ledger;
};

struct reading {
    const char *directory;
    const char *state;
    struct wr_audit *audit;
    struct cut *cuts;
    size_t n_cuts, cap_cuts;
    struct wr_key_set here;
    struct wr_key_file *parts; /* how far unfinished files count */
    size_t n_parts;
    struct wr_error *err;
};

static enum wr_result no_memory(struct wr_error *err) {
    return wr_error_set(err, WR_NO_MEMORY, "no memory for the audit");
}

/* -- lines -------------------------------------------------------------------------------------------------------------------------------------- */

static bool member_name(const char *json, size_t len, const char *name, char *into, size_t size) {
    struct wr_word value;
    if (!wr_members_find(json, len, name, &value) || value.text[0] != '"' || value.len < 2 || value.len - 2 >= size)
        return false;
    memcpy(into, value.text + 1, value.len - 2);
    into[value.len - 2] = '\0';
    return true;
}

static struct wr_audit_epoch *find_epoch(struct wr_audit *audit, const char *node, uint64_t epoch) {
    for (size_t i = audit->n; i-- > 0;)
        if (audit->epochs[i].epoch == epoch && strcmp(audit->epochs[i].node, node) == 0)
            return &audit->epochs[i];
    return NULL;
}

/* The epoch of this line, made if it is new. NULL: no memory. */
static struct wr_audit_epoch *epoch_of(struct reading *reading, const char *node, uint64_t number, const char *json, size_t len) {
    struct wr_audit_epoch *epoch = find_epoch(reading->audit, node, number);
    if (!epoch && (epoch = wr_audit_add_epoch(reading->audit)) != NULL) {
        epoch->epoch = number;
        epoch->known_ns = INT64_MIN;
        (void)snprintf(epoch->node, sizeof epoch->node, "%s", node);
        if (!member_name(json, len, "site", epoch->site, sizeof epoch->site))
            (void)snprintf(epoch->site, sizeof epoch->site, "-");
    }
    return epoch;
}

/* Records of one cut come together, so the search begins at the end. Mostly one has all accounts, and none is searched for. */
static enum wr_result add_cut(struct reading *reading, size_t epoch, const struct wr_receive_ledger *ledger, bool known) {
    for (size_t i = ledger->n < ledger->of ? reading->n_cuts : 0; i-- > 0;) {
        struct cut *cut = &reading->cuts[i];
        if (cut->epoch != epoch || cut->ledger.cut != ledger->cut)
            continue;
        cut->ledger.n += ledger->n;
        for (unsigned book = 0; book < WR_BOOKS; book++)
            cut->ledger.books[book] += ledger->books[book];
        return WR_OK;
    }
    if (reading->n_cuts == reading->cap_cuts) {
        const size_t cap = reading->cap_cuts > 0 ? 2 * reading->cap_cuts : 64;
        struct cut *grown = realloc(reading->cuts, cap * sizeof *grown);
        if (!grown)
            return no_memory(reading->err);
        reading->cuts = grown;
        reading->cap_cuts = cap;
    }
    reading->cuts[reading->n_cuts++] = (struct cut){epoch, known, *ledger};
    return WR_OK;
}

static enum wr_result add_losses(struct reading *reading, const char *node, const char *json, size_t len) {
    struct wr_audit_loss loss = {.from_ns = wr_members_int(json, len, "from_ns", 0), .to_ns = wr_members_int(json, len, "to_ns", 0)};
    struct wr_word list;
    struct wr_word account;
    (void)snprintf(loss.node, sizeof loss.node, "%s", node);
    if (!member_name(json, len, "reason", loss.reason, sizeof loss.reason) || !wr_members_find(json, len, "accounts", &list) ||
        list.text[0] != '[')
        return WR_OK;
    struct wr_json_scan scan = wr_json_scan_begin(list.text, list.text + list.len, true);
    if (!wr_json_scan_enter(&scan))
        return WR_OK;
    while (wr_json_scan_value(&scan, &account)) {
        const int64_t readings = account.text[0] == '{' ? wr_members_int(account.text, account.len, "readings", 0) : 0;
        if (readings <= 0 || !member_name(account.text, account.len, "source", loss.account.source, sizeof loss.account.source) ||
            !member_name(account.text, account.len, "window", loss.account.window, sizeof loss.account.window))
            continue;
        loss.readings = (uint64_t)readings;
        if (wr_audit_add_loss(reading->audit, &loss) != WR_OK)
            return no_memory(reading->err);
    }
    return WR_OK;
}

static enum wr_result take_gap(struct reading *reading, const char *node, const char *json, size_t len) {
    struct wr_receive_ledger ledger;
    const enum wr_result read = wr_receive_ledger_read(json, len, NULL, NULL, &ledger, reading->err);
    if (read == WR_NOT_FOUND)
        return add_losses(reading, node, json, len);
    WR_TRY(read);
    const struct wr_audit_epoch *epoch = epoch_of(reading, node, ledger.epoch, json, len);
    char quality[16];
    const bool known =
        !member_name(json, len, "time_quality", quality, sizeof quality) || strcmp(quality, wr_time_quality_name(WR_TIME_UNTRUSTED)) != 0;
    return epoch ? add_cut(reading, (size_t)(epoch - reading->audit->epochs), &ledger, known) : no_memory(reading->err);
}

static enum wr_result take_segment(struct reading *reading, const char *node, const char *json, size_t len) {
    char hex[17];
    uint64_t number;
    const int64_t seq = wr_members_int(json, len, "seq", 0);
    const int64_t readings = wr_members_int(json, len, "readings", -1);
    if (!member_name(json, len, "epoch", hex, sizeof hex) || !wr_message_epoch((struct wr_word){hex, strlen(hex)}, &number) || seq <= 0 ||
        readings < 0)
        return wr_error_set(reading->err, WR_INVALID, "no line of a list of segments");
    struct wr_audit_epoch *epoch = epoch_of(reading, node, number, json, len);
    if (!epoch)
        return no_memory(reading->err);
    if (wr_key_set_has(&reading->here, node, number, seq)) /* files of several directories were gathered in one */
        return WR_OK;
    if (seq > epoch->last_cut)
        epoch->newer++;
    else if (seq >= epoch->first_cut) {
        epoch->arrived += (uint64_t)readings;
        epoch->absent--; /* all of them, until they are found */
    }
    return wr_key_set_add(&reading->here, node, number, seq, seq) == WR_OK ? WR_OK : no_memory(reading->err);
}

/* -- files -------------------------------------------------------------------------------------------------------------------------------------- */

typedef enum wr_result take_line(struct reading *reading, const char *node, const char *json, size_t len);

static enum wr_result take_checked(struct reading *reading, take_line *take, const char *line, size_t len) {
    char node[WR_MESSAGE_NAME_BYTES];
    struct wr_word object;
    struct wr_json_scan scan = wr_json_scan_begin(line, line + len, true);
    if (wr_json_scan_check(&scan, &object) != WR_JSON_FOUND || object.text[0] != '{' ||
        !member_name(object.text, object.len, "node", node, sizeof node))
        return wr_error_set(reading->err, WR_INVALID, "no record that weir-receive wrote");
    return take(reading, node, object.text, object.len);
}

static enum wr_result read_lines(struct reading *reading, take_line *take, FILE *file, const char *name, uint64_t limit) {
    char *line = NULL;
    size_t room = 0;
    uint64_t at = 0;
    uint64_t number = 0;
    enum wr_result result = WR_OK;
    ssize_t n;
    while (result == WR_OK && at < limit && (n = getline(&line, &room, file)) > 0 && at + (uint64_t)n <= limit) {
        at += (uint64_t)n;
        number++;
        result = take_checked(reading, take, line, (size_t)n);
        if (result != WR_OK)
            (void)!wr_error_wrap(reading->err, "%s/%s:%" PRIu64, reading->directory, name, number);
    }
    if (result == WR_OK && ferror(file))
        result = wr_error_set(reading->err, WR_IO, "%s/%s: %s", reading->directory, name, strerror(errno));
    free(line);
    return result;
}

/* How much of a file counts: all, as of the moment in which the key log was read. What was written behind it, by the receivers that go on, would
 * be a record without its segments, or the other way round. Of an unfinished file of which nobody knows, nothing counts. */
static uint64_t limit_of(const struct reading *reading, const char *name, bool is_part) {
    for (size_t i = 0; i < reading->n_parts; i++) {
        const struct wr_key_file *known = &reading->parts[i];
        char before[NAME_BYTES];
        char *end;
        const int len = snprintf(before, sizeof before, "%s-%s-", wr_message_kind_name((enum wr_message_kind)known->kind), known->instance);
        if (strncmp(name, before, (size_t)len) != 0)
            continue;
        const uint64_t number = strtoull(name + len, &end, 10);
        if (end == name + len || *end != '.') /* another instance, whose name begins like this one */
            continue;
        if (number == known->number)
            return known->length;
        if (number > known->number)
            return 0;
        break;
    }
    return is_part ? 0 : UINT64_MAX;
}

static enum wr_result read_file(struct reading *reading, take_line *take, const char *name) {
    char path[4096];
    const size_t len = strlen(name);
    const bool part = len > 5 && strcmp(name + len - 5, ".part") == 0;
    (void)snprintf(path, sizeof path, "%s/%s", reading->directory, name);
    FILE *file = fopen(path, "re");
    if (!file && part && errno == ENOENT) { /* it was finished meanwhile */
        path[strlen(path) - 5] = '\0';
        file = fopen(path, "re");
    }
    if (!file)
        return wr_error_set(reading->err, WR_IO, "%s: %s", path, strerror(errno));
    const enum wr_result result = read_lines(reading, take, file, name, limit_of(reading, name, part));
    fclose(file);
    return result;
}

static bool is_of(const char *name, const char *kind) {
    const size_t len = strlen(kind);
    const char *ending = strstr(name, ".jsonl");
    return strncmp(name, kind, len) == 0 && name[len] == '-' && ending &&
           (strcmp(ending, ".jsonl") == 0 || strcmp(ending, ".jsonl.part") == 0);
}

/* In order, so that the records of a cut come together. */
static enum wr_result read_kind(struct reading *reading, enum wr_message_kind kind, take_line *take) {
    struct dirent **names = NULL;
    const int n = scandir(reading->directory, &names, NULL, alphasort);
    if (n < 0)
        return wr_error_set(reading->err, errno == ENOENT ? WR_NOT_FOUND : WR_IO, "%s: %s", reading->directory, strerror(errno));
    enum wr_result result = WR_OK;
    for (int i = 0; i < n; i++) {
        if (result == WR_OK && is_of(names[i]->d_name, wr_message_kind_name(kind)))
            result = read_file(reading, take, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return result;
}

/* How far unfinished files are committed, by the key log; without one they do not count. */
static enum wr_result read_parts(struct reading *reading) {
    char state[4096];
    char keys[4200];
    struct stat status;
    struct wr_key_log log;
    (void)snprintf(state, sizeof state, "%s%s", reading->state ? reading->state : reading->directory, reading->state ? "" : "/.keys");
    (void)snprintf(keys, sizeof keys, "%s/keys", state);
    if (stat(keys, &status) != 0)
        return WR_OK;
    enum wr_result result = wr_key_log_open(&log, state, reading->err);
    if (result == WR_OK && log.n_files > 0) {
        reading->parts = malloc(log.n_files * sizeof *reading->parts);
        if (reading->parts) {
            memcpy(reading->parts, log.files, log.n_files * sizeof *reading->parts);
            reading->n_parts = log.n_files;
        } else {
            result = no_memory(reading->err);
        }
    }
    wr_key_log_close(&log);
    return result;
}

/* -- what was found --------------------------------------------------------------------------------------------------------------------------------- */

/* The first and the last cut of each epoch of which all records are here. */
static void choose_cuts(struct reading *reading) {
    for (size_t e = 0; e < reading->audit->n; e++) {
        struct wr_audit_epoch *epoch = &reading->audit->epochs[e];
        const struct wr_receive_ledger *first = NULL;
        for (size_t i = 0; i < reading->n_cuts; i++) {
            const struct wr_receive_ledger *ledger = &reading->cuts[i].ledger;
            if (reading->cuts[i].epoch != e || ledger->n < ledger->of)
                continue;
            if (!first || ledger->cut < first->cut)
                first = ledger;
            if (reading->cuts[i].known && ledger->time_ns > epoch->known_ns)
                epoch->known_ns = ledger->time_ns;
            if (ledger->cut <= epoch->last_cut)
                continue;
            epoch->last_cut = ledger->cut;
            epoch->time_ns = ledger->time_ns;
            memcpy(epoch->books, ledger->books, sizeof epoch->books);
        }
        if (!first)
            continue;
        epoch->first_cut = first->cut;
        epoch->absent = (uint64_t)(epoch->last_cut - epoch->first_cut + 1);
        wr_audit_between(epoch, first->books);
    }
}

static void add_hole(struct wr_audit_epoch *epoch, int64_t first, int64_t last) {
    if (first > last || epoch->n_holes == WR_AUDIT_HOLES)
        return;
    epoch->holes[epoch->n_holes].first = first;
    epoch->holes[epoch->n_holes++].last = last;
}

/* From the first cut to the last: what lies between the ranges that are here. */
static void find_holes(const struct wr_key_set *here, struct wr_audit_epoch *epoch) {
    int64_t next = epoch->first_cut;
    for (size_t i = 0; i < here->n; i++) {
        const struct wr_key_stream *stream = &here->streams[i];
        if (stream->epoch != epoch->epoch || strcmp(stream->node, epoch->node) != 0)
            continue;
        for (size_t r = 0; r < stream->n && stream->ranges[r].first <= epoch->last_cut; r++) {
            add_hole(epoch, next, stream->ranges[r].first - 1);
            next = stream->ranges[r].last >= next ? stream->ranges[r].last + 1 : next;
        }
    }
    add_hole(epoch, next, epoch->last_cut);
}

static bool is_same_node(const struct wr_audit_epoch *one, const struct wr_audit_epoch *two) {
    return strcmp(one->node, two->node) == 0;
}

/* Where an epoch without a time of its own stands: behind those whose books it goes on from. */
static int64_t place_of(const struct wr_audit *audit, const struct wr_audit_epoch *epoch) {
    int64_t place_ns = INT64_MIN;
    for (size_t i = 0; i < audit->n; i++) {
        const struct wr_audit_epoch *other = &audit->epochs[i];
        if (is_same_node(other, epoch) && other->known_ns > place_ns && other->books[WR_BOOK_TAKEN] <= epoch->books[WR_BOOK_TAKEN])
            place_ns = other->known_ns;
    }
    return place_ns;
}

static int compare(int64_t one, int64_t two) {
    return (one > two) - (one < two);
}

static int in_order(const void *a, const void *b) {
    const struct wr_audit_epoch *one = a;
    const struct wr_audit_epoch *two = b;
    int order = strcmp(one->node, two->node);
    if (order == 0)
        order = compare(one->place_ns, two->place_ns);
    if (order == 0)
        order = compare(one->known_ns == INT64_MIN, two->known_ns == INT64_MIN);
    if (order == 0)
        order = (one->books[WR_BOOK_TAKEN] > two->books[WR_BOOK_TAKEN]) - (one->books[WR_BOOK_TAKEN] < two->books[WR_BOOK_TAKEN]);
    return order;
}

static void sort(struct wr_audit *audit) {
    for (size_t i = 0; i < audit->n; i++) {
        struct wr_audit_epoch *epoch = &audit->epochs[i];
        epoch->place_ns = epoch->known_ns != INT64_MIN ? epoch->known_ns : place_of(audit, epoch);
    }
    if (audit->n > 1)
        qsort(audit->epochs, audit->n, sizeof *audit->epochs, in_order);
}

static enum wr_result read_all(struct reading *reading) {
    WR_TRY(read_parts(reading));
    WR_TRY(read_kind(reading, WR_MESSAGE_GAP, take_gap));
    choose_cuts(reading);
    WR_TRY(read_kind(reading, WR_MESSAGE_LIST, take_segment));
    for (size_t i = 0; i < reading->audit->n; i++)
        if (wr_audit_judge(&reading->audit->epochs[i]).off > 0)
            find_holes(&reading->here, &reading->audit->epochs[i]);
    sort(reading->audit);
    return WR_OK;
}

enum wr_result wr_audit_files(const char *directory, const char *state, struct wr_audit *audit, struct wr_error *err) {
    struct reading reading = {.directory = directory, .state = state, .audit = audit, .err = err};
    wr_key_set_init(&reading.here);
    const enum wr_result result = read_all(&reading);
    wr_key_set_fini(&reading.here);
    free(reading.cuts);
    free(reading.parts);
    return result;
}
