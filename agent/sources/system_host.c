/* Processors, memory, load, network and clock of the gateway. */
#include <string.h>
#include <sys/timex.h>

#include "agent/sources/system_private.h"

static double percent(uint64_t part, uint64_t whole) {
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

/* -- processors ------------------------------------------------------------------------------------------------------------------------ */

/* Two parts want it: it is read once a round. NULL: it cannot be read. */
static const struct wr_proc_stat *stat_of(struct wr_system *system) {
    if (system->stat_state == WR_SYSTEM_STAT_UNREAD)
        system->stat_state =
            wr_proc_stat(wr_system_read(system, system->proc, "stat"), &system->stat) ? WR_SYSTEM_STAT_GOOD : WR_SYSTEM_STAT_BAD;
    return system->stat_state == WR_SYSTEM_STAT_GOOD ? &system->stat : NULL;
}

/* A counter that went back (a machine that was moved, garbage) has not moved. */
static uint64_t since(uint64_t now, uint64_t before) {
    return now > before ? now - before : 0;
}

bool wr_system_cpu(struct wr_system *system) {
    static const char *const fields[WR_PROC_MODES] = {"usage_user",   "usage_nice", "usage_system",  "usage_idle",
                                                      "usage_iowait", "usage_irq",  "usage_softirq", "usage_steal"};
    const struct wr_proc_stat *stat = stat_of(system);
    if (!stat)
        return false;
    uint64_t moved[WR_PROC_MODES], all = 0;
    for (unsigned mode = 0; mode < WR_PROC_MODES; mode++) {
        moved[mode] = since(stat->ticks[mode], system->ticks[mode]);
        if (__builtin_add_overflow(all, moved[mode], &all))
            all = 0;
    }
    if (system->has_ticks && all > 0) {
        wr_sample_begin(&system->sample, "cpu");
        for (unsigned mode = 0; mode < WR_PROC_MODES; mode++)
            wr_sample_float(&system->sample, fields[mode], percent(moved[mode], all), 1);
        wr_sample_float(&system->sample, "usage_active", 100 - percent(moved[WR_PROC_IDLE], all) - percent(moved[WR_PROC_IOWAIT], all), 1);
        wr_sample_send(&system->sample);
    }
    memcpy(system->ticks, stat->ticks, sizeof system->ticks);
    system->has_ticks = true;
    return true;
}

bool wr_system_load(struct wr_system *system) {
    const struct wr_proc_stat *stat = stat_of(system);
    struct wr_proc_load load;
    if (!stat || !wr_proc_load(wr_system_read(system, system->proc, "loadavg"), &load))
        return false;
    struct wr_sample *sample = &system->sample;
    wr_sample_begin(sample, "system");
    wr_sample_float(sample, "load1", load.load[0], 2);
    wr_sample_float(sample, "load5", load.load[1], 2);
    wr_sample_float(sample, "load15", load.load[2], 2);
    wr_sample_uint(sample, "n_cpus", stat->processors);
    wr_sample_uint(sample, "uptime", (uint64_t)(system->now.boot_ns / WR_NS_PER_S));
    wr_sample_uint(sample, "threads", load.threads);
    wr_sample_uint(sample, "running", stat->running);
    wr_sample_uint(sample, "blocked", stat->blocked);
    wr_sample_uint(sample, "forks", stat->forks);
    wr_sample_send(sample);
    return true;
}

/* -- memory ---------------------------------------------------------------------------------------------------------------------------- */

bool wr_system_memory(struct wr_system *system) {
    struct wr_proc_memory memory;
    struct wr_sample *sample = &system->sample;
    if (!wr_proc_memory(wr_system_read(system, system->proc, "meminfo"), &memory))
        return false;
    wr_sample_begin(sample, "mem");
    wr_sample_uint(sample, "total", memory.total);
    wr_sample_uint(sample, "free", memory.free);
    wr_sample_uint(sample, "available", memory.available);
    wr_sample_uint(sample, "used", memory.total - memory.available);
    wr_sample_uint(sample, "buffered", memory.buffers);
    wr_sample_uint(sample, "cached", memory.cached);
    wr_sample_float(sample, "available_percent", percent(memory.available, memory.total), 1);
    wr_sample_float(sample, "used_percent", percent(memory.total - memory.available, memory.total), 1);
    wr_sample_send(sample);
    if (memory.swap_total == 0)
        return true;
    wr_sample_begin(sample, "swap");
    wr_sample_uint(sample, "total", memory.swap_total);
    wr_sample_uint(sample, "free", memory.swap_free);
    wr_sample_uint(sample, "used", memory.swap_total - memory.swap_free);
    wr_sample_float(sample, "used_percent", percent(memory.swap_total - memory.swap_free, memory.swap_total), 1);
    wr_sample_send(sample);
    return true;
}

/* -- network --------------------------------------------------------------------------------------------------------------------------- */

bool wr_system_network(struct wr_system *system) {
    struct wr_proc_text text = wr_system_read(system, system->proc, "net/dev");
    struct wr_proc_interface it;
    struct wr_sample *sample = &system->sample;
    if (text.at == text.end)
        return false;
    while (wr_proc_next_interface(&text, &it)) {
        if (strcmp(it.name, "lo") == 0)
            continue;
        wr_sample_begin(sample, "net");
        wr_sample_tag(sample, "interface", it.name);
        wr_sample_uint(sample, "bytes_recv", it.received_bytes);
        wr_sample_uint(sample, "packets_recv", it.received_packets);
        wr_sample_uint(sample, "err_in", it.receive_errors);
        wr_sample_uint(sample, "drop_in", it.receive_drops);
        wr_sample_uint(sample, "bytes_sent", it.sent_bytes);
        wr_sample_uint(sample, "packets_sent", it.sent_packets);
        wr_sample_uint(sample, "err_out", it.send_errors);
        wr_sample_uint(sample, "drop_out", it.send_drops);
        wr_sample_send(sample);
    }
    return true;
}

/* -- clock ----------------------------------------------------------------------------------------------------------------------------- */

bool wr_system_clock(struct wr_system *system) {
    struct timex state = {.modes = 0}; /* asks, changes nothing */
    const int answer = adjtimex(&state);
    struct wr_sample *sample = &system->sample;
    wr_sample_begin(sample, "clock");
    wr_sample_bool(sample, "trusted", system->now.wall_trusted);
    if (answer >= 0) {
        wr_sample_bool(sample, "synchronised", answer != TIME_ERROR && !(state.status & STA_UNSYNC));
        wr_sample_float(sample, "offset", (double)state.offset / (state.status & STA_NANO ? 1e9 : 1e6), 9);
        wr_sample_float(sample, "error_max", (double)state.maxerror / 1e6, 6);
    }
    wr_sample_send(sample);
    return answer >= 0;
}
