/* core/clock.h
 * Two clocks: one that never goes back, for durations; and the wall clock, for the record. */
#ifndef AN_CORE_CLOCK_H
#define AN_CORE_CLOCK_H

double an_clock(void);                   /* seconds, monotonic, from an arbitrary start */
double an_clock_wall(void);              /* seconds since 1970 */
double an_clock_cpu(void);               /* processor seconds of this process, all threads */

/* "2024-05-01T12:30:07Z" into out[24]; "20240501-123007" (local time, for folder names) into out[24]. */
char *an_clock_iso(double wall, char out[24]);
char *an_clock_stamp(double wall, char out[24]);

#endif
