/* The pool of core/pool.c and core/pool_watch.c with its watcher, its workers and its stop, as a Promela model.
 *
 * The queue is one step an operation (tests/model/channel.pml shows that the channel is that); everything between is a step of its own, so
 * that spin interleaves it. P1 to P10 are the steps listed in core/pool_private.h; -DWITHOUT_P3 takes one out. tests/model/check runs it all.
 *
 *   -DSCENARIO=1  the stop comes when every task has ended: until then no wake-up may be lost
 *   -DSCENARIO=2  the stop comes at any time, with all the time to drain: what was taken is run
 *   -DSCENARIO=3  the stop comes at any time, the time to drain may be over at any time, threads may fail to start, and task 1 goes on until its
 *                 context is cancelled: what was taken is run or dropped
 *   -DMIN= -DMAX= threads;  -DPER_SENDER= tasks;  -DBLOCKS=1: a submit waits for room, else it is refused
 *
 * How many threads there should be is left open within what wr_pool_size promises: any number, but never none for a queue with tasks. */

#ifndef SCENARIO
#define SCENARIO 1
#endif
#ifndef MIN
#define MIN 0
#endif
#ifndef MAX
#define MAX 2
#endif
#ifndef BLOCKS
#define BLOCKS 0
#endif

#ifndef PER_SENDER
#define PER_SENDER 1
#endif
#define SENDERS 2
#define CAPACITY 1
#define STUBBORN 1

/* states of a worker */
#define FREE 0
#define ALIVE 1
#define WENT 2
#define ENDED 3

/* states of the bell */
#define AWAKE 0
#define RESTS 1
#define SLEEPS 2

chan queue = [CAPACITY] of { byte };
bool closed;
byte leave;      /* words to go that nobody has heard yet */
byte unfinished; /* tasks on their way into the queue, in it, or running */
byte bell = AWAKE;
bool stopping;
bool canceled;
byte state[MAX];

/* The watcher's; the stop's once that is joined. */
byte alive;
byte leaving;
bool watcher_ended;
bool stop_ended;

/* What really happened: a bit a task. */
byte taken;
byte ran;
byte dropped;
byte senders_left = SENDERS;

#define BIT(task) (1 << ((task) - 1))

inline note_end(where, task) {
    assert((taken & BIT(task)) != 0 && ((ran | dropped) & BIT(task)) == 0); /* one end, of a task that was taken */
    where = where | BIT(task)
}

/* Looks first, then exchanges: two steps. */
inline ring(from) {
    if
    :: bell >= from -> bell = AWAKE
    :: else
    fi
}

/* ---- who submits --------------------------------------------------------------------------------------------------------------------- */

proctype sender(byte first) {
    byte task = first;
    bool sent;
    do
    :: task < first + PER_SENDER ->
#ifndef WITHOUT_P1
        unfinished++;
#endif
#if BLOCKS
        closed || len(queue) < CAPACITY;
#endif
        d_step {
            sent = !closed && len(queue) < CAPACITY;
            if
            :: sent -> queue ! task; taken = taken | BIT(task)
            :: else
            fi
        };
        if
        :: sent ->
#ifndef WITHOUT_P2
            ring(SLEEPS);
#endif
#ifdef WITHOUT_P1
            unfinished++;
#endif
        :: else ->
#ifndef WITHOUT_P1
            unfinished--;
#endif
        fi;
        sent = false;
        task++
    :: else -> break
    od;
    senders_left--
}

/* ---- workers: one process a place, a thread from ALIVE until it is joined ----------------------------------------------------------------- */

proctype worker(byte me) {
    byte task;
    byte end;
end_idle:
    do
    :: state[me] == ALIVE ->
        end = ALIVE;
        do
        :: end == ALIVE ->
            if /* the select looks at the queue first, but not at both at once */
            :: queue ? task ->
                if
                :: d_step { canceled -> note_end(dropped, task) }
                :: d_step { !canceled -> note_end(ran, task) };
                    if
                    :: SCENARIO == 3 && task == STUBBORN -> canceled
                    :: else
                    fi
                fi;
                d_step { assert(unfinished > 0); unfinished--; task = 0 }
            :: d_step { closed && len(queue) == 0 -> end = ENDED }
            :: d_step { leave > 0 -> leave--; end = WENT }
            fi
        :: else -> break
        od;
        state[me] = end;
        end = 0;
        ring(RESTS)
    od
}

