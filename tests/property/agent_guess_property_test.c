/* Senders that go round their series, mostly: with a sink that guesses how the next line begins the parser reads what it reads without, whatever
 * the pieces in which the bytes come, and however often the sink is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/line.h"
#include "tests/support/collect.h"
#include "tests/support/guessing.h"
#include "tests/support/random.h"

#define ROUNDS 300
#define LINES 200

static struct wr_random seed;

/* Some begin as others do, some end as others do, some have a sign of their own in them. */
static const char *const heads[] = {"m v=",
                                    "m v2=",
                                    "m,h=1 v=",
                                    "m,h=12 v=",
                                    "m,h=12 value=",
                                    "m\\ v,h=1 v=",
                                    "m,h=1\\ v=",
                                    "m,h=1 v\\=",
                                    "m,h=1 v\\=w=",
                                    "m,h=1  v=",
                                    " m,h=1 v=",
                                    "m,h=1,room=north\\,east,floor=12 temperature\\ inside=",
                                    "#m v=",
                                    "measurement_of_some_length,host=abcdefgh,zone=x v=",
                                    "measurement_of_some_length,host=abcdefgi,zone=x v=",
                                    "m,h=1,h=2 v=",
                                    "m,h= v=",
                                    ",h=1 v=",
                                    "=v=",
                                    "m,h=1 =",
                                    "m,h=1 ",
                                    ""};
static const char *const values[] = {"1", "12.5", "-7i", "t", "\"a b=c\"", "\"\\\"\"", "x", "", "1e400", "\"open"};
static const char *const ends[] = {
    "\n", " 1\n", " 1700000000000000000\n", " 1700000000000000000\r\n", "  1 \n", " x\n", ",w=2 1\n", ",v=3,v=4\n", ",\n", "\\\n"};

static const char *pick(const char *const *of, size_t n, size_t often) {
    return of[wr_random_below(&seed, wr_random_below(&seed, 4) ? often : n)];
}
#define PICK(of, often) pick(of, sizeof(of) / sizeof(of)[0], often)

static void make_text(struct wr_buf *text) {
    wr_buf_clear(text);
    const size_t n_heads = sizeof heads / sizeof heads[0];
    const size_t first = wr_random_below(&seed, n_heads);
    const size_t round = 1 + wr_random_below(&seed, n_heads);
    for (size_t i = 0; i < LINES; i++) {
        const size_t at = wr_random_below(&seed, 16) ? first + i % round : wr_random_below(&seed, n_heads);
        assert_int_equal(wr_buf_printf(text, "%s%s%s", heads[at % n_heads], PICK(values, 3), PICK(ends, 4)), WR_OK);
    }
}

static void feed(struct wr_collect *collect, struct wr_line_parser *parser, const struct wr_buf *text, unsigned full_every) {
    wr_collect_clear(collect);
    collect->full_every = full_every;
    wr_collect_feed(collect, wr_codec_stream_feed_line, parser, (const char *)text->data, text->len, wr_random_below(&seed, text->len + 1),
                    wr_random_below(&seed, 64));
}

static void guesses_change_nothing(void **state) {
    (void)state;
    static struct wr_line_parser parser;
    struct wr_collect plain;
    struct wr_collect guessed;
    struct wr_guessing guessing;
    struct wr_buf text;
    wr_line_parser_init(&parser, WR_PRECISION_NS, 65536);
    wr_collect_init(&plain);
    wr_collect_init(&guessed);
    wr_buf_init(&text, 0);
    uint64_t right = 0;
    for (int i = 0; i < ROUNDS; i++) {
        wr_guessing_init(&guessing, &guessed.sink, 1 << 16);
        guessed.around = &guessing.sink;
        make_text(&text);
        feed(&plain, &parser, &text, 0);
        feed(&guessed, &parser, &text, wr_random_below(&seed, 2) ? 0 : 2 + (unsigned)wr_random_below(&seed, 3));
        if (strcmp(wr_buf_str(&plain.text), wr_buf_str(&guessed.text)) != 0)
            fail_msg("of\n%s\nread\n%s\nguessed\n%s", wr_buf_str(&text), wr_buf_str(&plain.text), wr_buf_str(&guessed.text));
        assert_int_equal(plain.refusals, guessed.refusals);
        assert_string_equal(wr_buf_str(&plain.decimals), wr_buf_str(&guessed.decimals));
        right += guessing.n_right;
        wr_guessing_fini(&guessing);
    }
    assert_true(right > (uint64_t)ROUNDS * LINES / 8); /* else nothing was tested */
    wr_buf_fini(&text);
    wr_collect_fini(&plain);
    wr_collect_fini(&guessed);
    wr_line_parser_fini(&parser);
}

int main(void) {
    seed = wr_random_begin();
    const struct CMUnitTest tests[] = {cmocka_unit_test(guesses_change_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
