#include "rules/testing/world.h"

#include <math.h>

#include <stdlib.h>
#include <string.h>

#include "rules/evaluator/evaluator_memory.h"
#include "rules/evaluator/evaluator_private.h"
#include "rules/evaluator/migration.h"

#define OUT_CAP 16
#define TIMERS_AT_ONCE 64
#define START_BOOT_NS (86400 * WR_NS_PER_S) /* the machine has been up for a day */
#define SYMBOLS 4096
#define IDLE_CALLS 100000 /* a step that gives nothing so often is stuck */

/* -- made and freed -------------------------------------------------------------------------------------------------------------------- */

static enum wr_result make_tables(struct wr_world *world, struct wr_error *err) {
    WR_TRY(wr_series_table_new(world->max_series, &world->series, err));
    return wr_symbol_table_new(SYMBOLS, &world->symbols, err);
}

static enum wr_result make_engine(struct wr_world *world, struct wr_error *err) {
    static const uint32_t accounts[2] = {0, 1};
    struct wr_engine_options options = {
        .series = world->series, .symbols = world->symbols, .max_series = world->max_series, .n_sources = 1, .accounts = accounts};
    WR_TRY(wr_evaluator_new(world->rules, world->series, world->symbols, &options.evaluator, err));
    enum wr_result result = wr_engine_new(&options, &world->engine, err);
    if (result != WR_OK)
        wr_evaluator_free(options.evaluator);
    return result;
}

enum wr_result wr_world_init(struct wr_world *world, struct wr_ruleset *rules, int64_t start_wall_ns, uint32_t max_series,
                             struct wr_error *err) {
    *world = (struct wr_world){.rules = rules,
                               .start_boot_ns = START_BOOT_NS,
                               .max_timers = WR_WORLD_TIMERS,
                               .now = {.boot_ns = START_BOOT_NS, .wall_ns = start_wall_ns, .wall_trusted = true}};
    world->max_series = max_series > 0 ? max_series : 1;
    WR_TRY(make_tables(world, err));
    world->batch = calloc(1, sizeof *world->batch);
    world->entries = calloc(OUT_CAP, sizeof *world->entries);
    if (!world->batch || !world->entries)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a test");
    return make_engine(world, err);
}

/* What a process has, and loses when it ends. */
static void free_process(struct wr_world *world) {
    wr_engine_free(world->engine);
    wr_series_table_free(world->series);
    wr_symbol_table_free(world->symbols);
}

void wr_world_fini(struct wr_world *world) {
    free_process(world);
    free(world->batch);
    free(world->entries);
    free(world->told);
    *world = (struct wr_world){0};
}

/* -- what comes out ------------------------------------------------------------------------------------------------------------------- */

static struct wr_engine_out out_of(struct wr_world *world) {
    return (struct wr_engine_out){.alarms = {.entries = world->entries, .cap = OUT_CAP}};
}

static enum wr_result keep(struct wr_world *world, const struct wr_alarm_out *out, struct wr_error *err) {
    for (uint32_t i = 0; i < out->n; i++) {
        if (world->hear) {
            if (out->entries[i].alarm.transition > 0)
                world->hear(world->hear_user, &out->entries[i].alarm);
            continue;
        }
        if (world->n_told == WR_WORLD_TRANSITIONS)
            return wr_error_set(err, WR_LIMIT, "more than %d transitions", WR_WORLD_TRANSITIONS);
        if (world->n_told == world->cap_told) {
            const uint32_t cap = world->cap_told > 0 ? world->cap_told * 2 : 16;
            struct wr_alarm *told = realloc(world->told, cap * sizeof *told);
            if (!told)
                return wr_error_set(err, WR_NO_MEMORY, "no memory for a test");
            world->told = told;
            world->cap_told = cap;
        }
        if (out->entries[i].alarm.transition > 0)
            world->told[world->n_told++] = out->entries[i].alarm;
    }
    return WR_OK;
}

