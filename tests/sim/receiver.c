#include "tests/sim/receiver.h"

#include <stdlib.h>
#include <string.h>

#include "store/codec.h"
#include "tests/sim/check.h"
#include "transport/uplink.h"

#define EPOCHS_MAX 64
#define CONNECT_TIMEOUT_NS (30 * WR_NS_PER_S)
#define REFUSED_ONE_IN 400

/* On its way, to the broker (a publish) or back (an event of the session). */
struct travelling {
    int64_t at_ns;
    bool back;
    struct wr_session_event event;
    uint64_t id;
    uint64_t epoch; /* 0: no segment */
    int64_t seq;
    uint8_t *body;
    size_t len;
};

struct known {
    uint64_t epoch;
    uint64_t *hashes; /* by seq */
    int64_t room;
};

struct sim_receiver {
    const struct wr_clock *clock;
    struct wr_random *dice;
    struct wr_channel *events;
    enum sim_link link;
    uint64_t connection;
    bool open;
    struct travelling *ways; /* in the order of their times */
    size_t n, room;
    struct known known[EPOCHS_MAX];
    unsigned n_epochs;
    struct wr_decoder *decoder;
    struct sim_central *central;
    struct sim_receiver_counts counts;
    bool early_ack;
};

struct sim_receiver *sim_receiver_new(const struct wr_clock *clock, struct wr_random *dice) {
    struct sim_receiver *receiver = calloc(1, sizeof *receiver);
    SIM_ASSERT(receiver, "no memory");
    receiver->clock = clock;
    receiver->dice = dice;
    receiver->central = sim_central_new();
    SIM_MUST(wr_decoder_new(&receiver->decoder));
    return receiver;
}

void sim_receiver_free(struct sim_receiver *receiver) {
    for (size_t i = 0; i < receiver->n; i++)
        free(receiver->ways[i].body);
    for (unsigned i = 0; i < receiver->n_epochs; i++)
        free(receiver->known[i].hashes);
    sim_central_free(receiver->central);
    wr_decoder_free(receiver->decoder);
    free(receiver->ways);
    free(receiver);
}

static bool one_in(struct sim_receiver *receiver, uint64_t n) {
    return wr_random_below(receiver->dice, n) == 0;
}

static int64_t within(struct sim_receiver *receiver, int64_t ns) {
    return (int64_t)wr_random_below(receiver->dice, (uint64_t)ns);
}

/* -- what is on its way -------------------------------------------------------------------------------------------------------------------- */

static void put(struct sim_receiver *receiver, int64_t delay_ns, struct travelling way) {
    way.at_ns = wr_clock_boot_ns(receiver->clock) + delay_ns;
    if (receiver->n == receiver->room) {
        receiver->room = receiver->room ? 2 * receiver->room : 64;
        receiver->ways = realloc(receiver->ways, receiver->room * sizeof *receiver->ways);
        SIM_ASSERT(receiver->ways, "no memory");
    }
    size_t i = receiver->n++;
    for (; i > 0 && receiver->ways[i - 1].at_ns > way.at_ns; i--)
        receiver->ways[i] = receiver->ways[i - 1];
    receiver->ways[i] = way;
}

static void tell(struct sim_receiver *receiver, int64_t delay_ns, enum wr_session_event_kind kind, uint64_t id, uint8_t reason) {
    struct travelling way = {.back = true};
    way.event = (struct wr_session_event){.kind = (uint8_t)kind,
                                          .connection = receiver->connection,
                                          .id = id,
                                          .reason = reason,
                                          .version = WR_MQTT_5,
                                          .retain_available = true,
                                          .receive_max = 65535,
                                          .max_packet_bytes = UINT32_MAX,
                                          .text = "simulated"};
    put(receiver, delay_ns, way);
}

/* All that is on its way (back: to the node only) is gone; of what is on its way to the broker as much as `arrives` says may still come. */
static void drop(struct sim_receiver *receiver, bool arrives) {
    size_t kept = 0;
    for (size_t i = 0; i < receiver->n; i++) {
        struct travelling *way = &receiver->ways[i];
        if (!way->back && arrives && one_in(receiver, 2))
            receiver->ways[kept++] = *way;
        else
            free(way->body);
    }
    receiver->n = kept;
}

/* -- the broker ------------------------------------------------------------------------------------------------------------------------------ */

