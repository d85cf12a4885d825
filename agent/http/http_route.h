/* What the paths mean, and what the head of a write asks for.
 *
 *   /metrics /healthz /readyz          GET, HEAD   pages of the agent itself
 *   /write                             POST        InfluxDB 1: db, rp, consistency are passed over; precision n u ms s m h (also ns us)
 *   /api/v2/write                      POST        InfluxDB 2: org, bucket are passed over; precision ns us ms s
 *   /api/json                          POST        JSON records
 *   /api/v1/alarms                     GET, HEAD   the list of alarms
 *   /api/v1/alarms/VERB                POST        an operator's command: ack reset shelve unshelve oos return
 *   /ping                              GET, HEAD, POST   204
 *   /health                            GET, HEAD   InfluxDB 2's health
 *   /query                             GET, POST   what InfluxDB 1's clients ask at connect: CREATE DATABASE, SHOW DATABASES
 *
 * Pure: no I/O. Threads: any. Source: docs.influxdata.com, "InfluxDB API reference" (1.8, 2.7).
 */
#ifndef WEIR_AGENT_HTTP_HTTP_ROUTE_H
#define WEIR_AGENT_HTTP_HTTP_ROUTE_H

#include "agent/http/http_gate.h"
#include "agent/http/http_head.h"

enum wr_http_page {
    WR_HTTP_PAGE_NONE,
    WR_HTTP_PAGE_METRICS,
    WR_HTTP_PAGE_HEALTHZ,
    WR_HTTP_PAGE_READYZ,
    WR_HTTP_PAGE_WRITE, /* all that bring readings */
    WR_HTTP_PAGE_ALARMS,
    WR_HTTP_PAGE_COMMAND,
    WR_HTTP_PAGE_PING,
    WR_HTTP_PAGE_HEALTH,
    WR_HTTP_PAGE_QUERY,
};

/* In whose words errors are told. */
enum wr_http_api { WR_HTTP_API_OWN, WR_HTTP_API_V1, WR_HTTP_API_V2 };

struct wr_http_route {
    const char *path;
    enum wr_http_page page;
    enum wr_http_api api;
    enum wr_http_format format;
    const char *methods; /* "GET, HEAD" */
    const char *verb;    /* of COMMAND; else "" */
};

/* Never NULL: page NONE for what is not known. */
const struct wr_http_route *wr_http_route_of(struct wr_word path);
bool wr_http_route_allows(const struct wr_http_route *route, struct wr_word method);

struct wr_http_plan {
    int64_t unit_ns;
    bool gzip;
};

/* What a write asks for. 0; or the status to refuse it with, and why in *ret_message. */
int wr_http_route_plan(const struct wr_http_route *route, const struct wr_http_head *head, const struct wr_http_terms *terms,
                       struct wr_http_plan *ret_plan, const char **ret_message);

/* Whether one of our answers to InfluxDB 1's queries fits: its text, else NULL. */
const char *wr_http_route_answer(const char *query);

#endif
