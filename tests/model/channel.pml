/* The channel of core/channel*.c with its waiters, its descriptor handshake, select and close, as a Promela model.
 *
 * What happens under the lock is one step here; what happens outside of it (a waiter's own state, parking, waking) are steps of their own,
 * so that spin interleaves them. W1 to W9 and C1 to C8 are the wake-ups and checks listed in core/channel_private.h; -DWITHOUT_W3 takes
 * one out. I1 to I6 are the invariants of core/channel.h, asserted after every step under the lock. tests/model/check runs it all.
 *
 *   -DCAPACITY=0|1|2   of both channels, 0 (A) and 1 (B)
 *   -DSCENARIO=1..5    who takes part: the end of this file; always two senders and two receivers
 *   -DPOLICY_A=, _B=   BLOCK, DROP_NEWEST, DROP_OLDEST or REJECT
 *   -DONLY_OUTCOME     leaves I3 and I6 to their consequences: a thread that sleeps for ever, an element that is lost
 *   -DTRACE            prints each operation with its outcome, for tests/model/replay
 *
 * Elements are numbers: sender s (0 or 1) sends s * PER_SENDER + 1, s * PER_SENDER + 2, ...; 0 is no element. */

#ifndef CAPACITY
#define CAPACITY 1
#endif
#ifndef SCENARIO
#define SCENARIO 1
#endif
#ifndef PER_SENDER
#define PER_SENDER 2
#endif
#ifndef POLICY_A
#define POLICY_A BLOCK
#endif
#ifndef POLICY_B
#define POLICY_B BLOCK
#endif

#ifdef TRACE
#define SAY(text) text
#define MASK int
#else
#define SAY(text) skip
#define MASK byte
#endif

#define WAITERS 4 /* senders 0 and 1, receivers 2 and 3 */
#define NOBODY 9
#define SEND 0
#define RECV 1
#define Q(c, d) (2 * (c) + (d))

/* policies */
#define BLOCK 0
#define DROP_NEWEST 1
#define DROP_OLDEST 2
#define REJECT 3

/* outcomes */
#define OK 1
#define FULL 2
#define EMPTY 3
#define CLOSED 4
#define TIMEOUT 5
#define DROPPED 6 /* accepted or not, but something went by the policy */

/* states of a waiter, in this order */
#define WAITING 0
#define CLAIMED 1
#define DONE 2
#define EXPIRED 3

/* The channels: touched under the lock only. */
chan ring[2] = [CAPACITY + 1] of { byte }; /* one place more than is used: a capacity of 0 is our rendezvous, not Promela's */
chan queue[4] = [WAITERS] of { byte };     /* waiting entries by Q(channel, direction) */
bool closed[2];
bool armed[4];
byte balance[2]; /* accepted - received - dropped from the head */

/* The waiters and the descriptors: touched outside the lock too. */
byte state[WAITERS] = DONE;
bool asleep[WAITERS]; /* in the kernel, on the word `state` */
bool alive[WAITERS];  /* the waiter's memory exists */
byte result[WAITERS];
byte chosen[WAITERS]; /* Q(channel, direction) of the entry that was claimed */
byte offer[WAITERS];  /* what a waiting sender holds */
byte got[WAITERS];    /* where a waiting receiver wants it */
bool fd[4];           /* readable */

/* What really happened: a bit per element, and the last element handed out by channel and sender. */
MASK sent;
MASK arrived;
MASK dropped;
byte last[4];
byte senders_left = 2;

#define BIT(element) (1 << ((element) - 1))
#define SENDER(element) (((element) - 1) / PER_SENDER)
#define POLICY(c) ((c) == 0 -> POLICY_A : POLICY_B)

/* Used inside one step only. */
hidden byte candidate;
hidden byte claimed;
hidden byte head;
hidden byte i;
hidden byte has_sender;
hidden byte has_receiver;

/* ---- trace: a line per operation, closed by depths and descriptors ------------------------------------------------------------------- */

