/* What the files of the source `system` share: the state between rounds, and one function a part. */
#ifndef WEIR_AGENT_SOURCES_SYSTEM_PRIVATE_H
#define WEIR_AGENT_SOURCES_SYSTEM_PRIVATE_H

#include <sys/statvfs.h>

#include "agent/sources/poller.h"
#include "agent/sources/proc.h"
#include "agent/sources/sample.h"
#include "agent/sources/source.h"
#include "agent/sources/system_source.h"

#define WR_SYSTEM_ROOT_BYTES 256
#define WR_SYSTEM_DISKS 64
#define WR_SYSTEM_MOUNTS 64
#define WR_SYSTEM_SENSORS 64
#define WR_SYSTEM_SENSORS_LOOK 60 /* rounds between two looks for new sensors */

struct wr_system_disk {
    char name[64];
    uint64_t busy_ms;
    int64_t boot_ns;
};

struct wr_system_space {
    struct wr_proc_mount mount;
    struct statvfs space;
};

/* Of a round. Only while it measures may it hang, and then it holds nothing that is not its own: so it can be abandoned.
 *   IDLE → MEASURING → EMITTING → IDLE; MEASURING → ABANDONED, by a stop */
enum wr_system_phase { WR_SYSTEM_IDLE, WR_SYSTEM_MEASURING, WR_SYSTEM_EMITTING, WR_SYSTEM_ABANDONED };

struct wr_system_sensor {
    char path[96]; /* below the root of /sys */
    char chip[48]; /* "": a thermal zone */
    char name[48];
};

struct wr_system {
    struct wr_source source; /* first */
    struct wr_intake intake;
    struct wr_poller poller;
    struct wr_sample sample;
    struct wr_now now; /* of the present round */
    char proc[WR_SYSTEM_ROOT_BYTES];
    char sys[WR_SYSTEM_ROOT_BYTES];
    uint64_t complained; /* parts that were reported, as bits */
    bool started;
    _Atomic int phase; /* enum wr_system_phase */
    struct wr_system_space spaces[WR_SYSTEM_MOUNTS];
    unsigned n_spaces;
    bool has_spaces;
    struct wr_proc_stat stat; /* of the present round, once one part has asked for it */
    enum { WR_SYSTEM_STAT_UNREAD, WR_SYSTEM_STAT_GOOD, WR_SYSTEM_STAT_BAD } stat_state;
    uint64_t ticks[WR_PROC_MODES]; /* of the round before */
    bool has_ticks;
    struct wr_system_disk disks[WR_SYSTEM_DISKS];
    unsigned n_disks;
    struct wr_system_sensor sensors[WR_SYSTEM_SENSORS];
    unsigned n_sensors;
    unsigned rounds_to_look;
    char histogram_names[3][96];
    char buffer[WR_SYSTEM_FILE_BYTES];
};

/* The text of a file below a root, in the buffer until the next read; empty if there is none. */
struct wr_proc_text wr_system_read(struct wr_system *system, const char *root, const char *name);

/* Asks the file systems for their space, which may take for ever. */
void wr_system_measure(struct wr_system *system);

/* Each makes the samples of its part. False: what it needs cannot be read. */
bool wr_system_cpu(struct wr_system *system);
bool wr_system_memory(struct wr_system *system);
bool wr_system_load(struct wr_system *system);
bool wr_system_network(struct wr_system *system);
bool wr_system_clock(struct wr_system *system);
bool wr_system_disk(struct wr_system *system);
bool wr_system_diskio(struct wr_system *system);
bool wr_system_temperature(struct wr_system *system);
bool wr_system_own(struct wr_system *system);

#endif
