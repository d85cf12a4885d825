/* Replays traces of the channel's model (tests/model/channel.pml) against the code and compares every outcome.
 *
 * A trace is a row of steps, one a line: what was done, by whom, its outcome, and after a colon the depths of both channels and which of
 * the four descriptors are readable (send and receive of channel 0, of channel 1). A step that had to wait starts a thread, and the next
 * step is taken when that thread stands in the channel's queue; its `done` comes when a later step completed it. So each trace has one
 * order only, and no outcome depends on luck. A deadline that passed (`expire`) is replayed as a cancelled context: the same door.
 *
 * Directory of *.trace files: the first argument, else tests/data/channel-traces. tests/model/check makes hundreds of new ones. */
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/channel.h"
#include "core/clock.h"
#include "core/context.h"
#include "tests/support/waiting.h"

#define ACTORS 4
#define WORDS 16

static const char *directory = WEIR_TEST_DATA "/channel-traces";

/* One thread that waits. */
struct actor {
    pthread_t thread;
    bool running;
    bool selects;
    enum wr_channel_direction direction;
    struct wr_channel *channel;
    struct wr_context *context;
    struct wr_channel_case cases[2];
    uint32_t elements[2]; /* of the cases; [0] without a select */
    size_t index;
    enum wr_result result;
};

struct replay {
    const char *file;
    int line;
    size_t traces;
    size_t steps;
    struct wr_channel *channels[2];
    int fd[4];
    struct actor actors[ACTORS];
    size_t dropped; /* by the drop function */
};

static char *words[WORDS];
static size_t n_words;

static void expect(const struct replay *replay, bool right, const char *what) {
    if (!right)
        fail_msg("%s:%d: %s", replay->file, replay->line, what);
}

static uint32_t number(const struct replay *replay, size_t nth) {
    expect(replay, nth < n_words, "a word is missing");
    return (uint32_t)strtoul(words[nth], NULL, 10);
}

static void count_drop(void *element, void *user) {
    (void)element;
    ++*(size_t *)user;
}

static void trace_close(struct replay *replay) {
    for (int i = 0; i < 2; i++) {
        if (!replay->channels[i])
            continue;
        expect(replay, wr_channel_is_valid(replay->channels[i]), "the channel is not valid at the end");
        wr_channel_free(replay->channels[i]);
        replay->channels[i] = NULL;
    }
    for (int i = 0; i < ACTORS; i++)
        expect(replay, !replay->actors[i].running, "an actor never came back");
}

static void trace_open(struct replay *replay) {
    trace_close(replay);
    replay->traces++;
    replay->dropped = 0;
    for (uint32_t i = 0; i < 2; i++) {
        const struct wr_channel_options options = {.name = i ? "B" : "A",
                                                   .capacity = number(replay, 1),
                                                   .element_bytes = sizeof(uint32_t),
                                                   .policy = (enum wr_channel_policy)number(replay, 2 + i),
                                                   .drop = count_drop,
                                                   .user = &replay->dropped};
        expect(replay, wr_channel_new(&options, &replay->channels[i], NULL) == WR_OK, "no channel");
        for (uint32_t direction = 0; direction < 2; direction++)
            expect(replay,
                   wr_channel_descriptor(replay->channels[i], (enum wr_channel_direction)direction, &replay->fd[2 * i + direction], NULL) ==
                       WR_OK,
                   "no descriptor");
    }
}

/* ---- steps that return at once ---- */

static void expect_outcome(const struct replay *replay, enum wr_result result, const char *outcome) {
    static const struct {
        const char *name;
        enum wr_result result;
    } names[] = {{"ok", WR_OK},       {"dropped", WR_OK},    {"full", WR_FULL},
                 {"empty", WR_EMPTY}, {"closed", WR_CLOSED}, {"timeout", WR_CANCELED}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, outcome) != 0)
            continue;
        if (names[i].result != result)
            fail_msg("%s:%d: the model says %s, the code says %s", replay->file, replay->line, outcome, wr_result_name(result));
        return;
    }
    expect(replay, false, "an unknown outcome");
}

static uint64_t drops_of(const struct wr_channel *channel) {
    struct wr_channel_stats stats;
    wr_channel_stats(channel, &stats);
    return stats.dropped_newest + stats.dropped_oldest;
}

