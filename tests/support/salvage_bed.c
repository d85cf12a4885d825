#include "tests/support/salvage_bed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SAMPLE 32

struct salvage_bed salvage;

int salvage_bed_setup(void **state) {
    (void)state;
    store_fixture_init(&salvage.fixture);
    salvage.fixture.options.budget_bytes = 6 << 20; /* filled by two thirds: half of the file is half of the data, more or less */
    salvage.random_numbers = (struct wr_random){7};
    memset(salvage.arrived, 0, sizeof salvage.arrived);
    salvage.of_others = 0;
    return 0;
}

int salvage_bed_teardown(void **state) {
    (void)state;
    store_fixture_fini(&salvage.fixture);
    return 0;
}

void salvage_bed_must(enum wr_result result) {
    if (result != WR_OK)
        fail_msg("%s: %s", wr_result_name(result), salvage.fixture.err.text);
}

const char *salvage_bed_file(const char *name) {
    return store_fixture_path(&salvage.fixture, name);
}

bool salvage_bed_exists(const char *name) {
    return access(salvage_bed_file(name), F_OK) == 0;
}

uint64_t salvage_bed_count(const _Atomic uint64_t *number) {
    return atomic_load(number);
}

enum wr_salvage_state salvage_bed_state(void) {
    return (enum wr_salvage_state)salvage_bed_count(&wr_store_stats(salvage.fixture.store)->salvage);
}

void salvage_bed_close(void) {
    struct wr_store *store = salvage.fixture.store;
    salvage.fixture.store = NULL;
    salvage_bed_must(wr_store_close(store, &salvage.fixture.now, &salvage.fixture.err));
}

void salvage_bed_abandon(void) {
    wr_store_abandon(salvage.fixture.store);
    salvage.fixture.store = NULL;
}

/* One segment of about 10 KB: random values do not compress. */
void salvage_bed_put_segment(void) {
    store_fixture_fill(&salvage.fixture, 1, SALVAGE_RECORDS, SALVAGE_READINGS);
    for (uint32_t i = 0; i < SALVAGE_RECORDS; i++) {
        struct wr_aggregate *aggregate = &salvage.fixture.handover.aggregates[i];
        union wr_value *values[] = {&aggregate->min, &aggregate->max, &aggregate->first, &aggregate->last};
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
            values[k]->f = (double)wr_random_u64(&salvage.random_numbers) / 1e9;
    }
    store_fixture_take(&salvage.fixture);
    salvage_bed_must(wr_store_flush(salvage.fixture.store, &salvage.fixture.now, &salvage.fixture.err));
}

/* -- the file -------------------------------------------------------------------------------------------------------------------------------- */

