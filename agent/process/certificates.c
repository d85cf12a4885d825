#include "agent/process/certificates.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "core/json.h"
#include "core/log.h"
#include "transport/tls_expiry.h"

#define MAX (WR_CONFIG_SOURCES_MAX + 1)
#define TELL_NS WR_NS_PER_S
#define DAY_NS (86400 * WR_NS_PER_S)
#define HIGH_NS (7 * DAY_NS)
#define NO_END_DAYS 99999.0 /* told of a certificate that is good beyond 2262 (99991231 means: for ever), or that nobody uses any more */

struct certificate {
    char name[64];
    char *path;
    uint32_t series;
    bool of_source; /* else of the uplink */
    bool was_read;
    _Atomic int64_t expires_wall_ns; /* WR_NEVER_NS: not read yet, or beyond 2262 */
};

struct wr_certificates {
    struct wr_agent *agent;
    struct wr_scheduler_task task;
    bool others_ended;
    unsigned n;
    struct certificate list[MAX];
};

/* ---- which ones ---- */

/* The i-th certificate of a config. False: there are no more. */
static bool next(const struct wr_config *config, unsigned *cursor, const char **ret_name, const char **ret_path) {
    for (; *cursor <= config->n_sources; ++*cursor) {
        const struct wr_config_source *source = *cursor > 0 ? &config->sources[*cursor - 1] : NULL;
        *ret_name = source ? source->name : "uplink";
        *ret_path = source ? source->tls.cert : config->uplink ? config->uplink->cert : NULL;
        if (*ret_path) {
            ++*cursor; /* 1: that was the uplink's */
            return true;
        }
    }
    return false;
}

/* ---- the rules ---- */

#define RULE                                                                                                                               \
    "  - rule: weir_certificate_expires%s\n"                                                                                               \
    "    when: weir.certificate_days < %s\n"                                                                                               \
    "    by: certificate\n"                                                                                                                \
    "    severity: %s\n"                                                                                                                   \
    "    no_data: hold\n"                                                                                                                  \
    "    message: \"the certificate of {certificate} expires in {value} days\"\n"                                                          \
    "    respond: \"Put a new certificate and key in place of the old ones (the uplink's: weir enroll); they are read again by "           \
    "themselves\"\n"                                                                                                                       \
    "%s"

static const char *days(char text[32], int64_t ns) {
    text[wr_json_format_double(text, (double)ns / (double)DAY_NS)] = '\0';
    return text;
}

enum wr_result wr_certificates_rules(const struct wr_config *config, struct wr_buf *into) {
    const char *name, *path;
    unsigned cursor = 0;
    int64_t warn_ns = config->uplink ? config->uplink->expiry_warn_ns : 30 * DAY_NS;
    if (!next(config, &cursor, &name, &path) || warn_ns == 0)
        return WR_OK;
    char text[32];
    WR_TRY(wr_buf_text(into, "weir: 1\nrules:\n"));
    if (warn_ns > HIGH_NS)
        WR_TRY(wr_buf_printf(into, RULE, "_soon", days(text, warn_ns), "medium", ""));
    return wr_buf_printf(into, RULE, "", days(text, warn_ns < HIGH_NS ? warn_ns : HIGH_NS), "high",
                         "    consequence: \"Without a valid certificate there is no connection\"\n"
                         "    time_to_respond: 2d\n");
}

/* ---- telling the engine ---- */

