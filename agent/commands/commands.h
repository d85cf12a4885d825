/* The commands of `weir`, one file each. argv[0] is the command's own name.
 *
 * Exit codes of all: 0 fine; 1 it found something (errors in a config, malformed records, a ledger that does not balance); 2 it cannot do
 * what was asked (usage, no agent, no such file).
 */
#ifndef WEIR_AGENT_COMMANDS_COMMANDS_H
#define WEIR_AGENT_COMMANDS_COMMANDS_H

#include <stddef.h>

enum { WR_EXIT_OK = 0, WR_EXIT_FOUND = 1, WR_EXIT_CANNOT = 2 };

#define WR_CONFIG_DEFAULT "/etc/weir/weir.yaml"

int wr_command_run(int argc, char **argv);
int wr_command_check(int argc, char **argv);
int wr_command_decode(int argc, char **argv);
int wr_command_status(int argc, char **argv);
int wr_command_alarms(int argc, char **argv);
int wr_command_enroll(int argc, char **argv);
int wr_command_sign(int argc, char **argv);
/* What `weir sign bundle` is: argv[0] is "bundle". */
int wr_command_sign_bundle(int argc, char **argv);
int wr_command_explain(int argc, char **argv);
int wr_command_shadow(int argc, char **argv);
int wr_command_replay(int argc, char **argv);
int wr_command_audit(int argc, char **argv);
int wr_command_query(int argc, char **argv);
int wr_command_test(int argc, char **argv);
int wr_command_version(int argc, char **argv);

/* The table, ends with name NULL. */
struct wr_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
    const char *help; /* printed by `weir COMMAND --help`: usage, options, an example, exit codes */
};
extern const struct wr_command wr_commands[];

/* Says what is wrong with the words on stderr, points to --help, returns WR_EXIT_CANNOT. */
int wr_command_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
