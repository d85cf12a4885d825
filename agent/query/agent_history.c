#include "agent/query/agent_history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/control_server.h"

#define WORD_BYTES 24
#define WORDS_BEFORE 3 /* history bodies LANE */

static enum wr_result ask(const struct wr_agent_history *agent, int argc, char *const *argv, struct wr_buf *answer, struct wr_error *err) {
    int code = WR_EXIT_CANNOT;
    WR_TRY(wr_control_client_ask(agent->control, argc, argv, &code, answer, err));
    return code == WR_EXIT_OK ? WR_OK : wr_error_set(err, WR_IO, "the agent says: %.200s", wr_buf_str(answer));
}

static enum wr_result nonsense(struct wr_error *err) {
    return wr_error_set(err, WR_PROTOCOL, "the agent's answer makes no sense: is it another version?");
}

/* -- heads ------------------------------------------------------------------------------------------------------------------------------------------ */

/* The next number of a line; *at moves behind it. */
static bool take(const char **at, int64_t low, int64_t high, int64_t *ret_number) {
    char *end;
    *ret_number = strtoll(*at, &end, 10);
    const bool found = end != *at && (*end == ' ' || *end == '\n') && *ret_number >= low && *ret_number <= high;
    if (found)
        *at = end + 1;
    return found;
}

static bool take_correction(const char **at, struct wr_correction *ret_correction) {
    return take(at, INT64_MIN, INT64_MAX, &ret_correction->from_ns) && take(at, INT64_MIN, INT64_MAX, &ret_correction->to_ns) &&
           take(at, INT64_MIN, INT64_MAX, &ret_correction->move_ns);
}

static bool take_head(const char **at, enum wr_lane lane, struct wr_segment_head *ret_head) {
    int64_t kind, n, bytes, delivered, quality;
    *ret_head = (struct wr_segment_head){.lane = (uint8_t)lane};
    if (!take(at, 1, INT64_MAX, &ret_head->seq) || !take(at, 0, UINT8_MAX, &kind) || !take(at, 0, UINT32_MAX, &n) ||
        !take(at, INT64_MIN, INT64_MAX, &ret_head->t0_ns) || !take(at, INT64_MIN, INT64_MAX, &ret_head->t1_ns) ||
        !take(at, 0, UINT32_MAX, &bytes) || !take(at, 0, 1, &delivered) || !take(at, WR_TIME_TRUSTED, WR_TIME_UNTRUSTED, &quality))
        return false;
    if ((*at)[-1] == ' ' && !take_correction(at, &ret_head->correction))
        return false;
    ret_head->kind = (uint8_t)kind;
    ret_head->n = (uint32_t)n;
    ret_head->body_bytes = (uint32_t)bytes;
    ret_head->delivered = delivered;
    ret_head->time_quality = (uint8_t)quality;
    return true;
}

static enum wr_result read_heads(const char *text, struct wr_history_walk *walk, struct wr_segment_head *heads, uint32_t *ret_n,
                                 struct wr_error *err) {
    int64_t after, is_over;
    int64_t unreadable = 0;
    uint32_t n = 0;
    if (!take(&text, walk->after, INT64_MAX, &after) || !take(&text, 0, 1, &is_over) || (!is_over && after == walk->after))
        return nonsense(err);
    if (text[-1] == ' ' && !take(&text, 0, UINT16_MAX, &unreadable))
        return nonsense(err);
    for (; *text; n++)
        if (n == WR_HISTORY_HEADS || !take_head(&text, walk->lane, &heads[n]))
            return nonsense(err);
    walk->after = after;
    walk->is_over = is_over;
    walk->unreadable += (uint32_t)unreadable;
    *ret_n = n;
    return WR_OK;
}

static enum wr_result heads_of(void *user, struct wr_history_walk *walk, struct wr_segment_head *heads, uint32_t *ret_n,
                               struct wr_error *err) {
    struct wr_agent_history *agent = user;
    char words[4][WORD_BYTES];
    char *argv[] = {"history", "heads", words[0], words[1], words[2], words[3]};
    struct wr_buf answer;
    snprintf(words[0], WORD_BYTES, "%d", (int)walk->lane);
    snprintf(words[1], WORD_BYTES, "%" PRId64, walk->after);
    snprintf(words[2], WORD_BYTES, "%" PRId64, walk->from_ns);
    snprintf(words[3], WORD_BYTES, "%" PRId64, walk->to_ns);
    wr_buf_init(&answer, 0);
    enum wr_result result = ask(agent, sizeof argv / sizeof argv[0], argv, &answer, err);
    if (result == WR_OK)
        result = read_heads(wr_buf_str(&answer), walk, heads, ret_n, err);
    wr_buf_fini(&answer);
    return result;
}