/* send, try-send: ME C ELEMENT OUTCOME. What the model did not let wait must not wait. */
static void step_send(struct replay *replay) {
    struct wr_channel *channel = replay->channels[number(replay, 2)];
    const uint32_t element = number(replay, 3);
    const bool drops = strcmp(words[4], "dropped") == 0;
    const uint64_t before = drops_of(channel);
    const size_t handed_before = replay->dropped;
    expect_outcome(replay, wr_channel_try_send(channel, &element), words[4]);
    expect(replay, drops_of(channel) - before == drops, "the policy dropped another number");
    expect(replay, replay->dropped - handed_before == drops, "the drop function was called another number of times");
}

static void step_recv(struct replay *replay) {
    uint32_t element = 0;
    expect_outcome(replay, wr_channel_try_recv(replay->channels[number(replay, 2)], &element), words[4]);
    expect(replay, element == number(replay, 3), "another element");
}

/* select, wait-select: ME ON0 C0 D0 ON1 C1 D1 OFFERED ... */
static void read_cases(const struct replay *replay, struct actor *actor) {
    for (uint32_t i = 0; i < 2; i++) {
        const enum wr_channel_direction direction = (enum wr_channel_direction)number(replay, 4 + 3 * i);
        actor->elements[i] = direction == WR_CHANNEL_SEND ? number(replay, 8) : 0;
        actor->cases[i] =
            (struct wr_channel_case){.channel = number(replay, 2 + 3 * i) ? replay->channels[number(replay, 3 + 3 * i)] : NULL,
                                     .direction = direction,
                                     .element = &actor->elements[i]};
    }
}

/* ... INDEX ELEMENT OUTCOME */
static void expect_case(const struct replay *replay, const struct actor *actor, size_t at) {
    expect(replay, actor->index == number(replay, at), "another case");
    const struct wr_channel_case *chosen = &actor->cases[actor->index];
    expect_outcome(replay, chosen->result, words[at + 2]);
    if (chosen->direction == WR_CHANNEL_RECV)
        expect(replay, actor->elements[actor->index] == number(replay, at + 1), "another element");
}

static void step_select(struct replay *replay) {
    struct actor actor = {.running = false};
    read_cases(replay, &actor);
    expect(replay, wr_channel_select(actor.cases, 2, NULL, 0, &actor.index) == WR_OK, "no case is ready");
    expect_case(replay, &actor, 9);
}

static void step_arm(struct replay *replay) {
    const bool ready = wr_channel_arm(replay->channels[number(replay, 1)], (enum wr_channel_direction)number(replay, 2));
    expect(replay, ready == (number(replay, 3) != 0), "arm answers otherwise");
}

static void step_disarm(struct replay *replay) {
    wr_channel_disarm(replay->channels[number(replay, 1)], (enum wr_channel_direction)number(replay, 2));
}

static void step_close(struct replay *replay) {
    wr_channel_close(replay->channels[number(replay, 1)]);
}

/* ---- steps that wait ---- */

static void *actor_main(void *user) {
    struct actor *actor = user;
    if (actor->selects)
        actor->result = wr_channel_select(actor->cases, 2, NULL, WR_NEVER_NS, &actor->index);
    else if (actor->direction == WR_CHANNEL_SEND)
        actor->result = wr_channel_send_context(actor->channel, actor->elements, actor->context);
    else
        actor->result = wr_channel_recv_context(actor->channel, actor->elements, actor->context);
    return NULL;
}

static struct actor *actor_of(struct replay *replay, bool running) {
    const uint32_t id = number(replay, 1);
    expect(replay, id < ACTORS && replay->actors[id].running == running, "the actor does not wait, or waits already");
    return &replay->actors[id];
}

static void actor_start(struct replay *replay, struct actor *actor) {
    const size_t before = wr_waiting_count(actor->channel, actor->direction);
    actor->running = true;
    expect(replay, pthread_create(&actor->thread, NULL, actor_main, actor) == 0, "no thread");
    wr_waiting_until(actor->channel, actor->direction, before + 1);
}

static void step_wait(struct replay *replay) {
    struct actor *actor = actor_of(replay, false);
    *actor = (struct actor){.channel = replay->channels[number(replay, 2)]};
    actor->direction = strcmp(words[0], "wait-send") == 0 ? WR_CHANNEL_SEND : WR_CHANNEL_RECV;
    if (actor->direction == WR_CHANNEL_SEND)
        actor->elements[0] = number(replay, 3);
    expect(replay, wr_context_new(NULL, WR_NEVER_NS, 0, &actor->context, NULL) == WR_OK, "no context");
    actor_start(replay, actor);
}

