/* CRC-32C (Castagnoli), as in RFC 3720 section 12.1 and appendix B.4: polynomial 0x1EDC6F41, reflected, start and end inverted.
 *
 * Threads: any; pure functions. The processor's instruction is used where it has one, else eight bytes at a time by tables.
 */
#ifndef WEIR_STORE_CRC32C_H
#define WEIR_STORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues a CRC: wr_crc32c(wr_crc32c(0, a), b) is the CRC of a followed by b. */
uint32_t wr_crc32c(uint32_t crc, const void *bytes, size_t len);

/* The same by tables alone: for machines without the instruction, and to check it. */
uint32_t wr_crc32c_tables(uint32_t crc, const void *bytes, size_t len);

#endif
