/* train/memory.c
 * Linux's own files; where one is missing it does not bind. Blocks are mapped but untouched when this is asked, so they
 * are not yet counted as used by the system, but they are by the address space limit (RLIMIT_AS: refused when mapped). */
#include "train/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "core/text.h"
#include "kern/gemm.h"
#include "train/optimizer.h"

/* The number after `key` in a file of "key number" lines, or the first number of the file when key is NULL. */
static int read_number(const char *path, const char *key, uint64_t *out)
{
    char line[256];
    int found = 0;
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    while (!found && fgets(line, sizeof line, f)) {
        const size_t n = key ? strlen(key) : 0;
        if (key && strncmp(line, key, n) != 0) continue;
        found = sscanf(line + n, "%" SCNu64, out) == 1;
        if (!key) break;
    }
    fclose(f);
    return found;
}

static void bind(an_memory_room *room, uint64_t bytes, const char *limit)
{
    if (bytes < room->bytes) *room = (an_memory_room){ bytes, limit };
}

an_memory_room an_memory_available(void)
{
    an_memory_room room = { UINT64_MAX, "no limit" };
    uint64_t number, used, cache;
    struct rlimit limit;
    if (read_number("/proc/meminfo", "MemAvailable:", &number)) bind(&room, number * 1024, "available on this machine");
    if (read_number("/sys/fs/cgroup/memory.max", NULL, &number) && read_number("/sys/fs/cgroup/memory.current", NULL, &used)) {
        if (read_number("/sys/fs/cgroup/memory.stat", "inactive_file", &cache) && cache < used) used -= cache;
        bind(&room, number > used ? number - used : 0, "left by the control group");
    }
    if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) bind(&room, limit.rlim_cur, "allowed by the data size limit");
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) bind(&room, limit.rlim_cur, "allowed by the address space limit");
    return room;
}

static uint64_t resident_bytes(void)
{
    uint64_t kib = 0;
    return read_number("/proc/self/status", "VmRSS:", &kib) ? kib * 1024 : 0;
}

static uint64_t packing_bytes(bool mixed) { return an_gemm_get()->thread_bytes + (mixed ? an_gemm_get()->low_thread_bytes : 0); }

uint64_t an_memory_program(const an_model *model, int threads)
{
    uint64_t largest = 0;
    size_t n;
    bool mixed = false;
    const an_param *p = an_model_get_params(model, &n);
    for (size_t i = 0; i < n; i++) {
        largest = p[i].count > largest ? p[i].count : largest;
        mixed |= p[i].low != NULL;
    }
    uint64_t room = packing_bytes(mixed);
    if (room > 2 * largest * sizeof(an_real)) room = 2 * largest * sizeof(an_real);
    return resident_bytes() + (uint64_t)threads * room + an_gemm_get()->process_bytes;
}

void an_memory_budget(an_model_config *config, int threads)
{
    if (strcmp(config->recompute, "auto") != 0 || config->memory != 0) return;
    const uint64_t program = resident_bytes() + (uint64_t)threads * packing_bytes(config->store != AN_STORE_REAL) + an_gemm_get()->process_bytes, room = an_memory_available().bytes;
    config->memory = room > program ? (size_t)(room - program) : 1;
}

uint64_t an_memory_peak(void)
{
    struct rusage use;
    return getrusage(RUSAGE_SELF, &use) == 0 ? (uint64_t)use.ru_maxrss * 1024 : 0;
}

uint64_t an_memory_predict(const an_model *model, int train, int threads)
{
    const an_model_memory m = an_model_get_memory(model);
    const size_t moments = train ? an_optimizer_bytes(an_model_param_count(model)) : 0;
    return (uint64_t)m.params + m.grads + m.activations + m.scratch + m.constants + (m.optimizer > moments ? m.optimizer : moments) + an_memory_program(model, threads);
}

an_status an_memory_check(uint64_t needed, an_memory_room room)
{
    char need[AN_HUMAN], have[AN_HUMAN];
    if (needed <= room.bytes) return AN_OK;
    return an_fail(AN_ENOMEM, "this run needs %s of memory and %s are %s; lower batch_size, seq_len or the model, or use --recompute sqrt",
                   an_human_bytes(need, (double)needed), an_human_bytes(have, (double)room.bytes), room.limit);
}

an_status an_memory_explain(an_status status)
{
    char have[AN_HUMAN];
    if (status != AN_ENOMEM) return status;
    const an_memory_room room = an_memory_available();
    return an_fail(AN_ENOMEM, "%s; %s are %s", an_error_text(), an_human_bytes(have, (double)room.bytes), room.limit);
}
