/* Instants as people and recordings write them: 2026-03-02T08:00:00Z, 2026-03-02 08:00:00.5+02:00; without a zone UTC.
 *
 * Source: RFC 3339. Threads: none; pure. Errors: WR_INVALID.
 */
#ifndef WEIR_RULES_TESTING_INSTANT_H
#define WEIR_RULES_TESTING_INSTANT_H

#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

WR_MUST_USE enum wr_result wr_instant_parse(const char *text, size_t len, int64_t *ret_wall_ns, struct wr_error *err);

#endif
