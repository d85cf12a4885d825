#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/commands/commands.h"
#include "agent/process/child.h"

static void print_help(FILE *to) {
    fputs("Weir: an edge agent. Takes in sensor streams, raises alarms on the spot, condenses and stores the rest, and sends it on.\n\n"
          "Usage: weir COMMAND [OPTIONS]\n\n",
          to);
    for (const struct wr_command *command = wr_commands; command->name; command++)
        fprintf(to, "  %-8s  %s\n", command->name, command->summary);
    fputs("\n'weir COMMAND --help' tells more. Exit codes: 0 fine, 1 it found something, 2 it cannot.\n", to);
}

static bool asks_for_help(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return WR_EXIT_CANNOT;
    }
    if (strcmp(argv[1], WR_CHILD_LAUNCH) == 0)
        return wr_child_launch(argc - 1, argv + 1);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return WR_EXIT_OK;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (const struct wr_command *command = wr_commands; command->name; command++) {
        if (strcmp(command->name, name) != 0)
            continue;
        if (asks_for_help(argc - 1, argv + 1)) {
            fputs(command->help, stdout);
            return WR_EXIT_OK;
        }
        int code = command->run(argc - 1, argv + 1);
        if (fflush(stdout) != 0 && code == WR_EXIT_OK) {
            perror("weir: standard output");
            return WR_EXIT_CANNOT;
        }
        return code;
    }
    fprintf(stderr, "weir: no command '%s'. Try 'weir --help'.\n", argv[1]);
    return WR_EXIT_CANNOT;
}