inline say_outcome(outcome) {
    if
    :: outcome == OK -> printf("ok")
    :: outcome == FULL -> printf("full")
    :: outcome == EMPTY -> printf("empty")
    :: outcome == CLOSED -> printf("closed")
    :: outcome == TIMEOUT -> printf("timeout")
    :: outcome == DROPPED -> printf("dropped")
    fi
}

inline say_state() { printf(" : %d %d %d%d%d%d\n", len(ring[0]), len(ring[1]), fd[0], fd[1], fd[2], fd[3]) }

/* ---- under the lock ------------------------------------------------------------------------------------------------------------------ */

inline claim(c, d, with) { /* -> claimed */
    claimed = NOBODY;
    do
    :: claimed == NOBODY && len(queue[Q(c, d)]) > 0 ->
        queue[Q(c, d)] ? candidate;
        assert(alive[candidate]);
        if
#ifdef WITHOUT_C2
        :: true ->
#else
        :: state[candidate] == WAITING ->
#endif
            state[candidate] = CLAIMED;
            result[candidate] = with;
            chosen[candidate] = Q(c, d);
            claimed = candidate
        :: else
        fi
    :: else -> break
    od
}

inline signal(c, d) {
    if
    :: armed[Q(c, d)] -> fd[Q(c, d)] = true; armed[Q(c, d)] = false
    :: else
    fi
}

inline hand_out(c, element) { /* in order per sender, none twice */
    assert(last[2 * (c) + SENDER(element)] < element);
    last[2 * (c) + SENDER(element)] = element
}

