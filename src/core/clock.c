/* core/clock.c
 * clock_gettime; nothing else in the tree reads a clock. */
#include "core/clock.h"

#include <math.h>
#include <time.h>

static double read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double an_clock(void) { return read_clock(CLOCK_MONOTONIC); }
double an_clock_wall(void) { return read_clock(CLOCK_REALTIME); }
double an_clock_cpu(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

char *an_clock_iso(double wall, char out[24])
{
    const time_t t = (time_t)floor(wall);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

char *an_clock_stamp(double wall, char out[24])
{
    const time_t t = (time_t)floor(wall);
    struct tm tm;
    localtime_r(&t, &tm);
    strftime(out, 24, "%Y%m%d-%H%M%S", &tm);
    return out;
}