static enum wr_result run_timers(struct wr_world *world, struct wr_error *err) {
    for (int idle = 0; wr_engine_next_timer(world->engine) <= world->now.boot_ns;) {
        struct wr_engine_out out = out_of(world);
        (void)wr_engine_timers(world->engine, &world->now, TIMERS_AT_ONCE, &out);
        idle = out.alarms.n > 0 ? 0 : idle + 1;
        WR_TRY(keep(world, &out.alarms, err));
        if (idle > IDLE_CALLS)
            return wr_error_set(err, WR_LIMIT, "a timer fires without end");
    }
    return WR_OK;
}

/* -- time ------------------------------------------------------------------------------------------------------------------------------ */

static void set_clock(struct wr_world *world, int64_t boot_ns) {
    world->now.wall_ns = wr_clock_add_ns(world->now.wall_ns, boot_ns - world->now.boot_ns);
    world->now.boot_ns = boot_ns;
}

enum wr_result wr_world_move(struct wr_world *world, int64_t t_ns, bool at, struct wr_error *err) {
    const int64_t end = wr_clock_add_ns(world->start_boot_ns, t_ns);
    for (;;) {
        const int64_t due = wr_engine_next_timer(world->engine);
        if (at ? due > end : due >= end)
            break;
        if (due > world->now.boot_ns)
            set_clock(world, due);
        if (world->max_timers > 0 && world->timers++ == world->max_timers)
            return wr_error_set(err, WR_LIMIT, "more than %u timers: let the test end earlier", world->max_timers);
        WR_TRY(run_timers(world, err));
    }
    if (end > world->now.boot_ns)
        set_clock(world, end);
    return WR_OK;
}

int64_t wr_world_when(const struct wr_world *world, const struct wr_alarm *told) {
    return told->decided_boot_ns - world->start_boot_ns;
}

/* -- samples and commands --------------------------------------------------------------------------------------------------------------- */

static enum wr_result make_reading(struct wr_world *world, const struct wr_sample *sample, struct wr_reading *reading,
                                   struct wr_error *err) {
    switch (sample->kind) {
    case WR_SAMPLE_TRUTH:
        reading->type = WR_TYPE_BOOL;
        reading->value.u = sample->truth;
        return WR_OK;
    case WR_SAMPLE_TEXT: {
        uint32_t symbol;
        if (wr_symbol_intern(world->symbols, sample->text, strlen(sample->text), &symbol) != WR_OK)
            return wr_error_set(err, WR_LIMIT, "more than %d different texts", SYMBOLS);
        reading->type = WR_TYPE_SYMBOL;
        reading->value.u = symbol;
        return WR_OK;
    }
    case WR_SAMPLE_MISSING:
    case WR_SAMPLE_CSV:
    case WR_SAMPLE_NUMBER:
    case WR_SAMPLE_NAN:
    case WR_SAMPLE_BAD:
        break;
    }
    reading->type = WR_TYPE_FLOAT;
    reading->value.f = sample->kind == WR_SAMPLE_NAN ? (double)NAN : sample->number;
    reading->decimals = sample->kind == WR_SAMPLE_NAN ? WR_DECIMALS_UNKNOWN : sample->decimals;
    reading->quality = sample->kind == WR_SAMPLE_NUMBER ? WR_QUALITY_GOOD : WR_QUALITY_BAD;
    return WR_OK;
}

enum wr_result wr_world_feed(struct wr_world *world, struct wr_batch *batch, struct wr_error *err) {
    uint32_t taken = 0;
    wr_batch_stamp(batch, &world->now);
    for (int idle = 0; idle <= IDLE_CALLS && taken < batch->n; idle++) {
        struct wr_engine_out out = out_of(world);
        const uint32_t before = taken;
        taken += wr_engine_take(world->engine, batch, taken, &world->now, &out);
        idle = taken > before ? 0 : idle;
        WR_TRY(keep(world, &out.alarms, err));
    }
    return taken == batch->n ? WR_OK : wr_error_set(err, WR_LIMIT, "a sample is not taken");
}

