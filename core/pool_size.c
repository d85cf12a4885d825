#include "core/pool_size.h"

static unsigned per_cent(uint64_t part, uint64_t whole) {
    if (whole == 0)
        return 0;
    const double share = (double)part * 100 / (double)whole;
    return share < UINT32_MAX ? (unsigned)share : UINT32_MAX;
}

static unsigned least(size_t a, size_t b) {
    return (unsigned)(a < b ? a : b);
}

unsigned wr_pool_pressure(const struct wr_pool_rules *rules, const struct wr_pool_load *load) {
    const int64_t latency_ns = rules->latency_ns > 0 ? rules->latency_ns : WR_POOL_LATENCY_NS;
    const unsigned queue = per_cent(load->queued, load->capacity);
    const unsigned latency = per_cent(load->wait_ns > 0 ? (uint64_t)load->wait_ns : 0, (uint64_t)latency_ns);
    if (rules->strategy == WR_POOL_QUEUE)
        return queue;
    return rules->strategy == WR_POOL_LATENCY || latency > queue ? latency : queue;
}

unsigned wr_pool_size(const struct wr_pool_rules *rules, const struct wr_pool_load *load) {
    const int64_t linger_ns = rules->linger_ns > 0 ? rules->linger_ns : WR_POOL_LINGER_NS;
    const unsigned pressure = wr_pool_pressure(rules, load);
    const unsigned idle = load->threads > load->busy ? load->threads - load->busy : 0;
    unsigned wanted = load->threads;
    if (pressure > WR_POOL_HIGH)
        wanted += least(load->queued, WR_POOL_STEP);
    else if (pressure < WR_POOL_LOW && load->low_ns >= linger_ns)
        wanted -= least(idle, WR_POOL_STEP);
    if (wanted == 0 && load->queued > 0)
        wanted = 1;
    if (wanted < rules->threads_min)
        wanted = rules->threads_min;
    return wanted > rules->threads_max ? rules->threads_max : wanted;
}