static uint64_t *place_of(struct sim_receiver *receiver, uint64_t epoch, int64_t seq) {
    unsigned i = 0;
    while (i < receiver->n_epochs && receiver->known[i].epoch != epoch)
        i++;
    SIM_ASSERT(i < EPOCHS_MAX && seq > 0 && seq < 1 << 28, "a key that cannot be: epoch %u, seq %lld", i, (long long)seq);
    struct known *known = &receiver->known[i];
    if (i == receiver->n_epochs)
        receiver->known[receiver->n_epochs++].epoch = epoch;
    if (seq >= known->room) {
        const int64_t room = 2 * seq + 64;
        known->hashes = realloc(known->hashes, (size_t)room * sizeof *known->hashes);
        SIM_ASSERT(known->hashes, "no memory");
        memset(known->hashes + known->room, 0, (size_t)(room - known->room) * sizeof *known->hashes);
        known->room = room;
    }
    return &known->hashes[seq];
}

uint64_t sim_receiver_has(const struct sim_receiver *receiver, uint64_t epoch, int64_t seq) {
    for (unsigned i = 0; i < receiver->n_epochs; i++)
        if (receiver->known[i].epoch == epoch)
            return seq < receiver->known[i].room ? receiver->known[i].hashes[seq] : 0;
    return 0;
}

uint64_t sim_receiver_hash(const void *body, size_t len) {
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)body)[i]) * UINT64_C(0x100000001B3);
    return hash | 1; /* never 0 */
}

uint64_t sim_receiver_readings(struct sim_receiver *receiver, const void *body, size_t len) {
    struct wr_codec_header header;
    struct wr_aggregate aggregate;
    uint64_t readings = 0;
    SIM_MUST(wr_decode_begin(receiver->decoder, body, len, &header, NULL));
    if (header.kind != WR_SEGMENT_AGGREGATES)
        return 0;
    while (wr_decode_aggregate(receiver->decoder, &aggregate, NULL) == WR_OK)
        readings += wr_aggregate_readings(&aggregate);
    return readings;
}

static void tell_central(struct sim_receiver *receiver, const struct travelling *way, uint64_t readings) {
    struct wr_codec_header header;
    const char *text;
    size_t len;
    sim_central_segment(receiver->central, way->epoch, way->seq, readings);
    SIM_MUST(wr_decode_begin(receiver->decoder, way->body, way->len, &header, NULL));
    while (header.kind == WR_SEGMENT_GAPS && wr_decode_text(receiver->decoder, &text, &len, NULL) == WR_OK)
        sim_central_record(receiver->central, text, len);
}

static void arrive(struct sim_receiver *receiver, const struct travelling *way) {
    if (way->epoch != 0 && one_in(receiver, REFUSED_ONE_IN)) {
        receiver->counts.refused++;
        tell(receiver, within(receiver, WR_NS_PER_S), WR_SESSION_REFUSED, way->id, 0x97);
        return;
    }
    if (way->epoch != 0) {
        uint64_t *place = place_of(receiver, way->epoch, way->seq);
        const uint64_t hash = sim_receiver_hash(way->body, way->len), readings = sim_receiver_readings(receiver, way->body, way->len);
        SIM_ASSERT(*place == 0 || *place == hash, "key %016llx/%lld came with two bodies", (unsigned long long)way->epoch,
                   (long long)way->seq);
        if (*place == 0) {
            receiver->counts.segments++;
            receiver->counts.readings += readings;
            receiver->counts.alarms += readings == 0;
            tell_central(receiver, way, readings);
        } else {
            receiver->counts.twice++;
        }
        *place = hash;
    }
    tell(receiver, within(receiver, one_in(receiver, 50) ? 40 * WR_NS_PER_S : WR_NS_PER_S / 10), WR_SESSION_DELIVERED, way->id, 0);
}

int64_t sim_receiver_due(const struct sim_receiver *receiver) {
    return receiver->n > 0 ? receiver->ways[0].at_ns : WR_NEVER_NS;
}

void sim_receiver_step(struct sim_receiver *receiver) {
    struct travelling way = receiver->ways[0];
    memmove(receiver->ways, receiver->ways + 1, --receiver->n * sizeof *receiver->ways);
    if (!way.back) {
        arrive(receiver, &way);
        free(way.body);
        return;
    }
    if (!receiver->events || way.event.connection != receiver->connection)
        return;
    if (way.event.kind == WR_SESSION_CONNECTED)
        receiver->open = true;
    if (way.event.kind == WR_SESSION_LOST || way.event.kind == WR_SESSION_FAILED)
        receiver->open = false;
    SIM_MUST(wr_channel_try_send(receiver->events, &way.event)); /* sized so that it cannot fill */
}

