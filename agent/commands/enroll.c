/* `weir enroll`: a key that is made on this machine and never leaves it, a request for its certificate, and the certificate put in place. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/commands/ask.h"
#include "agent/commands/commands.h"
#include "agent/commands/enroll_try.h"
#include "agent/process/identity_files.h"
#include "core/file.h"
#include "transport/tls.h"

struct enroll {
    const char *config_file;
    const char *install; /* NULL: ask for one */
    const char *ca;
    bool no_try;
    const struct wr_config *config;
    struct wr_identity_files files;
};

static int failed(enum wr_result result, const struct wr_error *err) {
    fprintf(stderr, "weir enroll: %s\n", err->text[0] ? err->text : wr_result_name(result));
    return result == WR_DENIED || result == WR_INVALID ? WR_EXIT_FOUND : WR_EXIT_CANNOT;
}

/* -- asking ------------------------------------------------------------------------------------------------------------------------------- */

static int ask(struct enroll *enroll) {
    const struct wr_config_node *node = enroll->config->node;
    struct wr_error err = {0};
    struct wr_buf request;
    bool made;
    wr_buf_init(&request, 0);
    const enum wr_result result = wr_identity_files_ask(&enroll->files, node->id, node->site, &request, &made, &err);
    if (result == WR_OK) {
        fputs(wr_buf_str(&request), stdout);
        fprintf(
            stderr,
            "weir enroll: %s private key waits in %s; it stays on this machine, and what is in use now goes on\n"
            "weir enroll: the request above is also in %s. Have your authority sign it, as for example\n"
            "    openssl x509 -req -in node.csr -copy_extensions copyall -days 365 -CA ca.pem -CAkey ca.key -CAcreateserial -out node.pem\n"
            "and then, here: weir enroll --install node.pem --ca ca.pem -c %s\n",
            made ? "a new" : "the same", enroll->files.next_key, enroll->files.request, enroll->config_file);
    }
    wr_buf_fini(&request);
    return result == WR_OK ? WR_EXIT_OK : failed(result, &err);
}

/* -- installing --------------------------------------------------------------------------------------------------------------------------- */

/* "-": standard input. */
static enum wr_result read_file(const char *path, struct wr_credential *ret_file, struct wr_error *err) {
    if (strcmp(path, "-") != 0)
        return wr_credential_read(path, WR_TLS_FILE_BYTES, ret_file, err);
    struct wr_buf all;
    wr_buf_init(&all, 0);
    enum wr_result result = wr_file_read_all(STDIN_FILENO, WR_TLS_FILE_BYTES, &all, err);
    if (result == WR_OK && (all.len == 0 || all.len > WR_TLS_FILE_BYTES))
        result = wr_error_set(err, WR_INVALID, "standard input: %s", all.len == 0 ? "nothing came" : "too much");
    if (result == WR_OK)
        ret_file->data = wr_buf_steal(&all, &ret_file->len);
    wr_buf_fini(&all);
    return result;
}

/* A broker that does not take it now would not take it at the next connect either. */
static enum wr_result show(void *user, const char *cert, struct wr_error *err) {
    const struct enroll *enroll = user;
    const enum wr_result result = wr_enroll_try(enroll->config, cert, err);
    return result == WR_DENIED ? wr_error_wrap(err, "not installed, what is in use stays (--no-try installs it without asking a broker)")
                               : result;
}

static enum wr_result put(struct enroll *enroll, struct wr_identity_facts *ret_facts, struct wr_error *err) {
    struct wr_credential cert = {0}, ca = {0};
    const struct wr_now now = wr_clock_now(wr_clock_real());
    const struct wr_identity_proof proof = {.prove = show, .user = enroll};
    enum wr_result result = read_file(enroll->install, &cert, err);
    if (result == WR_OK && enroll->ca)
        result = wr_credential_read(enroll->ca, WR_TLS_FILE_BYTES, &ca, err);
    if (result == WR_OK)
        result = wr_identity_files_install(&enroll->files, &cert, &ca, &now, enroll->no_try ? NULL : &proof, ret_facts, err);
    wr_credential_free(&cert);
    wr_credential_free(&ca);
    return result;
}

static int install(struct enroll *enroll) {
    struct wr_identity_facts facts;
    struct wr_error err = {0};
    char day[32] = "for ever";
    const enum wr_result result = put(enroll, &facts, &err);
    if (result != WR_OK) {
        if (result == WR_DENIED || result == WR_INVALID)
            (void)wr_error_wrap(&err, "%s", enroll->install);
        return failed(result, &err);
    }
    if (facts.expires_wall_ns != WR_NEVER_NS)
        wr_clock_format(day, sizeof day, facts.expires_wall_ns);
    printf("installed: %s, until %.10s; a running agent takes it at its next connect\n", facts.subject, day);
    if (strcmp(facts.name, enroll->config->node->id) != 0)
        fprintf(stderr, "weir enroll: note: its name is '%s', and this node is '%s': a broker that goes by the name will wonder\n",
                facts.name, enroll->config->node->id);
    return WR_EXIT_OK;
}

/* -- the command -------------------------------------------------------------------------------------------------------------------------- */

int wr_command_enroll(int argc, char **argv) {
    struct enroll enroll = {.config_file = wr_ask_take_config(&argc, argv)};
    struct wr_config *config;
    struct wr_error err = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-try") == 0) {
            enroll.no_try = true;
            continue;
        }
        const char **value = strcmp(argv[i], "--install") == 0 ? &enroll.install : strcmp(argv[i], "--ca") == 0 ? &enroll.ca : NULL;
        if (!value || i + 1 == argc)
            return wr_command_usage("enroll", "unknown word '%s', or its value is missing", argv[i]);
        *value = argv[++i];
    }
    if (enroll.no_try && !enroll.install)
        return wr_command_usage("enroll", "--no-try goes with --install");
    if (enroll.ca && !enroll.install)
        return wr_command_usage("enroll", "--ca goes with --install: it is what the certificate is checked against");
    if (wr_ask_load_config(enroll.config_file, &config) != WR_OK)
        return WR_EXIT_CANNOT;
    enroll.config = config;
    int code = WR_EXIT_CANNOT;
    if (!config->uplink || !config->uplink->cert || !config->uplink->key)
        fprintf(stderr, "weir enroll: %s: uplink needs 'cert: node.pem, key: node.key': they say where the files go\n", enroll.config_file);
    else if (wr_identity_files_init(&enroll.files, config->uplink->cert, config->uplink->key, config->store->path, &err) != WR_OK)
        code = failed(err.code, &err);
    else
        code = enroll.install ? install(&enroll) : ask(&enroll);
    wr_config_free(config);
    return code;
}
