#include "agent/actions/action_queue.h"

#include "core/clock.h"

#define JITTER_PARTS 5 /* a wait is longer by up to a fifth */

static void unlink_turn(struct wr_action_queue *queue, struct wr_action_turn *turn) {
    *(turn->before ? &turn->before->behind : &queue->first) = turn->behind;
    *(turn->behind ? &turn->behind->before : &queue->last) = turn->before;
    turn->before = turn->behind = NULL;
    queue->n--;
    queue->running -= turn->state == WR_ACTION_RUNNING;
    turn->state = WR_ACTION_WAITING;
}

static void append(struct wr_action_queue *queue, struct wr_action_turn *turn) {
    turn->state = WR_ACTION_WAITING;
    turn->tried = 0;
    turn->behind = NULL;
    turn->before = queue->last;
    *(queue->last ? &queue->last->behind : &queue->first) = turn;
    queue->last = turn;
    queue->n++;
}

/* The oldest that waits and is at most so important. */
static struct wr_action_turn *oldest(const struct wr_action_queue *queue, enum wr_action_importance least, enum wr_action_importance most) {
    struct wr_action_turn *turn = queue->first;
    while (turn && (turn->state != WR_ACTION_WAITING || turn->importance < least || turn->importance > most))
        turn = turn->behind;
    return turn;
}

bool wr_action_turn_replaces(const struct wr_action_turn *turn, const struct wr_action_turn *older) {
    const bool repeats = turn->importance == WR_ACTION_REPEAT && older->importance == WR_ACTION_REPEAT;
    return turn->alarm == older->alarm && turn->action == older->action && turn->line == older->line && (repeats || turn->line != 0);
}

static struct wr_action_turn *replaced(const struct wr_action_queue *queue, const struct wr_action_turn *turn) {
    struct wr_action_turn *older = queue->first;
    while (older && (older->state != WR_ACTION_WAITING || !wr_action_turn_replaces(turn, older)))
        older = older->behind;
    return older;
}

/* One of its line is before it. */
static bool is_behind(const struct wr_action_turn *turn) {
    const struct wr_action_turn *before = turn->line != 0 ? turn->before : NULL;
    while (before && before->line != turn->line)
        before = before->before;
    return before != NULL;
}

/* Q1 to Q3. */
static struct wr_action_turn *who_goes(const struct wr_action_queue *queue, struct wr_action_turn *turn) {
    struct wr_action_turn *goes = oldest(queue, WR_ACTION_REPEAT, WR_ACTION_REPEAT);
    if (goes || turn->importance == WR_ACTION_REPEAT)
        return goes ? goes : turn;
    goes = oldest(queue, WR_ACTION_NEWS, WR_ACTION_NEWS);
    return goes ? goes : turn;
}

struct wr_action_turn *wr_action_queue_put(struct wr_action_queue *queue, struct wr_action_turn *turn) {
    struct wr_action_turn *goes = replaced(queue, turn);
    if (!goes && queue->n >= queue->capacity)
        goes = who_goes(queue, turn);
    if (goes == turn)
        return turn;
    if (goes)
        unlink_turn(queue, goes);
    append(queue, turn);
    return goes;
}

struct wr_action_turn *wr_action_queue_next(const struct wr_action_queue *queue, int64_t now_boot_ns) {
    if (queue->running >= queue->parallel)
        return NULL;
    struct wr_action_turn *turn = queue->first;
    while (turn && (turn->state != WR_ACTION_WAITING || turn->due_boot_ns > now_boot_ns || is_behind(turn)))
        turn = turn->behind;
    return turn;
}

int64_t wr_action_queue_due(const struct wr_action_queue *queue) {
    int64_t due_boot_ns = WR_NEVER_NS;
    if (queue->running >= queue->parallel)
        return WR_NEVER_NS;
    for (const struct wr_action_turn *turn = queue->first; turn; turn = turn->behind)
        if (turn->state == WR_ACTION_WAITING && turn->due_boot_ns < due_boot_ns && !is_behind(turn))
            due_boot_ns = turn->due_boot_ns;
    return due_boot_ns;
}

void wr_action_queue_begin(struct wr_action_queue *queue, struct wr_action_turn *turn) {
    turn->state = WR_ACTION_RUNNING;
    turn->tried++;
    queue->running++;
}

void wr_action_queue_again(struct wr_action_queue *queue, struct wr_action_turn *turn, int64_t due_boot_ns) {
    turn->state = WR_ACTION_WAITING;
    turn->tried--;
    turn->due_boot_ns = due_boot_ns;
    queue->running--;
}

bool wr_action_queue_failed(struct wr_action_queue *queue, struct wr_action_turn *turn, int64_t patience_ns, int64_t now_boot_ns,
                            uint64_t random) {
    if (turn->tried >= turn->retry.tries) {
        unlink_turn(queue, turn);
        return false;
    }
    int64_t wait_ns = wr_retry_wait_ns(&turn->retry, turn->tried);
    wait_ns += (int64_t)(random % ((uint64_t)wait_ns / JITTER_PARTS + 1));
    if (patience_ns > WR_ACTION_PATIENCE_NS)
        patience_ns = WR_ACTION_PATIENCE_NS;
    turn->due_boot_ns = wr_clock_add_ns(now_boot_ns, wait_ns > patience_ns ? wait_ns : patience_ns);
    turn->state = WR_ACTION_WAITING;
    queue->running--;
    return true;
}

void wr_action_queue_remove(struct wr_action_queue *queue, struct wr_action_turn *turn) {
    unlink_turn(queue, turn);
}

struct wr_action_turn *wr_action_queue_waiting(const struct wr_action_queue *queue) {
    return oldest(queue, WR_ACTION_REPEAT, WR_ACTION_RAISE);
}

bool wr_action_queue_is_valid(const struct wr_action_queue *queue) {
    uint32_t n = 0, running = 0;
    const struct wr_action_turn *before = NULL;
    for (const struct wr_action_turn *turn = queue->first; turn; before = turn, turn = turn->behind) {
        if (turn->before != before || turn->tried > turn->retry.tries)
            return false;
        n++;
        running += turn->state == WR_ACTION_RUNNING;
    }
    return before == queue->last && n == queue->n && running == queue->running && n <= queue->capacity && running <= queue->parallel;
}
