/* `weir status`, `weir alarms`: ask a running agent over its control socket, print what it says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/ask.h"
#include "agent/commands/commands.h"
#include "agent/config/config.h"
#include "agent/control/control_client.h"

/* A bundle in force that clashes with the config does not keep the agent from running, nor anybody from asking it. */
static enum wr_result load_without_bundle(const char *file, struct wr_config **ret_config) {
    struct wr_diagnostics ignored;
    wr_diagnostics_init(&ignored);
    const enum wr_result result = wr_config_load_with(file, "", &ignored, ret_config, NULL);
    wr_diagnostics_fini(&ignored);
    return result;
}

enum wr_result wr_ask_load_config(const char *file, struct wr_config **ret_config) {
    struct wr_diagnostics diagnostics;
    struct wr_error err = {0};
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = wr_config_load(file, &diagnostics, ret_config, &err);
    if (result == WR_INVALID && load_without_bundle(file, ret_config) == WR_OK)
        result = WR_OK;
    if (result == WR_INVALID) {
        struct wr_buf text;
        wr_buf_init(&text, 0);
        if (wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, &text) == WR_OK)
            fputs(wr_buf_str(&text), stderr);
        wr_buf_fini(&text);
    } else if (result != WR_OK) {
        fprintf(stderr, "weir: %s\n", err.text);
    }
    wr_diagnostics_fini(&diagnostics);
    return result;
}

enum wr_result wr_ask_agent(const struct wr_config *config, int argc, char **argv, int *ret_code, struct wr_error *err) {
    struct wr_buf answer;
    wr_buf_init(&answer, 0);
    enum wr_result result = wr_control_client_ask(config->control, argc, argv, ret_code, &answer, err);
    if (result == WR_OK)
        fputs(wr_buf_str(&answer), *ret_code == WR_EXIT_CANNOT ? stderr : stdout);
    wr_buf_fini(&answer);
    return result;
}

const char *wr_ask_take_config(int *argc, char **argv) {
    const char *file = WR_CONFIG_DEFAULT;
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if ((strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--config") == 0) && i + 1 < *argc)
            file = argv[++i];
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    return file;
}

int wr_ask(int argc, char **argv) {
    struct wr_config *config;
    if (wr_ask_load_config(wr_ask_take_config(&argc, argv), &config) != WR_OK)
        return WR_EXIT_CANNOT;
    struct wr_error err = {0};
    int code = WR_EXIT_CANNOT;
    if (wr_ask_agent(config, argc, argv, &code, &err) != WR_OK) {
        fprintf(stderr, "weir %s: %s\n", argv[0], err.text);
        code = WR_EXIT_CANNOT;
    }
    wr_config_free(config);
    return code;
}

int wr_command_status(int argc, char **argv) {
    return wr_ask(argc, argv);
}

int wr_command_shadow(int argc, char **argv) {
    return wr_ask(argc, argv);
}

int wr_command_alarms(int argc, char **argv) {
    return wr_ask(argc, argv);
}
