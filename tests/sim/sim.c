/* The whole agent on virtual time: days of outages, kills, stops and reloads in seconds, and every reading accounted for. world.h says what is checked.
 *
 * sim [--seed N] [--seeds N] [--days D] [--plant early-ack|lost-sync] [--trace] [--twice]
 *   --seed N   the first seed (1); --seeds N: so many, each in a process of its own; --days D: virtual days of each (1)
 *   --twice    each seed twice: the hashes over all events must be equal
 *   --plant    a bug is planted: exit 0 if at least one of the seeds finds it
 * Exit 1: something was found; the line says with which seed.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "tests/sim/world.h"

static const char *const plants[SIM_PLANTS] = {"none", "early-ack", "lost-sync"};

struct arguments {
    struct sim_options options;
    uint64_t seeds;
    bool twice;
};

static int usage(void) {
    fprintf(stderr, "usage: sim [--seed N] [--seeds N] [--days D] [--plant early-ack|lost-sync] [--trace] [--twice]\n");
    return 2;
}

static bool plant_of(const char *name, enum sim_plant *ret_plant) {
    for (unsigned plant = 1; plant < SIM_PLANTS; plant++) {
        if (strcmp(name, plants[plant]) == 0) {
            *ret_plant = (enum sim_plant)plant;
            return true;
        }
    }
    return false;
}

static bool parse(int argc, char **argv, struct arguments *arguments) {
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--trace") == 0) {
            arguments->options.trace = true;
            continue;
        }
        if (strcmp(argv[i], "--twice") == 0) {
            arguments->twice = true;
            continue;
        }
        if (strcmp(argv[i], "--seed") == 0)
            arguments->options.seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0)
            arguments->seeds = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--days") == 0)
            arguments->options.days = strtod(value, NULL);
        else if (strcmp(argv[i], "--plant") != 0 || !plant_of(value, &arguments->options.plant))
            return false;
        i++;
    }
    return arguments->options.days > 0 && arguments->seeds > 0;
}

static void print(const struct sim_options *options, const struct sim_outcome *outcome) {
    printf("seed=%" PRIu64 " days=%g hash=%016" PRIx64 " events=%" PRIu64 " given=%" PRIu64 " delivered=%" PRIu64 " crash=%" PRIu64
           " evicted=%" PRIu64 " merged=%" PRIu64 " unbooked=%" PRIu64 " segments=%" PRIu64 " twice=%" PRIu64
           " kills=%u cuts=%u refusals=%u stops=%u reloads=%u outages=%u audits=%u\n",
           options->seed, options->days, outcome->hash, outcome->events, outcome->given, outcome->delivered, outcome->crash,
           outcome->evicted, outcome->merged, outcome->unbooked, outcome->segments, outcome->twice, outcome->kills, outcome->cuts,
           outcome->refusals, outcome->stops, outcome->reloads, outcome->outages, outcome->audits);
    fflush(stdout);
}

static int one_seed(const struct arguments *arguments) {
    struct sim_outcome outcome, again;
    sim_run(&arguments->options, &outcome);
    print(&arguments->options, &outcome);
    if (!arguments->twice)
        return 0;
    sim_run(&arguments->options, &again);
    if (again.hash == outcome.hash)
        return 0;
    printf("FOUND seed=%" PRIu64 ": it does not replay: %016" PRIx64 " and %016" PRIx64 "\n", arguments->options.seed, outcome.hash,
           again.hash);
    return 1;
}

/* In a process of its own, since a finding ends it. True: nothing was found. */
static bool passes(const struct arguments *arguments) {
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0)
        exit(one_seed(arguments));
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        perror("sim");
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
        printf("FOUND seed=%" PRIu64 ": the process ended with status %d\n", arguments->options.seed, status);
    return status == 0;
}

int main(int argc, char **argv) {
    struct arguments arguments = {.options = {.seed = 1, .days = 1}, .seeds = 1};
    if (!parse(argc, argv, &arguments))
        return usage();
    const int log = arguments.options.trace ? 2 : open("/dev/null", O_WRONLY | O_CLOEXEC); /* a disk that fails fills many lines */
    wr_log_configure(WR_LOG_ERROR, WR_LOG_LOGFMT, log);
    uint64_t found = 0, seeds = 0;
    for (; seeds < arguments.seeds && !(found > 0 && arguments.options.plant); seeds++, arguments.options.seed++)
        found += !passes(&arguments);
    printf("%" PRIu64 " seeds, %" PRIu64 " found something\n", seeds, found);
    return arguments.options.plant ? found == 0 : found > 0;
}
