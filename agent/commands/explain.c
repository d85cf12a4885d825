/* `weir explain`: asks the running agent why an alarm is in its state; or says what the code of a diagnostic means. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/ask.h"
#include "agent/commands/commands.h"
#include "rules/diagnostics/diagnostic_codes.h"

static int explain_code(const char *word) {
    char *end = NULL;
    const char *digits = word[0] == 'W' || word[0] == 'w' ? word + 1 : word;
    const unsigned long number = digits[0] >= '0' && digits[0] <= '9' ? strtoul(digits, &end, 10) : 0;
    const struct wr_diagnostic_code *code = end && *end == '\0' && number < 1000 ? wr_diagnostic_codes_find((unsigned)number) : NULL;
    if (!code) {
        fprintf(stderr, "weir explain: there is no code '%.20s'\n", word);
        return WR_EXIT_FOUND;
    }
    printf("W%03u  %s\n", code->code, code->section);
    printf("  it says     %s\n", code->summary);
    if (code->advice[0])
        printf("  what to do  %s\n", code->advice);
    return WR_EXIT_OK;
}

int wr_command_explain(int argc, char **argv) {
    if (argc >= 2 && argc != 3 && strcmp(argv[1], "--code") == 0)
        return wr_command_usage("explain", "--code takes one code, as W210");
    if (argc == 3 && strcmp(argv[1], "--code") == 0)
        return explain_code(argv[2]);
    return wr_ask(argc, argv);
}
