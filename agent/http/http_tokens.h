/* Who may write over HTTP: tokens out of a file, one a line; blank lines and those that begin with # are passed over.
 *
 * Promise: a secret is compared with every token, in a time that depends on neither. The file is looked at again at most once a second, and
 * read again when it has changed: a token is added or taken away without a restart. A file that cannot be read any more changes nothing and is
 * logged. Secrets come as clients of InfluxDB send them: `Authorization: Token SECRET`, `Bearer SECRET`, `Basic` (the password), or u and p in
 * the query (p). Where a secret is written user:password, its password counts too.
 * Threads: one at a time. Ownership: caller's memory, open/close. Limits: WR_HTTP_TOKENS tokens of at most WR_HTTP_TOKEN_BYTES - 1 bytes.
 */
#ifndef WEIR_AGENT_HTTP_HTTP_TOKENS_H
#define WEIR_AGENT_HTTP_HTTP_TOKENS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "agent/http/http_head.h"
#include "core/result.h"

#define WR_HTTP_TOKENS 64
#define WR_HTTP_TOKEN_BYTES 256

struct wr_http_token {
    size_t len;
    char text[WR_HTTP_TOKEN_BYTES]; /* zeros behind it */
};

struct wr_http_tokens {
    const char *path;
    struct stat seen; /* of the file that was read, or could not be */
    int64_t look_again_boot_ns;
    struct wr_http_token *list;
    unsigned n;
};

/* Reads the file, which must hold a token. path stays the caller's. */
WR_MUST_USE enum wr_result wr_http_tokens_open(struct wr_http_tokens *tokens, const char *path, struct wr_error *err);
void wr_http_tokens_close(struct wr_http_tokens *tokens);
/* Reads the file again if it has changed. */
void wr_http_tokens_refresh(struct wr_http_tokens *tokens, int64_t now_boot_ns);
/* Whether the request carries one of them. */
bool wr_http_tokens_allow(const struct wr_http_tokens *tokens, const struct wr_http_head *head);

#endif
