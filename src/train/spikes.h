/* train/spikes.h
 * Spike verdicts: does the newest loss, gradient norm or update norm stand out of its last 128 values, and how long until it
 * is back? A jump of the update norm comes before the jump of the loss, so the three are watched apart.
 *
 * Rule      x is the loss itself, and the logarithm of a norm: norms scatter by factors, and a doubling is the same jump at any
 *           size. z = (x - mean) / s over the window, the newest value not in it; s is the standard deviation, but at least
 *           0.01 nats or 2 %, so that the wiggles of a still window are no spikes. A spike starts where z > 6, or with NaN or an
 *           infinity, and ends with the first value of z <= 3, the band of before the spike. Values in a spike do not enter the
 *           window, which stays as it was. One that lasts 128 values is a new level, not a spike: the window starts anew. Downward jumps are none.
 * Threshold with 32 values, the fewest that are judged, z > 6 has odds of 8e-7 for Gaussian noise (Student, 31 degrees of
 *           freedom, widened by the mean's own error) and 1e-8 with 128: no false alarm in a run of 1e5 steps. A linear trend
 *           stays at |z| < 1.8, whatever its slope, so warm-up and the first descent raise no alarm; they make it less keen.
 * State     plain numbers, zero-initialised is empty and valid; an_spikes_write and an_spikes_read carry it exactly, for a
 *           resumed run that gives the same verdicts. Started empty at a resume, it says nothing for 32 steps.
 * Source    a window of 128 and 6 deviations as in OLMo-core's skip-step optimizer (AI2, 2024), there to skip updates; logarithms,
 *           floors, the held window and the time to recover are ours */
#ifndef AN_TRAIN_SPIKES_H
#define AN_TRAIN_SPIKES_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"

enum { AN_SPIKE_WINDOW = 128, AN_SPIKE_LEAST = 32 };

typedef enum an_spike_quantity { AN_SPIKE_LOSS, AN_SPIKE_GRAD_NORM, AN_SPIKE_UPDATE_NORM, AN_SPIKE_QUANTITIES } an_spike_quantity;

typedef enum an_spike_kind {
    AN_SPIKE_NONE,                 /* within the band, or too few values to judge */
    AN_SPIKE_START,
    AN_SPIKE_GOES_ON,
    AN_SPIKE_RECOVERED,
    AN_SPIKE_NEW_LEVEL             /* given up after AN_SPIKE_WINDOW values */
} an_spike_kind;

typedef struct an_spike_verdict {
    an_spike_kind kind;
    an_spike_quantity quantity;
    double z;                      /* of the newest value; infinite when that is not finite; NaN before there are enough values */
    double value, mean;            /* in the unit of the quantity; of norms the geometric mean; NaN of an empty window */
    uint64_t since;                /* the step at which the spike started; 0 when none */
    uint64_t steps;                /* steps since then: when RECOVERED, the time to recover */
    double peak, peak_z;           /* the largest of the spike so far */
} an_spike_verdict;

typedef struct an_spike_track {
    double window[AN_SPIKE_WINDOW];   /* x, oldest first */
    uint64_t count;
    uint64_t spiking;              /* values of the present spike; 0: none */
    uint64_t since;
    double peak, peak_z;
} an_spike_track;

typedef struct an_spikes { an_spike_track track[AN_SPIKE_QUANTITIES]; } an_spikes;

/* Takes the value of one step (or of every k-th: the window counts values, the verdict steps). */
an_spike_verdict an_spikes_add(an_spikes *s, an_spike_quantity quantity, uint64_t step, double value);

const char *an_spike_name(an_spike_quantity quantity);         /* "loss", "grad_norm", "update_norm": the keys of the log */
const char *an_spike_kind_name(an_spike_kind kind);            /* "none", "start", "goes-on", "recovered", "new-level" */

/* The state as words of hexadecimal bit patterns, for a string in state.json. Errors of reading: AN_EFORMAT, *s untouched. */
void an_spikes_write(const an_spikes *s, an_text *out);
an_status an_spikes_read(an_spikes *s, const char *text) AN_MUST_USE;

#endif