/* Who could be claimed; stale entries count as nobody. -> has_sender, has_receiver */
inline look_for_waiters(c) {
    has_sender = false;
    has_receiver = false;
    i = 0;
    do
    :: i < WAITERS ->
        if
        :: state[i] == WAITING && queue[Q(c, SEND)] ?? [eval(i)] -> has_sender = true
        :: else
        fi;
        if
        :: state[i] == WAITING && queue[Q(c, RECV)] ?? [eval(i)] -> has_receiver = true
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

inline check_invariants(c) {
    assert(len(ring[c]) <= CAPACITY);   /* I1 */
    assert(balance[c] == len(ring[c])); /* I2 */
#ifndef ONLY_OUTCOME
    look_for_waiters(c);
    assert(!(has_sender && len(ring[c]) < CAPACITY));                                      /* I3 */
    assert(!(has_receiver && len(ring[c]) > 0));                                           /* I3 */
    assert(!(has_sender && has_receiver));                                                 /* I3: nobody here sends to itself */
    assert(!(closed[c] && (has_sender || has_receiver)));                                  /* I3 */
    assert(!(armed[Q(c, RECV)] && (len(ring[c]) > 0 || has_sender || closed[c])));         /* I6 */
    assert(!(armed[Q(c, SEND)] && (len(ring[c]) < CAPACITY || has_receiver || closed[c]))) /* I6 */
#endif
}

/* One element in. Whom to wake is added to `wake`. */
inline push(c, element, outcome, wake) {
    outcome = OK;
    claimed = NOBODY;
    if
#ifndef WITHOUT_C8
    :: closed[c] -> outcome = CLOSED
#endif
    :: else ->
        assert(!closed[c]); /* I5 */
#ifndef WITHOUT_W1
        claim(c, RECV, OK);
#endif
        if
        :: claimed != NOBODY ->
            got[claimed] = element;
            hand_out(c, element);
            wake = wake | (1 << claimed)
        :: claimed == NOBODY && len(ring[c]) < CAPACITY ->
            ring[c] ! element;
            balance[c]++
        :: claimed == NOBODY && len(ring[c]) >= CAPACITY && POLICY(c) == DROP_NEWEST ->
            dropped = dropped | BIT(element);
            outcome = DROPPED
        :: claimed == NOBODY && len(ring[c]) >= CAPACITY && POLICY(c) == DROP_OLDEST ->
            ring[c] ? head;
            hand_out(c, head);
            dropped = dropped | BIT(head);
            ring[c] ! element;
            outcome = DROPPED
        :: else -> outcome = FULL
        fi;
#ifndef WITHOUT_W5
        if
        :: outcome != FULL && len(ring[c]) > 0 -> signal(c, RECV)
        :: else
        fi
#endif
    fi
}

/* One element out. */
inline pull(c, element, outcome, wake) {
    outcome = OK;
    element = 0;
    claimed = NOBODY;
    if
    :: len(ring[c]) > 0 ->
        ring[c] ? element;
        hand_out(c, element);
        balance[c]--;
#ifndef WITHOUT_W2
        claim(c, SEND, OK);
        assert(claimed == NOBODY || !closed[c]); /* I5 */
        if
        :: claimed != NOBODY -> ring[c] ! offer[claimed]; balance[c]++; wake = wake | (1 << claimed)
        :: else
        fi
#endif
    :: else ->
#ifndef WITHOUT_W2
        claim(c, SEND, OK);
        assert(claimed == NOBODY || !closed[c]); /* I5 */
#endif
        if
        :: claimed != NOBODY ->
            element = offer[claimed];
            hand_out(c, element);
            wake = wake | (1 << claimed)
        :: claimed == NOBODY && closed[c] -> outcome = CLOSED
        :: else -> outcome = EMPTY
        fi
    fi;
#ifndef WITHOUT_W6
    if
    :: outcome == OK && len(ring[c]) < CAPACITY -> signal(c, SEND)
    :: else
    fi
#endif
}

inline enqueue(c, d, me) {
    queue[Q(c, d)] ! me;
#ifndef WITHOUT_W8
    if
    :: CAPACITY == 0 -> signal(c, 1 - (d))
    :: else
    fi
#endif
}

inline become_waiter(me, element) {
    alive[me] = true;
    state[me] = WAITING;
    offer[me] = element;
    got[me] = 0
}

inline dequeue(c, d, me) {
    if
    :: queue[Q(c, d)] ?? [eval(me)] -> queue[Q(c, d)] ?? eval(me)
    :: else
    fi
}

/* ---- outside the lock ---------------------------------------------------------------------------------------------------------------- */

inline unpark(w) {
#ifdef WITHOUT_W9
    skip
#else
    asleep[w] = false
#endif
}

/* DONE is the last access to the waiter's memory; unparking needs only its address. */
inline wake_one(w, rest) {
    d_step { wake = wake & rest; assert(alive[w]); state[w] = DONE };
    unpark(w)
}

inline wake_all(wake) {
    do
    :: wake == 0 -> break
    :: (wake & 1) != 0 -> wake_one(0, 14)
    :: (wake & 3) == 2 -> wake_one(1, 12)
    :: (wake & 7) == 4 -> wake_one(2, 8)
    :: wake == 8 -> wake_one(3, 0)
    od
}

/* The futex: the kernel looks at the word once more before the thread sleeps. The deadline: the waiter claims itself, unless a peer was
 * faster. */
inline park(me, may_expire) {
    do
    :: state[me] > CLAIMED -> break
#ifdef WITHOUT_C7
    :: state[me] <= CLAIMED -> asleep[me] = true;
#else
    :: d_step { state[me] <= CLAIMED -> asleep[me] = true };
#endif
        if
        :: !asleep[me]
#ifdef WITHOUT_C3
        :: d_step { may_expire && asleep[me] -> asleep[me] = false; state[me] = EXPIRED; SAY(printf("expire %d", me); say_state()) }
#else
        :: d_step {
                may_expire && asleep[me] && state[me] == WAITING ->
                asleep[me] = false;
                state[me] = EXPIRED;
                SAY(printf("expire %d", me); say_state())
            }
#endif
        fi
    od;
    skip /* spin lets no break lead into a d_step */
}

/* After the wait for one channel. */
inline come_back(me, c, d, element, outcome, may_expire) {
    park(me, may_expire);
    if
    :: state[me] == EXPIRED -> d_step { dequeue(c, d, me) }
    :: else
    fi;
    d_step {
        outcome = (state[me] == DONE -> result[me] : TIMEOUT);
        SAY(printf("done %d %d %d ", me, c, got[me]); say_outcome(outcome); say_state());
        if
        :: d == SEND -> note_sent(element, outcome)
        :: else -> element = got[me]; note_arrived(element, outcome)
        fi;
        end_wait(me)
    }
}

inline end_wait(me) {
    alive[me] = false;
    state[me] = DONE;
    got[me] = 0;
    offer[me] = 0;
    result[me] = 0;
    chosen[me] = 0
}

/* What the thread was told about its element. */
inline note_sent(element, outcome) {
    if
    :: outcome == OK || outcome == DROPPED -> assert((sent & BIT(element)) == 0); sent = sent | BIT(element)
    :: else
    fi
}

inline note_arrived(element, outcome) {
    if
    :: outcome == OK -> assert(element != 0 && (arrived & BIT(element)) == 0); arrived = arrived | BIT(element)
    :: else
    fi;
    element = 0
}

/* ---- whole operations ---------------------------------------------------------------------------------------------------------------- */

inline send(me, c, element, outcome, wake, may_expire) {
    d_step {
        push(c, element, outcome, wake);
#ifdef WITHOUT_C1
    };
    d_step {
#endif
        if
        :: outcome == FULL && POLICY(c) == BLOCK ->
            become_waiter(me, element);
            enqueue(c, SEND, me);
            SAY(printf("wait-send %d %d %d", me, c, element); say_state())
        :: else ->
            SAY(printf("send %d %d %d ", me, c, element); say_outcome(outcome); say_state());
            note_sent(element, outcome)
        fi;
        check_invariants(c)
    };
    if
    :: outcome == FULL && POLICY(c) == BLOCK -> come_back(me, c, SEND, element, outcome, may_expire)
    :: else -> wake_all(wake)
    fi
}

inline recv(me, c, element, outcome, wake, may_expire) {
    d_step {
        pull(c, element, outcome, wake);
#ifdef WITHOUT_C1
    };
    d_step {
#endif
        if
        :: outcome == EMPTY ->
            become_waiter(me, 0);
            enqueue(c, RECV, me);
            SAY(printf("wait-recv %d %d", me, c); say_state())
        :: else ->
            SAY(printf("recv %d %d %d ", me, c, element); say_outcome(outcome); say_state());
            note_arrived(element, outcome)
        fi;
        check_invariants(c)
    };
    if
    :: outcome == EMPTY -> come_back(me, c, RECV, element, outcome, may_expire)
    :: else -> wake_all(wake)
    fi
}

inline try_case(number, on, c, d, offered, element, index, outcome, wake) {
    if
    :: on && index == NOBODY && d == SEND ->
        push(c, offered, outcome, wake);
        if
        :: outcome == FULL && POLICY(c) == BLOCK
        :: else -> index = number
        fi
    :: on && index == NOBODY && d == RECV ->
        pull(c, element, outcome, wake);
        if
        :: outcome == EMPTY
        :: else -> index = number
        fi
    :: else
    fi
}

/* Select over two cases, with both locks held. (The code first looks at one channel after the other: a row of tries, left out here.) */
inline select2(me, on0, c0, d0, on1, c1, d1, offered, element, index, outcome, wake) {
    d_step {
        index = NOBODY;
        try_case(0, on0, c0, d0, offered, element, index, outcome, wake);
        try_case(1, on1, c1, d1, offered, element, index, outcome, wake);
#ifdef WITHOUT_C1
    };
    d_step {
#endif
        if
        :: index == NOBODY ->
            become_waiter(me, offered);
            if
            :: on0 -> enqueue(c0, d0, me)
            :: else
            fi;
            if
            :: on1 -> enqueue(c1, d1, me)
            :: else
            fi;
            SAY(printf("wait-select %d %d %d %d %d %d %d %d", me, on0, c0, d0, on1, c1, d1, offered); say_state())
        :: else ->
            SAY(printf("select %d %d %d %d %d %d %d %d", me, on0, c0, d0, on1, c1, d1, offered));
            SAY(printf(" %d %d ", index, element); say_outcome(outcome); say_state());
            note_case((index == 0 -> d0 : d1), offered, element, outcome)
        fi;
        check_invariants(0);
        check_invariants(1)
    };
    if
    :: index == NOBODY ->
        park(me, false);
#ifndef WITHOUT_C4
        d_step { dequeue(c0, d0, me) };
#endif
        d_step {
#ifndef WITHOUT_C4
            dequeue(c1, d1, me);
#endif
            outcome = result[me];
            element = got[me];
            index = (chosen[me] == Q(c0, d0) -> 0 : 1);
            SAY(printf("done-select %d %d %d ", me, index, element); say_outcome(outcome); say_state());
            note_case((index == 0 -> d0 : d1), offered, element, outcome); /* I4: it moved on the channel that was claimed */
            end_wait(me)
        }
    :: else -> wake_all(wake)
    fi
}

inline note_case(d, offered, element, outcome) {
    if
    :: d == SEND -> assert(element == 0); note_sent(offered, outcome)
    :: else -> note_arrived(element, outcome)
    fi
}

inline arm(c, d, ready) {
    d_step {
        look_for_waiters(c);
#ifdef WITHOUT_C5
        ready = false;
#else
        ready = closed[c] || (d == RECV -> len(ring[c]) > 0 || has_sender : len(ring[c]) < CAPACITY || has_receiver);
#endif
        armed[Q(c, d)] = !ready;
        assert(!(armed[Q(c, d)] && fd[Q(c, d)])); /* a loop that sleeps is not woken for nothing */
        SAY(printf("arm %d %d %d", c, d, ready); say_state());
        check_invariants(c)
    }
}

/* The loop sleeps in poll, then disarms. */
inline sleep_in_loop(c, d) {
    fd[Q(c, d)];
    d_step {
        armed[Q(c, d)] = false;
#ifndef WITHOUT_C6
        fd[Q(c, d)] = false;
#endif
        SAY(printf("disarm %d %d %d", c, d, 0); say_state())
    }
}

inline close(c, wake) {
    d_step {
        closed[c] = true;
#ifndef WITHOUT_W3
        claim(c, RECV, CLOSED);
        do
        :: claimed != NOBODY -> wake = wake | (1 << claimed); claim(c, RECV, CLOSED)
        :: else -> break
        od;
#endif
#ifndef WITHOUT_W4
        claim(c, SEND, CLOSED);
        do
        :: claimed != NOBODY -> wake = wake | (1 << claimed); claim(c, SEND, CLOSED)
        :: else -> break
        od;
#endif
#ifndef WITHOUT_W7
        signal(c, RECV);
        signal(c, SEND);
#endif
        SAY(printf("close %d", c); say_state());
        check_invariants(c)
    };
    wake_all(wake)
}

/* ---- who takes part ------------------------------------------------------------------------------------------------------------------ */

proctype sender(byte me; byte c; bool may_expire) {
    byte element = me * PER_SENDER;
    byte outcome, wake;
    do
    :: element < (me + 1) * PER_SENDER ->
        element++;
        send(me, c, element, outcome, wake, may_expire);
        outcome = 0
    :: else -> break
    od;
    senders_left--
}

proctype loop_sender(byte me; byte c) {
    byte element = me * PER_SENDER + 1;
    byte outcome, wake;
    bool ready;
    do
    :: element <= (me + 1) * PER_SENDER ->
        d_step {
            push(c, element, outcome, wake);
            SAY(printf("try-send %d %d %d ", me, c, element); say_outcome(outcome); say_state());
            note_sent(element, outcome);
            check_invariants(c)
        };
        wake_all(wake);
        if
        :: outcome == FULL ->
            arm(c, SEND, ready);
            if
            :: ready -> ready = false
            :: else -> sleep_in_loop(c, SEND)
            fi
        :: else -> element++
        fi;
        outcome = 0
    :: else -> break
    od;
    senders_left--
}

proctype receiver(byte me; byte c; bool may_expire) {
    byte element, outcome, wake;
    do
    :: recv(me, c, element, outcome, wake, may_expire);
        if
        :: outcome == CLOSED -> break
        :: else -> outcome = 0
        fi
    od
}

proctype loop_receiver(byte me; byte c) {
    byte element, outcome, wake;
    bool ready;
    do
    :: d_step {
            pull(c, element, outcome, wake);
            SAY(printf("try-recv %d %d %d ", me, c, element); say_outcome(outcome); say_state());
            note_arrived(element, outcome);
            check_invariants(c)
        };
        wake_all(wake);
        if
        :: outcome == OK
        :: outcome == CLOSED -> break
        :: else ->
            arm(c, RECV, ready);
            if
            :: ready -> ready = false
            :: else -> sleep_in_loop(c, RECV)
            fi
        fi;
        outcome = 0
    od
}

/* Receives from both channels until both have ended. */
proctype select_receiver(byte me) {
    byte element, outcome, index, wake;
    bool on0 = true;
    bool on1 = true;
    do
    :: on0 || on1 ->
        select2(me, on0, 0, RECV, on1, 1, RECV, 0, element, index, outcome, wake);
        if
        :: outcome == OK
        :: outcome == CLOSED && index == 0 -> on0 = false
        :: else -> on1 = false
        fi;
        outcome = 0;
        index = 0
    :: else -> break
    od
}

/* Sends on one channel or receives from the other, whichever goes first: two of these meet each other. */
proctype select_both(byte me; byte out; byte in) {
    byte offered = me * PER_SENDER + 1;
    byte element, outcome, index, wake;
    bool sends = true;
    bool receives = true;
    do
    :: sends || receives ->
        select2(me, sends, out, SEND, receives, in, RECV, offered, element, index, outcome, wake);
        if
        :: index == 0 && (outcome == CLOSED || offered == (me + 1) * PER_SENDER) -> sends = false; senders_left--
        :: index == 0 && outcome != CLOSED && offered < (me + 1) * PER_SENDER -> offered++
        :: index == 1 && outcome == CLOSED -> receives = false
        :: else
        fi;
        outcome = 0;
        index = 0
    :: else -> break
    od
}

/* Closes after the senders, or under their hands. */
proctype closer() {
    byte wake;
    bool early;
    if
    :: early = false
#ifdef TRACE /* the longer traces tell more */
    :: early = false
    :: early = false
#endif
    :: early = true
    fi;
    early || senders_left == 0;
    close(0, wake);
    close(1, wake)
}

init {
    atomic {
        SAY(printf("channels %d %d %d\n", CAPACITY, POLICY_A, POLICY_B));
#if SCENARIO == 1 /* threads on one channel; a receiver with a deadline */
        run sender(0, 0, false);
        run sender(1, 0, false);
        run receiver(2, 0, true);
        run receiver(3, 0, false);
#elif SCENARIO == 2 /* a select of two beside a plain receiver; a sender with a deadline */
        run sender(0, 0, false);
        run sender(1, 1, true);
        run select_receiver(2);
        run receiver(3, 0, false);
#elif SCENARIO == 3 /* an event loop alone on one side: nobody else makes up for its lost wake-ups */
        run sender(0, 0, false);
        run loop_sender(1, 1);
        run loop_receiver(2, 0);
        run receiver(3, 1, false);
#elif SCENARIO == 4 /* selects that meet, each sender and receiver at once */
        run select_both(0, 0, 1);
        run select_both(1, 1, 0);
        run receiver(2, 0, false);
#else /* event loops and a select */
        run sender(0, 1, false);
        run loop_sender(1, 0);
        run loop_receiver(2, 0);
        run select_receiver(3);
#endif
        run closer()
    };
    _nr_pr == 1;
    /* Everything came back. Each element ended once: with a receiver, by the policy, or it was never accepted. */
    assert(len(queue[0]) + len(queue[1]) + len(queue[2]) + len(queue[3]) == 0);
    assert(len(ring[0]) + len(ring[1]) == 0);
    assert((arrived | dropped) == sent && (arrived & dropped) == 0)
}
