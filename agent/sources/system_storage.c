/* File systems, block devices and temperature sensors of the gateway. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "agent/sources/system_private.h"

/* -- space ----------------------------------------------------------------------------------------------------------------------------- */

/* One with a disk below it. Without a device number of their own are those that span devices, and those on raw flash; what is compressed
 * once and for all is always full. Network file systems are left out: asking a server that is gone waits for ever. */
static bool is_real(const struct wr_proc_mount *mount) {
    static const char *const without_number[] = {"btrfs", "zfs", "ubifs", "jffs2", "bcachefs"};
    static const char *const always_full[] = {"squashfs", "iso9660", "erofs", "cramfs", "udf"};
    for (size_t i = 0; i < sizeof always_full / sizeof always_full[0]; i++)
        if (strcmp(mount->type, always_full[i]) == 0)
            return false;
    if (mount->major != 0)
        return true;
    for (size_t i = 0; i < sizeof without_number / sizeof without_number[0]; i++)
        if (strcmp(mount->type, without_number[i]) == 0)
            return true;
    return strcmp(mount->type, "overlay") == 0 && strcmp(mount->path, "/") == 0; /* a container's root */
}

static int (*ask_for_space)(const char *path, struct statvfs *ret_space) = statvfs;

void wr_system_source_space(int (*ask)(const char *path, struct statvfs *ret_space)) {
    ask_for_space = ask ? ask : statvfs;
}

static void put_space(struct wr_system *system, const struct wr_proc_mount *mount, const struct statvfs *it) {
    struct wr_sample *sample = &system->sample;
    const struct statvfs space = *it;
    const uint64_t unit = space.f_frsize;
    const uint64_t used = (uint64_t)(space.f_blocks - space.f_bfree);
    const uint64_t usable = used + space.f_bavail; /* without what is kept for root */
    wr_sample_begin(sample, "disk");
    wr_sample_tag(sample, "path", mount->path);
    wr_sample_tag(sample, "device", strncmp(mount->device, "/dev/", 5) == 0 ? mount->device + 5 : mount->device);
    wr_sample_tag(sample, "fstype", mount->type);
    wr_sample_uint(sample, "total", space.f_blocks * unit);
    wr_sample_uint(sample, "free", space.f_bavail * unit);
    wr_sample_uint(sample, "used", used * unit);
    wr_sample_float(sample, "used_percent", usable > 0 ? 100.0 * (double)used / (double)usable : 100, 1);
    if (space.f_files > 0) {
        wr_sample_uint(sample, "inodes_total", space.f_files);
        wr_sample_uint(sample, "inodes_free", space.f_favail);
    }
    wr_sample_send(sample);
}

/* A file system that is mounted at several places counts once, at the first. */
static bool is_seen(const struct wr_system *system, const struct wr_proc_mount *mount) {
    for (unsigned i = 0; i < system->n_spaces; i++)
        if (system->spaces[i].mount.major == mount->major && system->spaces[i].mount.minor == mount->minor)
            return true;
    return false;
}

void wr_system_measure(struct wr_system *system) {
    struct wr_proc_text text = wr_system_read(system, system->proc, "self/mountinfo");
    system->has_spaces = text.at < text.end;
    system->n_spaces = 0;
    while (system->n_spaces < WR_SYSTEM_MOUNTS) {
        struct wr_system_space *it = &system->spaces[system->n_spaces];
        if (!wr_proc_next_mount(&text, &it->mount))
            return;
        if (is_real(&it->mount) && !is_seen(system, &it->mount) && ask_for_space(it->mount.path, &it->space) == 0 &&
            it->space.f_blocks > 0 && it->space.f_bfree <= it->space.f_blocks)
            system->n_spaces++;
    }
}

bool wr_system_disk(struct wr_system *system) {
    for (unsigned i = 0; i < system->n_spaces; i++)
        put_space(system, &system->spaces[i].mount, &system->spaces[i].space);
    return system->has_spaces;
}

/* -- devices --------------------------------------------------------------------------------------------------------------------------- */

/* The share of the time since the round before in which the device was busy; false: not known yet. */
static bool busy_share(struct wr_system *system, const struct wr_proc_disk *disk, double *ret_percent) {
    struct wr_system_disk *it = system->disks;
    const struct wr_system_disk *end = it + system->n_disks;
    while (it < end && strcmp(it->name, disk->name) != 0)
        it++;
    const bool known = it < end;
    if (!known && system->n_disks == WR_SYSTEM_DISKS)
        return false;
    if (!known)
        system->n_disks++;
    const int64_t passed_ms = (system->now.boot_ns - it->boot_ns) / WR_NS_PER_MS;
    const double busy = disk->busy_ms > it->busy_ms ? (double)(disk->busy_ms - it->busy_ms) : 0;
    const double share = known && passed_ms > 0 ? 100 * busy / (double)passed_ms : 0;
    *ret_percent = share > 100 ? 100 : share;
    snprintf(it->name, sizeof it->name, "%s", disk->name);
    it->busy_ms = disk->busy_ms;
    it->boot_ns = system->now.boot_ns;
    return known && passed_ms > 0;
}

