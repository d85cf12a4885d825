/* Checks of sources of kind exec and execd: the program that they run. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/config_private.h"
#include "agent/process/child.h"
#include "core/clock.h"

#define EVERY_NS (10 * WR_NS_PER_S)
#define TIMEOUT_NS (5 * WR_NS_PER_S)

static void check_file(struct wr_config_load *load, const char *path, const char *program) {
    struct stat file;
    const char *hint = strchr(program, ' ') ? "one word each: command: [/usr/bin/program, argument]" : NULL;
    if (program[0] != '/')
        wr_config_error(load, WR_CONFIG_W_FILE, path, hint,
                        "'%s': a program is named with its absolute path; there is no shell to look for it", program);
    else if (stat(program, &file) < 0)
        wr_config_error(load, WR_CONFIG_W_FILE, path, hint, "no such program: '%s'", program);
    else if (!S_ISREG(file.st_mode))
        wr_config_error(load, WR_CONFIG_W_FILE, path, NULL, "'%s' is no file", program);
    else if (access(program, X_OK) < 0)
        wr_config_error(load, WR_CONFIG_W_FILE, path, NULL, "'%s' is not executable", program);
    else if (file.st_mode & S_IWOTH)
        wr_config_warn(load, WR_CONFIG_W_FILE, path, NULL, "everybody may write to '%s': whoever does runs as weir", program);
}

static void check_command(struct wr_config_load *load, unsigned index) {
    const struct wr_config_source *source = &load->config->sources[index];
    const struct wr_config_program *program = &source->program;
    char path[WR_YAML_PATH_BYTES];
    if (program->n_command == 0)
        wr_config_error(load, WR_CONFIG_W_NEEDED, wr_config_path(path, "sources", index, "command", -1),
                        "command: [/usr/local/lib/weir/probe, --fast]", "source '%s' needs 'command'", source->name);
    else if (program->n_command > WR_CHILD_ARGUMENTS)
        wr_config_error(load, WR_CONFIG_W_LIMIT, wr_config_path(path, "sources", index, "command", -1), NULL, "%u words: at most %d",
                        program->n_command, WR_CHILD_ARGUMENTS);
    else
        check_file(load, wr_config_path(path, "sources", index, "command", 0), program->command[0]);
}

static void check_exec(struct wr_config_load *load, unsigned index) {
    struct wr_config_source *source = &load->config->sources[index];
    char path[WR_YAML_PATH_BYTES];
    check_command(load, index);
    wr_config_check_format(load, index);
    if (!wr_config_source_given(load, index, "every"))
        source->every_ns = EVERY_NS;
    if (!wr_config_source_given(load, index, "timeout"))
        source->program.timeout_ns = source->every_ns < TIMEOUT_NS ? source->every_ns : TIMEOUT_NS;
    if (source->program.timeout_ns > source->every_ns)
        wr_config_warn(load, WR_CONFIG_W_USELESS, wr_config_path(path, "sources", index, "timeout", -1), NULL,
                       "longer than 'every': rounds in which the program still runs are skipped");
}

static void check_execd(struct wr_config_load *load, unsigned index) {
    check_command(load, index);
    wr_config_check_format(load, index);
}

static const char *const exec_keys[] = {"command", "every", "timeout", "memory", "max_output", "format", "json", "precision", NULL};
static const char *const execd_keys[] = {"command", "memory", "format", "json", "precision", NULL};

const struct wr_config_kind wr_config_kind_exec = {.name = "exec", .keys = exec_keys, .left_out = !WEIR_SOURCE_EXEC, .check = check_exec};
const struct wr_config_kind wr_config_kind_execd = {
    .name = "execd", .keys = execd_keys, .left_out = !WEIR_SOURCE_EXEC, .check = check_execd};