static void step_wait_select(struct replay *replay) {
    struct actor *actor = actor_of(replay, false);
    *actor = (struct actor){.selects = true};
    read_cases(replay, actor);
    const struct wr_channel_case *one = &actor->cases[actor->cases[0].channel ? 0 : 1];
    actor->channel = one->channel;
    actor->direction = one->direction;
    actor_start(replay, actor);
}

static void step_expire(struct replay *replay) {
    wr_context_cancel(actor_of(replay, true)->context);
}

static struct actor *actor_join(struct replay *replay) {
    struct actor *actor = actor_of(replay, true);
    expect(replay, pthread_join(actor->thread, NULL) == 0, "no join");
    actor->running = false;
    wr_context_unref(actor->context);
    return actor;
}

static void step_done(struct replay *replay) {
    const struct actor *actor = actor_join(replay);
    expect_outcome(replay, actor->result, words[4]);
    if (actor->direction == WR_CHANNEL_RECV)
        expect(replay, actor->elements[0] == number(replay, 3), "another element");
}

static void step_done_select(struct replay *replay) {
    const struct actor *actor = actor_join(replay);
    expect(replay, actor->result == WR_OK, "the select failed");
    expect_case(replay, actor, 2);
}

/* ---- the trace ---- */

static void expect_state(const struct replay *replay, const char *state) {
    unsigned depths[2];
    char readable[5];
    expect(replay, sscanf(state, " %u %u %4s", &depths[0], &depths[1], readable) == 3, "no state behind the colon");
    for (int i = 0; i < 2; i++) {
        struct wr_channel_stats stats;
        wr_channel_stats(replay->channels[i], &stats);
        expect(replay, stats.depth == depths[i], "another depth");
    }
    for (int i = 0; i < 4; i++) {
        struct pollfd one = {.fd = replay->fd[i], .events = POLLIN};
        expect(replay, poll(&one, 1, 0) == (readable[i] == '1'), "a descriptor is readable, or not, against the model");
    }
}

static void take_step(struct replay *replay, char *line) {
    static const struct {
        const char *name;
        size_t words;
        void (*take)(struct replay *);
    } steps[] = {
        {"send", 5, step_send},
        {"try-send", 5, step_send},
        {"recv", 5, step_recv},
        {"try-recv", 5, step_recv},
        {"select", 12, step_select},
        {"wait-send", 4, step_wait},
        {"wait-recv", 3, step_wait},
        {"wait-select", 9, step_wait_select},
        {"expire", 2, step_expire},
        {"done", 5, step_done},
        {"done-select", 5, step_done_select},
        {"arm", 4, step_arm},
        {"disarm", 4, step_disarm},
        {"close", 2, step_close},
        {"channels", 4, trace_open},
    };
    char *state = strchr(line, ':');
    if (state)
        *state++ = '\0';
    n_words = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \n", &rest); word && n_words < WORDS; word = strtok_r(NULL, " \n", &rest))
        words[n_words++] = word;
    if (n_words == 0 || words[0][0] == '#')
        return;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (strcmp(steps[i].name, words[0]) != 0)
            continue;
        expect(replay, n_words == steps[i].words, "another number of words");
        expect(replay, replay->channels[0] || steps[i].take == trace_open, "no channels yet");
        replay->steps++;
        steps[i].take(replay);
        if (state)
            expect_state(replay, state);
        return;
    }
    expect(replay, false, "an unknown step");
}

static void replay_file(struct replay *replay, const char *name) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    expect(replay, file != NULL, "cannot be opened");
    replay->file = name;
    replay->line = 0;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        replay->line++;
        take_step(replay, line);
    }
    trace_close(replay);
    (void)fclose(file);
}

static void the_code_does_what_the_model_does(void **state) {
    (void)state;
    static struct replay replay;
    replay.file = directory;
    DIR *dir = opendir(directory);
    expect(&replay, dir != NULL, "no such directory");
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        const size_t len = strlen(entry->d_name);
        if (len > 6 && strcmp(entry->d_name + len - 6, ".trace") == 0)
            replay_file(&replay, entry->d_name);
    }
    (void)closedir(dir);
    printf("%zu traces, %zu steps replayed\n", replay.traces, replay.steps);
    assert_true(replay.traces > 0);
}

int main(int argc, char **argv) {
    if (argc > 1)
        directory = argv[1];
    wr_waiting_watchdog(120);
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_code_does_what_the_model_does)};
    return cmocka_run_group_tests_name("core/channel, traces of the model", tests, NULL, NULL);
}