void salvage_bed_read_file(const char *name) {
    struct stat status;
    int fd = open(salvage_bed_file(name), O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    salvage.content_len = (size_t)status.st_size;
    salvage.content = malloc(salvage.content_len);
    assert_non_null(salvage.content);
    for (size_t got = 0; got < salvage.content_len;) {
        ssize_t more = pread(fd, salvage.content + got, salvage.content_len - got, (off_t)got);
        assert_true(more > 0);
        got += (size_t)more;
    }
    close(fd);
}

void salvage_bed_write_file(const char *name, size_t len) {
    int fd = open(salvage_bed_file(name), O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    for (size_t put = 0; put < len;) {
        ssize_t more = pwrite(fd, salvage.content + put, len - put, (off_t)put);
        assert_true(more > 0);
        put += (size_t)more;
    }
    close(fd);
    free(salvage.content);
    salvage.content = NULL;
}

/* The page that some bytes of a body lie on; 0: on two. They are like no others: their values are random. */
static uint32_t page_of(const uint8_t *bytes) {
    const uint8_t *at = memmem(salvage.content, salvage.content_len, bytes, SAMPLE);
    return at ? (uint32_t)((size_t)(at - salvage.content) / SALVAGE_PAGE) + 1 : 0;
}

static void note_page(uint32_t of[SALVAGE_PAGES], uint32_t page) {
    for (int i = 0; i < SALVAGE_PAGES; i++) {
        if (of[i] == page)
            return;
        if (of[i] == 0) {
            of[i] = page;
            return;
        }
    }
    fail_msg("a body lies on more than %d pages", SALVAGE_PAGES);
}

/* A whole overflow page has several samples; one that lies on two pages is moved a little. */
static void find_pages(const struct wr_segment *segment, uint32_t of[SALVAGE_PAGES]) {
    memset(of, 0, SALVAGE_PAGES * sizeof of[0]);
    for (size_t at = 0; at < segment->body_len; at += 1000) {
        const size_t from = at + SAMPLE <= segment->body_len ? at : segment->body_len - SAMPLE;
        uint32_t page = page_of(segment->body + from);
        if (page == 0)
            page = page_of(segment->body + (from >= SAMPLE ? from - SAMPLE : from + SAMPLE));
        assert_true(page > 0);
        note_page(of, page);
    }
    const uint32_t tail = page_of(segment->body + segment->body_len - SAMPLE);
    if (tail > 0)
        note_page(of, tail);
}

/* A store of SALVAGE_SEGMENTS segments that nobody has acknowledged, closed; where its bodies lie. */
void salvage_bed_make_store(void) {
    struct wr_segment segment;
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    salvage.epoch = wr_store_epoch(salvage.fixture.store);
    for (int i = 0; i < SALVAGE_SEGMENTS; i++)
        salvage_bed_put_segment();
    salvage_bed_close();
    store_fixture_forget_wal(&salvage.fixture);
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    salvage_bed_read_file(WR_STORE_FILE);
    salvage.shortest_body = SIZE_MAX;
    for (int64_t seq = 1; seq <= SALVAGE_SEGMENTS; seq++) {
        salvage_bed_must(wr_store_get(salvage.fixture.store, seq, &segment, &salvage.fixture.err));
        assert_true(segment.body_len > SALVAGE_PAGE && segment.place == 0);
        find_pages(&segment, salvage.pages[seq]);
        if (segment.body_len < salvage.shortest_body)
            salvage.shortest_body = segment.body_len;
        if (seq == SALVAGE_SEGMENTS / 2)
            salvage.an_overflow_page = page_of(segment.body + segment.body_len - 2000);
        wr_segment_free(&segment);
    }
    free(salvage.content);
    salvage.content = NULL;
}

void salvage_bed_put_aside(void) {
    char to[512];
    snprintf(to, sizeof to, "%s", salvage_bed_file(SALVAGE_ASIDE));
    assert_int_equal(rename(salvage_bed_file(WR_STORE_FILE), to), 0);
    snprintf(to, sizeof to, "%s", salvage_bed_file(SALVAGE_ASIDE ".page1"));
    if (salvage_bed_exists(WR_STORE_FILE ".page1"))
        assert_int_equal(rename(salvage_bed_file(WR_STORE_FILE ".page1"), to), 0);
    (void)unlink(salvage_bed_file(WR_STORE_FILE "-wal"));
}

/* -- the fake uplink --------------------------------------------------------------------------------------------------------------------------- */

/* Everything that waits goes, and is acknowledged by its place; the key is what a receiver sees. */
void salvage_bed_deliver(void) {
    for (unsigned lane = 0; lane < WR_LANES; lane++) {
        struct wr_segment segment;
        int64_t after = 0;
        while (wr_store_next(salvage.fixture.store, (enum wr_lane)lane, after, INT64_MAX, &salvage.fixture.now, &segment,
                             &salvage.fixture.err) == WR_OK) {
            struct wr_codec_header header;
            salvage_bed_must(wr_codec_check(segment.body, segment.body_len, &header, &salvage.fixture.err));
            assert_true(header.epoch == segment.epoch && header.seq == segment.seq);
            after = wr_segment_place(&segment);
            assert_int_equal(segment.place == 0, segment.epoch == wr_store_epoch(salvage.fixture.store));
            if (segment.epoch == salvage.epoch) {
                assert_in_range(segment.seq, 1, SALVAGE_SEGMENTS);
                salvage.arrived[segment.seq]++;
            } else {
                salvage.of_others++;
            }
            salvage_bed_must(wr_store_offer(salvage.fixture.store, (enum wr_lane)lane, after, &salvage.fixture.now, &salvage.fixture.err));
            salvage_bed_must(
                wr_store_ack(salvage.fixture.store, (enum wr_lane)lane, after, after, &salvage.fixture.now, &salvage.fixture.err));
            wr_segment_free(&segment);
        }
    }
}

unsigned salvage_bed_distinct(void) {
    unsigned n = 0;
    for (int seq = 1; seq <= SALVAGE_SEGMENTS; seq++)
        n += salvage.arrived[seq] > 0;
    return n;
}

void salvage_bed_each_once(void) {
    for (int seq = 1; seq <= SALVAGE_SEGMENTS; seq++)
        if (salvage.arrived[seq] > 1)
            fail_msg("segment %d came %u times", seq, salvage.arrived[seq]);
}

bool salvage_bed_is_over(void) {
    return salvage_bed_state() == WR_SALVAGE_DONE || salvage_bed_state() == WR_SALVAGE_KEPT;
}

void salvage_bed_tick(void) {
    store_fixture_advance(&salvage.fixture, 100 * WR_NS_PER_MS);
    salvage_bed_must(wr_store_tick(salvage.fixture.store, &salvage.fixture.now, &salvage.fixture.err));
}

void salvage_bed_all(void) {
    for (int i = 0; i < 20000 && !salvage_bed_is_over(); i++) {
        salvage_bed_tick();
        if (i % 8 == 0)
            salvage_bed_deliver();
    }
    assert_true(salvage_bed_is_over());
    salvage_bed_deliver();
    (void)store_fixture_balance(&salvage.fixture, 1);
}

/* -- damage -------------------------------------------------------------------------------------------------------------------------------------- */

size_t salvage_bed_a_leaf(size_t from) {
    for (size_t at = from / SALVAGE_PAGE * SALVAGE_PAGE; at + SALVAGE_PAGE <= salvage.content_len; at += SALVAGE_PAGE)
        if (salvage.content[at] == 0x0D && memmem(salvage.content + at, SALVAGE_PAGE, "WEIR", 4))
            return at;
    fail_msg("no leaf");
    return 0;
}

void salvage_bed_noise(size_t at, size_t len) {
    salvage.hurt_from = at;
    salvage.hurt_to = at + len;
    for (size_t i = 0; i < len && at + i < salvage.content_len; i++)
        salvage.content[at + i] = (uint8_t)wr_random_u64(&salvage.random_numbers);
}

void salvage_bed_hurt_a_leaf(void) {
    salvage.hurt_from = salvage_bed_a_leaf(salvage.content_len / 4);
    salvage.hurt_to = salvage.hurt_from + SALVAGE_PAGE;
    memset(salvage.content + salvage.hurt_from, 0, SALVAGE_PAGE);
}

void salvage_bed_hurt_inner_pages(void) {
    unsigned n = 0;
    for (size_t at = SALVAGE_PAGE; at + SALVAGE_PAGE <= salvage.content_len; at += SALVAGE_PAGE)
        if (salvage.content[at] == 0x05) {
            memset(salvage.content + at, 0, SALVAGE_PAGE);
            n++;
        }
    assert_true(n > 0);
}

void salvage_bed_hurt_nothing(void) {}
