#include "store/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

#define REFLECTED 0x82F63B78U /* 0x1EDC6F41, bits turned around */

/* table[k][b]: the CRC of byte b followed by k zero bytes (slicing by eight; Kounavis and Berry, 2005). */
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_make(void) {
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (REFLECTED & (0U - (crc & 1U)));
        table[0][b] = crc;
    }
    for (uint32_t b = 0; b < 256; b++)
        for (int k = 1; k < 8; k++)
            table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xff];
}

static uint32_t load32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t wr_crc32c_tables(uint32_t crc, const void *bytes, size_t len) {
    pthread_once(&table_once, table_make);
    const uint8_t *p = bytes;
    crc = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint32_t low = crc ^ load32(p);
        uint32_t high = load32(p + 4);
        crc = table[7][low & 0xff] ^ table[6][(low >> 8) & 0xff] ^ table[5][(low >> 16) & 0xff] ^ table[4][low >> 24] ^
              table[3][high & 0xff] ^ table[2][(high >> 8) & 0xff] ^ table[1][(high >> 16) & 0xff] ^ table[0][high >> 24];
    }
    for (; len > 0; len--)
        crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
/* Every x86-64 since 2008 has it, but the compiler may only assume so inside this function. */
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t len) {
    uint64_t wide = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; len > 0; len--)
        crc = _mm_crc32_u8(crc, *p++);
    return ~crc;
}

static bool has_instruction(void) {
    return __builtin_cpu_supports("sse4.2");
}

#elif defined(__ARM_FEATURE_CRC32)
static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t len) {
    crc = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        crc = __crc32cd(crc, word);
    }
    for (; len > 0; len--)
        crc = __crc32cb(crc, *p++);
    return ~crc;
}

static bool has_instruction(void) {
    return true;
}

#else
static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t len) {
    return wr_crc32c_tables(crc, p, len);
}

static bool has_instruction(void) {
    return false;
}
#endif

uint32_t wr_crc32c(uint32_t crc, const void *bytes, size_t len) {
    if (has_instruction())
        return by_instruction(crc, bytes, len);
    return wr_crc32c_tables(crc, bytes, len);
}