enum wr_result wr_world_take(struct wr_world *world, const struct wr_test_series *series, const struct wr_sample *sample, int64_t late_ns,
                             struct wr_error *err) {
    struct wr_batch *batch = world->batch;
    struct wr_reading reading = {.event_ns = wr_clock_add_ns(world->now.wall_ns, -late_ns), .decimals = WR_DECIMALS_UNKNOWN};
    enum wr_result result = wr_series_intern(world->series, series->key, series->key_len, &reading.series);
    if (result != WR_OK)
        return wr_error_set(err, result, "no memory for a test");
    WR_TRY(make_reading(world, sample, &reading, err));
    const enum wr_type type = wr_series_fix_type(wr_series_get(world->series, reading.series), (enum wr_type)reading.type);
    if (type != reading.type)
        return wr_error_set(err, WR_INVALID, "%s had samples of type %s, now comes one of type %s", series->shown, wr_type_name(type),
                            wr_type_name((enum wr_type)reading.type));
    batch->n = 1;
    batch->readings[0] = reading;
    return wr_world_feed(world, batch, err);
}

enum wr_result wr_world_command(struct wr_world *world, const struct wr_test_do *todo, struct wr_error *err) {
    struct wr_evaluator *evaluator = wr_engine_evaluator(world->engine);
    struct wr_alarm_command command = {
        .kind = (enum wr_alarm_command_kind)todo->kind,
        .alarm = todo->alarm,
        .by_whom = todo->who,
        .why = todo->why ? todo->why : "",
        .until_wall_ns = wr_clock_add_ns(world->now.wall_ns, todo->for_ns),
        .key = "",
    };
    for (;;) {
        struct wr_engine_out out = out_of(world);
        enum wr_result result = wr_evaluator_command(evaluator, &command, &world->now, &out.alarms, err);
        WR_TRY(keep(world, &out.alarms, err));
        if (result != WR_FULL)
            return result;
    }
}

/* -- restart and reload ---------------------------------------------------------------------------------------------------------------- */

/* All of it is as of now. */
static enum wr_result look_at_clock(struct wr_world *world, struct wr_error *err) {
    struct wr_engine_out out = out_of(world);
    bool more;
    (void)!wr_evaluator_timers(wr_engine_evaluator(world->engine), &world->now, 1, &out.alarms, &more);
    return keep(world, &out.alarms, err);
}

/* What the store keeps of one run, and gives to the next. */
static enum wr_result hand_over(const struct wr_evaluator *from, struct wr_evaluator *to, const struct wr_now *now, struct wr_error *err) {
    struct wr_alarm_entry entry;
    struct wr_evaluator_memory memory;
    uint32_t alarm = 0;
    uint64_t state = 0;
    while (wr_evaluator_next_snapshot(from, &alarm, &entry))
        if (wr_evaluator_restore(to, &entry, now) == WR_NO_MEMORY)
            return wr_error_set(err, WR_NO_MEMORY, "no memory for a test");
    while (wr_evaluator_next_memory(from, &state, &memory))
        if (wr_evaluator_recall(to, memory.key, memory.body, memory.len) == WR_NO_MEMORY)
            return wr_error_set(err, WR_NO_MEMORY, "no memory for a test");
    return WR_OK;
}

enum wr_result wr_world_restart(struct wr_world *world, struct wr_error *err) {
    WR_TRY(look_at_clock(world, err));
    struct wr_world next = *world;
    next.engine = NULL;
    next.series = NULL;
    next.symbols = NULL;
    enum wr_result result = make_tables(&next, err);
    if (result == WR_OK)
        result = make_engine(&next, err);
    if (result == WR_OK)
        result = hand_over(wr_engine_evaluator(world->engine), wr_engine_evaluator(next.engine), &world->now, err);
    if (result != WR_OK) {
        free_process(&next);
        return result;
    }
    free_process(world);
    *world = next;
    return WR_OK;
}

