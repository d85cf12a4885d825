/* The certificates of this agent: when each expires, as a metric and as an alarm that needs no rule of the user.
 *
 * Promise: each file is read again every WR_CERTIFICATES_EVERY_NS, and at once after a reload, whether or not there is a connection; a file that cannot be
 * read or parsed keeps its last answer (who uses it says what is wrong with it). What is left of each, in days, is told to the rules as series
 * `weir.certificate_days{certificate=NAME}`; no window takes it. NAME is `uplink`, or the name of a source with a certificate of its own. Two rules are built
 * in (wr_certificates_rules): so the alarms are listed, acknowledged, journalled, sent and restored as all others.
 * An alarm of a certificate that the config has no more, brought along by a reload or a restart, is ended.
 * While the wall clock cannot be trusted nothing is told, and the alarms stay as they are.
 *
 * Threads: start and stop on the main thread, runs on the pool's; expires from any. Ownership: copies names and paths: no config needs to stay.
 */
#ifndef WEIR_AGENT_PROCESS_CERTIFICATES_H
#define WEIR_AGENT_PROCESS_CERTIFICATES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "core/buf.h"
#include "core/result.h"

#define WR_CERTIFICATES_EVERY_NS (10 * WR_NS_PER_S)

struct wr_agent;
struct wr_certificates;

/* The built-in rules of a config, as the text of a rule file; empty when there is no certificate, or expiry_warn is 0. */
WR_MUST_USE enum wr_result wr_certificates_rules(const struct wr_config *config, struct wr_buf *into);

/* Starts with nothing to do where there is no certificate. The series table, the scheduler and the engine must run. */
WR_MUST_USE enum wr_result wr_certificates_start(struct wr_agent *agent, const struct wr_config *config,
                                                 struct wr_certificates **ret_certificates, struct wr_error *err);
/* NULL is fine. WR_TIMEOUT: a file is still being read, and uses memory of other parts. */
WR_MUST_USE enum wr_result wr_certificates_stop(struct wr_certificates *certificates, int64_t deadline_boot_ns);

/* The metrics of all of them: weir_certificate_expires_seconds{certificate=NAME}, with source=NAME where it is a source's. NULL is fine. */
WR_MUST_USE enum wr_result wr_certificates_metrics(struct wr_certificates *certificates);

#endif