/* ---- the watcher ---------------------------------------------------------------------------------------------------------------------- */

inline collect() {
    d_step {
        i = 0;
        do
        :: i < MAX ->
            if
            :: state[i] == WENT -> state[i] = FREE; alive--; leaving--
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

inline start_worker() {
    if
    :: MAX > 0 && state[0] == FREE -> state[0] = ALIVE; alive++
#if MAX > 1
    :: state[0] != FREE && state[1] == FREE -> state[1] = ALIVE; alive++
#endif
#if SCENARIO == 3
    :: true /* no memory for a thread */
#endif
    :: else
    fi
}

inline call_back(done) {
    d_step {
        done = leaving > 0 && leave > 0;
        if
        :: done -> leave--; leaving--
        :: else
        fi
    }
}

inline look() {
    collect();
    queued = len(queue);
    if /* grow; for tasks only, or to the least number */
    :: queued > 0 || alive - leaving < MIN ->
        call_back(done);
        if
        :: done
        :: else -> start_worker()
        fi;
        done = false
    :: alive - leaving > MIN && !(queued > 0 && alive - leaving == 1) -> leave++; leaving++ /* shrink */
    :: !(queued > 0 && alive - leaving == 0) /* leave it */
    fi;
    queued = 0
}

inline rest() {
    sleeps = alive == MIN && leaving == 0 && unfinished == 0;
    bell = (sleeps -> SLEEPS : RESTS);
    if
#ifndef WITHOUT_P3
    :: stopping || (sleeps && unfinished > 0)
#endif
    :: else -> (bell == AWAKE || !sleeps) /* the time of a rest may pass at once */
    fi;
    bell = AWAKE;
    sleeps = false
}

proctype watcher() {
    byte i, queued;
    bool done, sleeps;
    do
    :: stopping -> break
    :: !stopping -> look(); rest()
    od;
    /* the last look */
    do
    :: call_back(done);
        if
        :: done
        :: else -> break
        fi
    od;
    done = false;
#ifndef WITHOUT_P7
    do
    :: collect();
        if
        :: leaving == 0 -> break
        :: else -> (state[0] == WENT || state[MAX - 1] == WENT)
        fi
    od;
#endif
#ifndef WITHOUT_P8
    if
    :: alive == 0 && len(queue) > 0 -> start_worker()
    :: else
    fi;
#endif
    watcher_ended = true
}

/* ---- the stop ------------------------------------------------------------------------------------------------------------------------- */

inline join_workers(patient) {
    i = 0;
    do
    :: i < MAX ->
        if
        :: state[i] == FREE
        :: d_step { state[i] == WENT || state[i] == ENDED -> state[i] = FREE; alive-- }
        :: !(patient) && state[i] == ALIVE /* the time is over */
        fi;
        i++
    :: else -> break
    od
}

proctype stop() {
    byte i, task;
#if SCENARIO == 1
    senders_left == 0 && (ran | dropped) == taken;
#endif
#ifndef WITHOUT_P4
    closed = true;
#endif
    stopping = true;
#ifndef WITHOUT_P5
    ring(RESTS);
#endif
#ifndef WITHOUT_P6
    watcher_ended;
#endif
    join_workers(SCENARIO != 3);
#ifndef WITHOUT_P9
    canceled = true;
#endif
    join_workers(true);
#ifndef WITHOUT_P10
    do
    :: queue ? task -> d_step { note_end(dropped, task); unfinished--; task = 0 }
    :: empty(queue) -> break
    od;
#endif
    stop_ended = true
}

init {
    atomic {
        run sender(1);
        run sender(1 + PER_SENDER);
        run worker(0);
#if MAX > 1
        run worker(1);
#endif
        run watcher();
        run stop()
    };
    stop_ended && watcher_ended && senders_left == 0;
    /* Everything that was taken has ended, once; no thread is left behind. */
    assert((ran | dropped) == taken && (ran & dropped) == 0);
    assert(state[0] == FREE && state[MAX - 1] == FREE);
    assert(unfinished == 0 && len(queue) == 0);
#if SCENARIO != 3
    assert(dropped == 0)
#endif
}
