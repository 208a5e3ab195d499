/* The memory of a TaskManager: see memory_budget.h. */
#include "taskmanager/memory_budget.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A limit beyond this is cgroup v1's way to say "none". */
#define CGROUP_NO_LIMIT (UINT64_C(1) << 60)

static uint64_t fraction_of(const struct config *config, enum config_key key, uint64_t bytes)
{
    return (uint64_t)(config_double(config, key) * (double)bytes);
}

enum status memory_budget_init(struct memory_budget *budget, const struct config *config,
                               uint64_t cgroup_limit_bytes, struct error *err)
{
    uint64_t total = (uint64_t)config_size_bytes(config, CONFIG_TASKMANAGER_MEMORY);
    if (total == 0)
        total = cgroup_limit_bytes > 0 ? cgroup_limit_bytes : MEMORY_TOTAL_DEFAULT_BYTES;
    if (total < MEMORY_TOTAL_MIN_BYTES)
        return error_set(err, STATUS_INVALID,
                         "%llu MiB of memory are too little for a TaskManager, which needs %llu "
                         "MiB; raise taskmanager.memory.process.size or the limit of the container",
                         (unsigned long long)(total >> 20),
                         (unsigned long long)(MEMORY_TOTAL_MIN_BYTES >> 20));
    const uint64_t overhead = MEMORY_OVERHEAD_BYTES + (total - MEMORY_OVERHEAD_BYTES) / 16;
    const uint64_t rest = total - overhead;
    const uint64_t exchange = fraction_of(config, CONFIG_MEMORY_EXCHANGE, rest);
    uint64_t cache = (uint64_t)config_size_bytes(config, CONFIG_MEMORY_STATE_CACHE_SIZE);
    if (cache == 0)
        cache = fraction_of(config, CONFIG_MEMORY_STATE_CACHE, rest);
    const uint64_t queue = fraction_of(config, CONFIG_MEMORY_WRITE_QUEUE, rest);
    const uint64_t rocksdb = fraction_of(config, CONFIG_MEMORY_ROCKSDB, rest);
    const uint64_t given = exchange + cache + queue + rocksdb;
    if (given > rest - rest / 20)
        return error_set(err, STATUS_INVALID,
                         "the parts of taskmanager.memory.* take %llu MiB of the %llu MiB that "
                         "there are without overhead; at least 5 %% must remain for operators",
                         (unsigned long long)(given >> 20), (unsigned long long)(rest >> 20));
    budget->total_bytes = total;
    memory_account_init(&budget->overhead, "overhead", NULL, overhead);
    memory_account_init(&budget->exchange, "exchange", NULL, exchange);
    memory_account_init(&budget->state_cache, "state cache", NULL, cache);
    memory_account_init(&budget->write_queue, "write queue", NULL, queue);
    memory_account_init(&budget->rocksdb, "rocksdb", NULL, rocksdb);
    memory_account_init(&budget->operators, "operators", NULL, rest - given);
    return STATUS_OK;
}

/* The number in a file; 0 if there is none ("max", no such file). */
static uint64_t read_limit(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    unsigned long long limit = 0;
    if (fscanf(file, "%llu", &limit) != 1 || limit > CGROUP_NO_LIMIT)
        limit = 0;
    (void)fclose(file);
    return limit;
}

/* The path of this process in the hierarchy of a /proc/self/cgroup line "id:controllers:path". */
static bool find_path(const char *controller, char *ret_path, size_t size)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL)
        return false;
    char line[4096];
    bool is_found = false;
    while (!is_found && fgets(line, sizeof(line), file) != NULL) {
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (strcmp(controllers + 1, controller) == 0) {
            (void)snprintf(ret_path, size, "%s", path);
            is_found = true;
        }
    }
    (void)fclose(file);
    return is_found;
}

static uint64_t smaller_limit(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return a > b ? a : b;
    return a < b ? a : b;
}

uint64_t memory_cgroup_limit_bytes(void)
{
    /* In a container its own group is mounted at the root; on a host it lies below. */
    uint64_t limit = smaller_limit(read_limit("/sys/fs/cgroup/memory.max"),
                                   read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    char group[2048];
    char path[4200];
    if (find_path("", group, sizeof(group))) {
        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group);
        limit = smaller_limit(limit, read_limit(path));
    }
    if (find_path("memory", group, sizeof(group))) {
        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup/memory%s/memory.limit_in_bytes", group);
        limit = smaller_limit(limit, read_limit(path));
    }
    return limit;
}

/* Resident pages, and those of them that belong to files: code and libraries. */
static void read_resident(uint64_t *ret_all, uint64_t *ret_files)
{
    *ret_all = 0;
    *ret_files = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return;
    unsigned long long size = 0;
    unsigned long long resident = 0;
    unsigned long long shared = 0;
    const int count = fscanf(file, "%llu %llu %llu", &size, &resident, &shared);
    (void)fclose(file);
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (count == 3) {
        *ret_all = resident * page;
        *ret_files = shared * page;
    }
}

uint64_t memory_resident_bytes(void)
{
    uint64_t all;
    uint64_t files;
    read_resident(&all, &files);
    return all;
}

void memory_account_set(struct memory_account *account, uint64_t bytes)
{
    const uint64_t booked = memory_used(account);
    if (bytes > booked)
        memory_force(account, bytes - booked);
    else
        memory_release(account, booked - bytes);
}

/* What malloc has taken from the system, free pieces included, less what parts have booked. The
 * entries of the state cache are mapped by themselves; their index, a tenth, is from the heap and
 * so counted here too. Stacks are missing. */
void memory_budget_measure(struct memory_budget *budget)
{
    const struct mallinfo2 heap = mallinfo2();
    const uint64_t taken = heap.arena + heap.hblkhd;
    const uint64_t booked = memory_used(&budget->exchange) + memory_used(&budget->rocksdb) +
                            memory_used(&budget->operators);
    uint64_t all;
    uint64_t files;
    read_resident(&all, &files);
    memory_account_set(&budget->overhead, files + (taken > booked ? taken - booked : 0));
}