/* -- bodies ----------------------------------------------------------------------------------------------------------------------------------------- */

/* The next of the last answer. WR_EMPTY: it has no more. *ret_len < 1: gone, or damaged. */
static enum wr_result next_body(struct wr_agent_history *agent, int64_t *ret_seq, const uint8_t **ret_body, int64_t *ret_len,
                                struct wr_error *err) {
    const char *begin = (const char *)agent->bodies.data;
    const char *at = begin + agent->at;
    if (agent->at == agent->bodies.len)
        return WR_EMPTY;
    if (!take(&at, 1, INT64_MAX, ret_seq) || !take(&at, -1, WR_SEGMENT_BODY_MAX, ret_len) || at > begin + agent->bodies.len)
        return nonsense(err);
    const size_t len = *ret_len > 0 ? (size_t)*ret_len : 0;
    if (len > agent->bodies.len - (size_t)(at - begin))
        return nonsense(err);
    *ret_body = (const uint8_t *)at;
    agent->at = (size_t)(at - begin) + len;
    return WR_OK;
}

/* WR_EMPTY: the last answer does not have it. */
static enum wr_result find(struct wr_agent_history *agent, int64_t seq, struct wr_segment *ret_segment, struct wr_error *err) {
    int64_t found = 0;
    int64_t len = 0;
    const uint8_t *body = NULL;
    do
        WR_TRY(next_body(agent, &found, &body, &len, err));
    while (found != seq); /* one that was not asked for after all */
    if (len < 1 || !body)
        return len < 0 ? wr_error_set(err, WR_CORRUPT, "segment %" PRId64 " is damaged", seq)
                       : wr_error_set(err, WR_NOT_FOUND, "it is gone");
    *ret_segment = (struct wr_segment){.seq = seq, .body_len = (size_t)len, .body = malloc((size_t)len)};
    if (!ret_segment->body)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a segment");
    memcpy(ret_segment->body, body, (size_t)len);
    return WR_OK;
}

static enum wr_result fetch(struct wr_agent_history *agent, const struct wr_segment_head *heads, uint32_t n, struct wr_error *err) {
    char words[WR_CONTROL_WORDS][WORD_BYTES];
    char *argv[WR_CONTROL_WORDS] = {"history", "bodies", words[2]};
    int argc = WORDS_BEFORE;
    snprintf(words[2], WORD_BYTES, "%d", heads[0].lane);
    for (uint32_t i = 0; i < n && argc < WR_CONTROL_WORDS; i++, argc++) {
        argv[argc] = words[argc];
        snprintf(words[argc], WORD_BYTES, "%" PRId64, heads[i].seq);
    }
    wr_buf_clear(&agent->bodies);
    agent->at = 0;
    return ask(agent, argc, argv, &agent->bodies, err);
}

static enum wr_result body_of(void *user, const struct wr_segment_head *heads, uint32_t n, struct wr_segment *ret_segment,
                              struct wr_error *err) {
    struct wr_agent_history *agent = user;
    enum wr_result result = find(agent, heads[0].seq, ret_segment, err);
    if (result != WR_EMPTY)
        return result;
    WR_TRY(fetch(agent, heads, n, err));
    result = find(agent, heads[0].seq, ret_segment, err);
    return result == WR_EMPTY ? nonsense(err) : result;
}

enum wr_result wr_agent_history_init(struct wr_agent_history *agent, const struct wr_config_control *control, struct wr_error *err) {
    struct wr_buf answer;
    char *argv[] = {"history"};
    *agent = (struct wr_agent_history){.control = control};
    wr_buf_init(&agent->bodies, 0);
    wr_buf_init(&answer, 0);
    const enum wr_result result = ask(agent, 1, argv, &answer, err);
    wr_buf_fini(&answer);
    return result;
}

void wr_agent_history_fini(struct wr_agent_history *agent) {
    wr_buf_fini(&agent->bodies);
}

struct wr_history wr_agent_history_source(struct wr_agent_history *agent) {
    return (struct wr_history){.user = agent, .heads = heads_of, .body = body_of};
}