bool wr_system_diskio(struct wr_system *system) {
    struct wr_proc_text text = wr_system_read(system, system->proc, "diskstats");
    struct wr_proc_disk disk;
    struct wr_sample *sample = &system->sample;
    char whole[sizeof disk.name] = "";
    if (text.at == text.end)
        return false;
    while (wr_proc_next_disk(&text, &disk)) {
        /* A partition follows its device and begins with its name. What never moved a byte is a spare loop or ram device. */
        if (whole[0] && strncmp(disk.name, whole, strlen(whole)) == 0)
            continue;
        memcpy(whole, disk.name, sizeof whole);
        if (disk.reads + disk.writes == 0)
            continue;
        double busy;
        wr_sample_begin(sample, "diskio");
        wr_sample_tag(sample, "name", disk.name);
        wr_sample_uint(sample, "reads", disk.reads);
        wr_sample_uint(sample, "writes", disk.writes);
        wr_sample_uint(sample, "read_bytes", disk.read_sectors * 512);
        wr_sample_uint(sample, "write_bytes", disk.written_sectors * 512);
        wr_sample_uint(sample, "read_time", disk.read_ms);
        wr_sample_uint(sample, "write_time", disk.write_ms);
        wr_sample_uint(sample, "io_time", disk.busy_ms);
        wr_sample_uint(sample, "iops_in_progress", disk.in_flight);
        if (busy_share(system, &disk, &busy))
            wr_sample_float(sample, "io_util", busy, 1);
        wr_sample_send(sample);
    }
    return true;
}

/* -- temperatures ---------------------------------------------------------------------------------------------------------------------- */

/* The one word, or line, of a small file, as a tag. */
static bool read_name(struct wr_system *system, const char *name, char *into, size_t size) {
    struct wr_proc_text text = wr_system_read(system, system->sys, name);
    struct wr_proc_text line;
    if (!wr_proc_line(&text, &line) || line.at == line.end || (size_t)(line.end - line.at) >= size)
        return false;
    for (const char *p = line.at; p < line.end; p++)
        if ((unsigned char)*p < ' ')
            return false;
    memcpy(into, line.at, (size_t)(line.end - line.at));
    into[line.end - line.at] = '\0';
    return true;
}

static struct wr_system_sensor *new_sensor(struct wr_system *system) {
    return system->n_sensors < WR_SYSTEM_SENSORS ? &system->sensors[system->n_sensors] : NULL;
}

/* hwmonN: tempM_input for M from 1, gaps allowed up to 16; tempM_label or the number names it. */
static void find_hwmon(struct wr_system *system, const char *folder) {
    char path[128], chip[48];
    snprintf(path, sizeof path, "class/hwmon/%.32s/name", folder);
    if (!read_name(system, path, chip, sizeof chip))
        return;
    for (unsigned i = 1; i <= 16; i++) {
        struct wr_system_sensor *sensor = new_sensor(system);
        if (!sensor)
            return;
        snprintf(sensor->path, sizeof sensor->path, "class/hwmon/%.32s/temp%u_input", folder, i);
        int64_t value;
        if (!wr_proc_value(wr_system_read(system, system->sys, sensor->path), &value))
            continue;
        snprintf(path, sizeof path, "class/hwmon/%.32s/temp%u_label", folder, i);
        if (!read_name(system, path, sensor->name, sizeof sensor->name))
            snprintf(sensor->name, sizeof sensor->name, "temp%u", i);
        memcpy(sensor->chip, chip, sizeof chip);
        system->n_sensors++;
    }
}

static void find_zone(struct wr_system *system, const char *folder) {
    char path[128];
    struct wr_system_sensor *sensor = new_sensor(system);
    if (!sensor || strncmp(folder, "thermal_zone", 12) != 0)
        return;
    snprintf(path, sizeof path, "class/thermal/%.32s/type", folder);
    if (!read_name(system, path, sensor->name, sizeof sensor->name))
        snprintf(sensor->name, sizeof sensor->name, "%.47s", folder);
    snprintf(sensor->path, sizeof sensor->path, "class/thermal/%.32s/temp", folder);
    sensor->chip[0] = '\0';
    system->n_sensors++;
}

static void find_below(struct wr_system *system, const char *name, void (*find)(struct wr_system *system, const char *folder)) {
    char path[WR_SYSTEM_ROOT_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", system->sys, name);
    DIR *directory = opendir(path);
    for (const struct dirent *entry; directory && (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.')
            find(system, entry->d_name);
    if (directory)
        closedir(directory);
}

/* Which sensors there are is looked up now and then, since drivers come late; a round reads their values. */
bool wr_system_temperature(struct wr_system *system) {
    if (system->rounds_to_look == 0) {
        system->n_sensors = 0;
        find_below(system, "class/hwmon", find_hwmon);
        find_below(system, "class/thermal", find_zone);
        system->rounds_to_look = WR_SYSTEM_SENSORS_LOOK;
    }
    system->rounds_to_look--;
    for (unsigned i = 0; i < system->n_sensors; i++) {
        const struct wr_system_sensor *sensor = &system->sensors[i];
        int64_t thousandths;
        if (!wr_proc_value(wr_system_read(system, system->sys, sensor->path), &thousandths))
            continue; /* asleep, or gone */
        const bool zone = sensor->chip[0] == '\0';
        wr_sample_begin(&system->sample, zone ? "thermal" : "hwmon");
        wr_sample_tag(&system->sample, "chip", sensor->chip);
        wr_sample_tag(&system->sample, zone ? "zone" : "sensor", sensor->name);
        wr_sample_float(&system->sample, "temp", (double)thousandths / 1000, 1);
        wr_sample_send(&system->sample);
    }
    return true;
}