/* What a migration tells, kept. */
struct heard {
    struct wr_world *world;
    struct wr_engine_out out;
    enum wr_result result;
    struct wr_error *err;
};

static struct wr_now world_now(void *user) {
    return ((struct heard *)user)->world->now;
}

static void hear_migration(void *user) {
    struct heard *heard = user;
    if (heard->result == WR_OK)
        heard->result = keep(heard->world, &heard->out.alarms, heard->err);
    heard->out.alarms.n = 0;
}

enum wr_result wr_world_reload(struct wr_world *world, struct wr_error *err) {
    struct wr_evaluator *next;
    struct heard heard = {.world = world, .out = out_of(world), .result = WR_OK, .err = err};
    WR_TRY(wr_evaluator_new(world->rules, world->series, world->symbols, &next, err));
    const struct wr_migration migration = {.from = wr_engine_evaluator(world->engine),
                                           .to = next,
                                           .user = &heard,
                                           .now = world_now,
                                           .out = &heard.out.alarms,
                                           .drain = hear_migration};
    const enum wr_result prepared = wr_migration_prepare(&migration);
    if (prepared != WR_OK) {
        wr_evaluator_free(next);
        return wr_error_set(err, prepared, "no memory for a test");
    }
    (void)wr_engine_swap_evaluator(world->engine, next);
    wr_migration_run(&migration);
    wr_evaluator_free(migration.from);
    return heard.result;
}

/* -- what there is --------------------------------------------------------------------------------------------------------------------- */

bool wr_world_alarm(const struct wr_world *world, const struct wr_selector *selector, struct wr_alarm_entry *ret_entry) {
    struct wr_evaluator *evaluator = wr_engine_evaluator(world->engine);
    uint32_t cursor = 0;
    while (wr_evaluator_next_alarm(evaluator, false, &cursor, ret_entry))
        if (wr_evaluator_selects(selector, ret_entry->alarm.rule, ret_entry->alarm.instance))
            return true;
    const uint32_t rule = wr_ruleset_find(world->rules, selector->name);
    for (uint32_t i = 0; i < evaluator->n_instances; i++) {
        const struct wr_instance *instance = &evaluator->instances[i];
        if (instance->rule != rule || !wr_evaluator_selects(selector, selector->name, instance->text))
            continue;
        wr_instance_fill(evaluator, instance, (enum wr_alarm_state)instance->state, (enum wr_alarm_cause)0, ret_entry);
        return true;
    }
    return false;
}

bool wr_world_point(const struct wr_world *world, const struct wr_selector *selector, double *ret_value, const char **ret_unit) {
    const struct wr_evaluator *evaluator = wr_engine_evaluator(world->engine);
    for (uint32_t i = 0; i < evaluator->n_instances; i++) {
        const struct wr_instance *instance = &evaluator->instances[i];
        if (instance->rule == WR_INSTANCE_NONE || instance->output == WR_INSTANCE_NONE)
            continue;
        const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
        if (!wr_evaluator_selects(selector, rule->name, instance->text))
            continue;
        const struct wr_signal *signal = evaluator->outputs[instance->output];
        *ret_value = signal->ever && signal->good ? evaluator->output_bands[instance->output].value : (double)NAN;
        *ret_unit = rule->output ? rule->output->unit.text : "";
        return true;
    }
    return false;
}

bool wr_world_next_active(const struct wr_world *world, const struct wr_selector *selector, uint32_t *cursor,
                          struct wr_alarm_entry *ret_entry) {
    while (wr_evaluator_next_alarm(wr_engine_evaluator(world->engine), false, cursor, ret_entry))
        if (ret_entry->alarm.to != WR_ALARM_NORMAL && ret_entry->alarm.to != WR_ALARM_PENDING &&
            wr_evaluator_selects(selector, ret_entry->alarm.rule, ret_entry->alarm.instance))
            return true;
    return false;
}
