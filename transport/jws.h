/* Signed messages: JWS in compact form with ES256, which is header.payload.signature in base64url.
 *
 * Promise: what wr_jws_verify accepts was signed with the private half of this very key, byte by byte; nothing of a message is looked at before that but its
 * header, which must say "alg":"ES256" and hold texts only. Refused are any other alg ("none" above all), `crit` and with it every extension, signatures in DER,
 * base64 that two texts stand for. A key is P-256 or it is none.
 *
 * Threads: a key is used by one at a time; none is shared. Ownership: a key is its reader's until wr_jws_key_free.
 * Limits: WR_JWS_BYTES a message, WR_JWS_HEADER_BYTES a header.
 * Errors: WR_INVALID: the message is none, with what is wrong; WR_DENIED: the signature is not of this key; WR_NO_MEMORY.
 * Source: RFC 7515 (compact serialization, 5.2), RFC 7518 3.4, RFC 4648 5.
 */
#ifndef WEIR_TRANSPORT_JWS_H
#define WEIR_TRANSPORT_JWS_H

#include <stddef.h>

#include "core/buf.h"
#include "core/result.h"

#define WR_JWS_BYTES 32768
#define WR_JWS_HEADER_BYTES 512

struct wr_jws_key;

/* A PEM file with a public key, read once. WR_NOT_FOUND, WR_DENIED, WR_IO, WR_LIMIT: the file; WR_INVALID: it holds no public key on P-256. */
WR_MUST_USE enum wr_result wr_jws_key_read(const char *path, struct wr_jws_key **ret_key, struct wr_error *err);
/* A PEM file with a private key. WR_DENIED also where others than its owner and group can read it. */
WR_MUST_USE enum wr_result wr_jws_private_key_read(const char *path, struct wr_jws_key **ret_key, struct wr_error *err);

/* Appends the payload of a message to `into`, which stays as it is otherwise. */
WR_MUST_USE enum wr_result wr_jws_verify(struct wr_jws_key *key, const char *text, size_t len, struct wr_buf *into, struct wr_error *err);
/* Appends a message to `into`; the key must be a private one. WR_LIMIT: it would be longer than WR_JWS_BYTES. */
WR_MUST_USE enum wr_result wr_jws_sign(struct wr_jws_key *key, const void *payload, size_t len, struct wr_buf *into, struct wr_error *err);

/* NULL is fine. */
void wr_jws_key_free(struct wr_jws_key *key);

#endif