/* -- the link ---------------------------------------------------------------------------------------------------------------------------------- */

void sim_receiver_attach(struct sim_receiver *receiver, struct wr_channel *events) {
    if (events == receiver->events)
        return;
    drop(receiver, receiver->link == SIM_LINK_UP);
    receiver->events = events;
    receiver->open = false;
    receiver->connection = 0;
}

void sim_receiver_link(struct sim_receiver *receiver, enum sim_link link) {
    receiver->link = link;
    if (link == SIM_LINK_UP)
        return;
    drop(receiver, true);
    if (link == SIM_LINK_DOWN && receiver->connection != 0)
        tell(receiver, within(receiver, 45 * WR_NS_PER_S), receiver->open ? WR_SESSION_LOST : WR_SESSION_FAILED, 0, 0);
    if (link == SIM_LINK_HOLE && receiver->connection != 0 && !receiver->open)
        tell(receiver, CONNECT_TIMEOUT_NS, WR_SESSION_FAILED, 0, 0); /* an attempt has an end */
}

static enum wr_result on_connect(void *self, uint64_t connection, unsigned broker) {
    struct sim_receiver *receiver = self;
    (void)broker; /* there is one */
    receiver->connection = connection;
    receiver->open = false;
    const int64_t dialled_ns = within(receiver, WR_NS_PER_S);
    if (receiver->link == SIM_LINK_HOLE) {
        tell(receiver, CONNECT_TIMEOUT_NS, WR_SESSION_FAILED, 0, 0);
    } else if (receiver->link == SIM_LINK_DOWN) {
        tell(receiver, within(receiver, 5 * WR_NS_PER_S), WR_SESSION_FAILED, 0, 0);
    } else {
        tell(receiver, dialled_ns, WR_SESSION_DIALLED, 0, 0);
        tell(receiver, dialled_ns + within(receiver, WR_NS_PER_S), WR_SESSION_CONNECTED, 0, 0);
    }
    return WR_OK;
}

static const char *property(const struct wr_session_publish *publish, const char *name) {
    for (size_t i = 0; i < publish->n_properties; i++)
        if (strcmp(publish->properties[i].name, name) == 0)
            return publish->properties[i].value;
    return NULL;
}

static enum wr_result on_publish(void *self, const struct wr_session_publish *publish, struct wr_error *err) {
    struct sim_receiver *receiver = self;
    (void)err;
    if (!receiver->open || publish->connection != receiver->connection)
        return WR_CLOSED;
    const char *epoch = property(publish, "epoch"), *seq = property(publish, "seq");
    struct travelling way = {.id = publish->id, .len = publish->payload_len, .body = malloc(publish->payload_len + 1)};
    SIM_ASSERT(way.body && !epoch == !seq, "half a key");
    memcpy(way.body, publish->payload, publish->payload_len);
    if (epoch) {
        way.epoch = strtoull(epoch, NULL, 16);
        way.seq = strtoll(seq, NULL, 10);
    }
    if (receiver->early_ack && epoch)
        tell(receiver, 0, WR_SESSION_DELIVERED, publish->id, 0);
    if (receiver->link == SIM_LINK_UP)
        put(receiver, within(receiver, WR_NS_PER_S / 20), way);
    else
        free(way.body);
    return WR_OK;
}

static enum wr_result on_subscribe(void *self, uint64_t connection, const char *topic, struct wr_error *err) {
    (void)self, (void)connection, (void)topic, (void)err;
    return WR_CLOSED; /* the node has no commands */
}

static void on_close(void *self, uint64_t connection, bool clean) {
    struct sim_receiver *receiver = self;
    (void)clean;
    if (connection != receiver->connection)
        return;
    drop(receiver, receiver->link == SIM_LINK_UP);
    receiver->open = false;
    receiver->connection = 0;
}

const struct wr_session_ops *sim_receiver_ops(void) {
    static const struct wr_session_ops ops = {.connect = on_connect, .publish = on_publish, .subscribe = on_subscribe, .close = on_close};
    return &ops;
}

const struct sim_central *sim_receiver_central(const struct sim_receiver *receiver) {
    return receiver->central;
}

const struct sim_receiver_counts *sim_receiver_counts(const struct sim_receiver *receiver) {
    return &receiver->counts;
}

void sim_receiver_plant_early_ack(struct sim_receiver *receiver) {
    receiver->early_ack = true;
}