static enum wr_result intern(struct wr_series_table *table, const char *name, uint32_t *ret_series, struct wr_error *err) {
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    struct wr_tag tag = {{"certificate", 11}, {name, strlen(name)}};
    WR_TRY(wr_series_key_make((struct wr_word){"weir", 4}, (struct wr_word){"certificate_days", 16}, &tag, 1, key, &len, err));
    if (wr_series_intern(table, key, len, ret_series) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory, or no series left, for the certificate of %s", name);
    (void)wr_series_fix_type(wr_series_get(table, *ret_series), WR_TYPE_FLOAT);
    return WR_OK;
}

struct told {
    uint32_t series;
    double days;
};

static void run_tell(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    const struct told *told = request->input;
    const struct wr_now now = wr_clock_now(loop->clock);
    struct wr_reading reading = {
        .event_ns = now.wall_ns, .value.f = told->days, .series = told->series, .type = WR_TYPE_FLOAT, .decimals = 1};
    enum wr_result result = wr_engine_tell(loop->engine, &reading, &now, &loop->out.alarms);
    wr_engine_loop_drain_alarms(loop);
    wr_request_finish(request, result == WR_FULL ? WR_OK : result); /* the next round tells it again */
}

static void tell(struct wr_certificates *certificates, const struct certificate *certificate, int64_t expires_ns) {
    const struct wr_now now = wr_clock_now(certificates->agent->clock);
    if (!now.wall_trusted)
        return;
    struct told *told = malloc(sizeof *told);
    struct wr_request *request;
    if (!told)
        return;
    *told = (struct told){.series = certificate->series, .days = NO_END_DAYS};
    if (expires_ns != WR_NEVER_NS)
        told->days = floor((double)(expires_ns - now.wall_ns) * 10 / (double)DAY_NS) / 10;
    if (wr_request_new(run_tell, told, free, &request, NULL) != WR_OK)
        return;
    (void)!wr_request_call(request, certificates->agent->engine.requests, now.boot_ns + TELL_NS, NULL);
    wr_request_release(request);
}

/* ---- alarms of those that are no longer configured ---- */

struct watched {
    const struct wr_agent *agent;
    unsigned n;
    char names[MAX][sizeof((struct certificate *)0)->name];
};

static bool is_watched(const struct watched *watched, const char *name) {
    for (unsigned i = 0; i < watched->n; i++)
        if (strcmp(watched->names[i], name) == 0)
            return true;
    return false;
}

/* The name in an alarm of the built-in rules; NULL: it is of another rule. */
static const char *certificate_of(const struct wr_alarm *alarm) {
    static const char rule[] = "weir_certificate_expires";
    static const char label[] = "certificate=";
    if (strncmp(alarm->rule, rule, strlen(rule)) != 0 || strncmp(alarm->instance, label, strlen(label)) != 0)
        return NULL;
    return alarm->instance + strlen(label);
}

/* A reload or a restart keeps an alarm whose series says nothing. One of a certificate that nobody uses any more would stay for ever. */
static void run_end_others(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    const struct watched *watched = request->input;
    const struct wr_now now = wr_clock_now(loop->clock);
    struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    struct wr_alarm_entry entry;
    uint32_t cursor = 0;
    enum wr_result result = watched->agent->restored ? WR_OK : WR_BUSY; /* the store may open late */
    while (evaluator && result == WR_OK && wr_evaluator_next_alarm(evaluator, false, &cursor, &entry)) {
        const char *name = certificate_of(&entry.alarm);
        struct wr_reading reading = {.event_ns = now.wall_ns, .value.f = NO_END_DAYS, .type = WR_TYPE_FLOAT, .decimals = 1};
        if (!name || is_watched(watched, name))
            continue;
        result = intern(watched->agent->series, name, &reading.series, NULL);
        if (result == WR_OK)
            result = wr_engine_tell(loop->engine, &reading, &now, &loop->out.alarms);
        wr_engine_loop_drain_alarms(loop);
    }
    wr_request_finish(request, result);
}

/* Once it is done it need not be done again: no new ones come. */
static void end_others(struct wr_certificates *certificates) {
    const struct wr_now now = wr_clock_now(certificates->agent->clock);
    if (certificates->others_ended || !now.wall_trusted)
        return;
    struct watched *watched = calloc(1, sizeof *watched);
    struct wr_request *request;
    if (!watched)
        return;
    watched->agent = certificates->agent;
    watched->n = certificates->n;
    for (unsigned i = 0; i < certificates->n; i++)
        memcpy(watched->names[i], certificates->list[i].name, sizeof watched->names[i]);
    if (wr_request_new(run_end_others, watched, free, &request, NULL) != WR_OK)
        return;
    certificates->others_ended = wr_request_call(request, certificates->agent->engine.requests, now.boot_ns + TELL_NS, NULL) == WR_OK;
    wr_request_release(request);
}

static void look(struct wr_context *context, void *user) {
    struct wr_certificates *certificates = user;
    end_others(certificates);
    for (unsigned i = 0; i < certificates->n && wr_context_state(context) == WR_OK; i++) {
        struct certificate *certificate = &certificates->list[i];
        int64_t expires_ns = certificate->expires_wall_ns;
        struct wr_error err = {0};
        if (wr_tls_expiry(certificate->path, &expires_ns, &err) == WR_OK)
            certificate->was_read = true;
        else
            WR_LOG_WITH(WR_LOG_DEBUG, "certificates", "not read", WR_LOG_ERR(&err));
        certificate->expires_wall_ns = expires_ns;
        if (certificate->was_read)
            tell(certificates, certificate, expires_ns);
    }
}

/* ---- life ---- */

static enum wr_result add(struct wr_certificates *certificates, const char *name, const char *path, bool of_source, struct wr_error *err) {
    struct certificate *certificate = &certificates->list[certificates->n++];
    certificate->of_source = of_source;
    certificate->expires_wall_ns = WR_NEVER_NS;
    strncpy(certificate->name, name, sizeof certificate->name - 1);
    certificate->path = strdup(path);
    if (!certificate->path)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the certificate of %s", name);
    return intern(certificates->agent->series, certificate->name, &certificate->series, err);
}

static void release(struct wr_certificates *certificates) {
    for (unsigned i = 0; i < certificates->n; i++)
        free(certificates->list[i].path);
    free(certificates);
}

enum wr_result wr_certificates_start(struct wr_agent *agent, const struct wr_config *config, struct wr_certificates **ret_certificates,
                                     struct wr_error *err) {
    struct wr_certificates *certificates = calloc(1, sizeof *certificates);
    if (!certificates)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the certificates");
    certificates->agent = agent;
    certificates->task = (struct wr_scheduler_task){.plan = {.name = "certificates", .every_ns = WR_CERTIFICATES_EVERY_NS},
                                                    .run = look,
                                                    .user = certificates,
                                                    .timeout_ns = WR_CERTIFICATES_EVERY_NS};
    const char *name, *path;
    enum wr_result result = WR_OK;
    for (unsigned cursor = 0; result == WR_OK && next(config, &cursor, &name, &path);)
        result = add(certificates, name, path, cursor > 1, err);
    if (result == WR_OK && certificates->n > 0)
        result = wr_scheduler_loop_add(agent->scheduler, &certificates->task, err);
    if (result != WR_OK) {
        release(certificates);
        return result;
    }
    *ret_certificates = certificates;
    return WR_OK;
}

enum wr_result wr_certificates_stop(struct wr_certificates *certificates, int64_t deadline_boot_ns) {
    if (!certificates)
        return WR_OK;
    WR_TRY(wr_scheduler_loop_remove(&certificates->task, deadline_boot_ns));
    wr_metrics_drop(certificates->agent->metrics, certificates);
    release(certificates);
    return WR_OK;
}

/* ---- metrics ---- */

static double expires_seconds(void *user) {
    const struct certificate *certificate = user;
    int64_t expires_ns = certificate->expires_wall_ns;
    return expires_ns == WR_NEVER_NS ? (double)NAN : (double)expires_ns / (double)WR_NS_PER_S;
}

enum wr_result wr_certificates_metrics(struct wr_certificates *certificates) {
    if (!certificates)
        return WR_OK;
    wr_metrics_drop(certificates->agent->metrics, certificates);
    for (unsigned i = 0; i < certificates->n; i++) {
        struct certificate *certificate = &certificates->list[i];
        char label[128], source[128], labels[264];
        wr_metrics_label(label, sizeof label, "certificate", certificate->name);
        wr_metrics_label(source, sizeof source, "source", certificate->name);
        snprintf(labels, sizeof labels, certificate->of_source ? "%s,%s" : "%s", label, source);
        WR_TRY(wr_metrics_add_function(certificates->agent->metrics, certificates, WR_METRIC_GAUGE, "weir_certificate_expires_seconds",
                                       "Unix time at which the certificate expires; NaN: not read yet", labels, expires_seconds,
                                       certificate));
    }
    return WR_OK;
}
