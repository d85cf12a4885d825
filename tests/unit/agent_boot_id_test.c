/* The boot id: what the kernel says, byte for byte; a random one where it says nothing that can be one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/process/boot_id.h"

static void read_text(const char *text, uint8_t id[WR_BOOT_ID_BYTES]) {
    char path[] = "/tmp/weir-boot-id-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    wr_boot_id_read(path, wr_clock_real(), id);
    unlink(path);
}

static void is_what_the_kernel_says(void **state) {
    (void)state;
    static const uint8_t expected[WR_BOOT_ID_BYTES] = {0x3f, 0x0c, 0x6e, 0x9a, 0x12, 0x34, 0x45, 0x67,
                                                       0x89, 0xAB, 0xcd, 0xef, 0x00, 0x01, 0x02, 0xff};
    uint8_t id[WR_BOOT_ID_BYTES], again[WR_BOOT_ID_BYTES];
    read_text("3f0c6e9a-1234-4567-89AB-cdef000102ff\n", id);
    assert_memory_equal(id, expected, sizeof id);
    read_text("3f0c6e9a12344567"
              "89abcdef000102ff",
              id);
    assert_memory_equal(id, expected, sizeof id);
    wr_boot_id_read(WR_BOOT_ID_FILE, wr_clock_real(), id);
    wr_boot_id_read(WR_BOOT_ID_FILE, wr_clock_real(), again);
    assert_memory_equal(id, again, sizeof id); /* of this boot, not of the call */
}

static void else_it_is_random(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "\n",
                                        "3f0c6e9a",
                                        "3f0c6e9a-1234-4567-89ab-cdef000102f",
                                        "3f0c6e9a-1234-4567-89ab-cdef000102fg",
                                        "3f0c6e9a-1234-4567-89ab-cdef000102ff0",
                                        "00000000-0000-0000-0000-000000000000\n"};
    static const uint8_t zero[WR_BOOT_ID_BYTES];
    for (size_t i = 0; i <= sizeof texts / sizeof texts[0]; i++) {
        uint8_t id[WR_BOOT_ID_BYTES] = {0}, other[WR_BOOT_ID_BYTES] = {0};
        if (i < sizeof texts / sizeof texts[0]) {
            read_text(texts[i], id);
            read_text(texts[i], other);
        } else {
            wr_boot_id_read("/tmp/no/such/file", wr_clock_real(), id);
            wr_boot_id_read("/tmp/no/such/file", wr_clock_real(), other);
        }
        assert_memory_not_equal(id, other, sizeof id);
        assert_memory_not_equal(id, zero, sizeof id);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_the_kernel_says),
        cmocka_unit_test(else_it_is_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
