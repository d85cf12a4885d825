/* The section `store`: its keys for lanes, and its check. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/config/config_private.h"
#include "agent/config/config_schema.h"
#include "core/quantity.h"

#define A_DAY "/day"
#define COMMIT_BYTES 10e3 /* what a commit writes when little comes in, its share of a checkpoint included: store_thrift_test measures it */
#define QUOTA_MIN_BYTES 512000
#define WRITE_BUDGET_MIN_BYTES 1000000

static const struct wr_yaml_field lane_fields[] = {
    {.key = "quota",
     .kind = WR_YAML_STRING,
     AT(wr_config_lane, quota),
     .help = "what this lane may take of the store, acknowledged history included: `30%` of `budget`, or a size; beyond it its own oldest "
             "go, whatever room there is"},
    {.key = "ttl",
     .kind = WR_YAML_DURATION,
     AT(wr_config_lane, ttl_ns),
     .min = MINUTE,
     .max = 3650 * DAY,
     .help = "time to live, `7d`: what is older is deleted, sent or not, and booked as `dropped(expired)` where it was not; no limit when "
             "not given"},
    {.key = NULL},
};

const struct wr_yaml_field wr_config_lanes_fields[] = {
    {.key = "alarms",
     .kind = WR_YAML_RECORD,
     AT(wr_config_lanes, alarms),
     RECORD_OF(wr_config_lane, lane_fields),
     .help = "alarms and gap records"},
    {.key = "changes",
     .kind = WR_YAML_RECORD,
     AT(wr_config_lanes, changes),
     RECORD_OF(wr_config_lane, lane_fields),
     .help = "windows with `forward: changes`"},
    {.key = "windows",
     .kind = WR_YAML_RECORD,
     AT(wr_config_lanes, windows),
     RECORD_OF(wr_config_lane, lane_fields),
     .help = "all other windows"},
    {.key = NULL},
};

/* "30%" of the budget. False: it is no such thing. */
static bool parse_part(const char *text, uint64_t budget_bytes, uint64_t *ret_bytes) {
    char *end;
    errno = 0;
    const double percent = strtod(text, &end);
    if (errno != 0 || end == text || strcmp(end, "%") != 0 || !(percent > 0 && percent <= 100))
        return false;
    *ret_bytes = (uint64_t)((double)budget_bytes * percent / 100);
    return true;
}

static void check_lane(struct wr_config_load *load, const char *path, struct wr_config_lane *lane) {
    const uint64_t budget_bytes = load->config->store->budget_bytes;
    const char *hint = "quota: 30%";
    struct wr_error err;
    if (!lane || !lane->quota)
        return;
    if (strchr(lane->quota, '%')) {
        if (!parse_part(lane->quota, budget_bytes, &lane->quota_bytes)) {
            wr_config_error(load, WR_CONFIG_W_LIMIT, path, hint, "'%s' is no part of the budget, above 0%% and up to 100%%", lane->quota);
            return;
        }
    } else if (wr_quantity_size(lane->quota, &lane->quota_bytes, &err) != WR_OK) {
        wr_config_error(load, WR_CONFIG_W_LIMIT, path, hint, "%s; or a part of the budget", err.text);
        return;
    }
    char size[32];
    if (lane->quota_bytes < QUOTA_MIN_BYTES)
        wr_config_error(load, WR_CONFIG_W_LIMIT, path, hint, "a lane needs at least 512 kB, and this is %s",
                        wr_quantity_format_size(size, sizeof size, lane->quota_bytes));
    else if (lane->quota_bytes >= budget_bytes)
        wr_config_warn(load, WR_CONFIG_W_USELESS, path, hint, "the whole budget is no more than that: nothing is limited");
}

/* Below twice what the commits alone cost, it would be spent on them. */
static void check_write_budget(struct wr_config_load *load) {
    struct wr_config_store *store = load->config->store;
    const char *path = "store.write_budget";
    const char *text = store->write_budget;
    char bytes[64];
    char size[32];
    struct wr_error err;
    if (!text)
        return;
    const size_t len = strlen(text);
    const size_t unit = strlen(A_DAY);
    if (len <= unit || len - unit >= sizeof bytes || strcmp(text + len - unit, A_DAY) != 0) {
        wr_config_error(load, WR_CONFIG_W_LIMIT, path, NULL, "'%s' is no size a day: write for example 200MB/day", text);
        return;
    }
    memcpy(bytes, text, len - unit);
    bytes[len - unit] = '\0';
    if (wr_quantity_size(bytes, &store->write_budget_bytes, &err) != WR_OK) {
        wr_config_error(load, WR_CONFIG_W_LIMIT, path, "write_budget: 200MB/day", "%s", err.text);
        return;
    }
    const double commits = DAY / (double)store->max_loss_ns * COMMIT_BYTES;
    if (store->write_budget_bytes < WRITE_BUDGET_MIN_BYTES)
        wr_config_error(load, WR_CONFIG_W_LIMIT, path, "write_budget: 200MB/day", "less than 1 MB a day cannot be kept");
    else if ((double)store->write_budget_bytes < commits)
        wr_config_warn(load, WR_CONFIG_W_LIMIT, path, "max_loss: 60s",
                       "commits alone, one each `max_loss`, write up to %s a day: a longer `max_loss` spares that",
                       wr_quantity_format_size(size, sizeof size, (uint64_t)commits));
}

void wr_config_check_store(struct wr_config_load *load) {
    struct wr_config_store *store = load->config->store;
    struct stat stat_of;
    if (store->path[0] == '\0')
        wr_config_error(load, WR_CONFIG_W_FILE, "store.path", NULL, "the directory of the store has no name");
    else if (wr_config_resolve(&store->path, load->config->directory) != WR_OK)
        load->failed = WR_NO_MEMORY;
    else if (stat(store->path, &stat_of) == 0 && !S_ISDIR(stat_of.st_mode))
        wr_config_error(load, WR_CONFIG_W_FILE, "store.path", NULL, "%s: that is no directory", store->path);
    if (store->lanes) {
        check_lane(load, "store.lanes.alarms.quota", store->lanes->alarms);
        check_lane(load, "store.lanes.changes.quota", store->lanes->changes);
        check_lane(load, "store.lanes.windows.quota", store->lanes->windows);
    }
    check_write_budget(load);
}
