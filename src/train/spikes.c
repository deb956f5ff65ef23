/* train/spikes.c
 * Mean and deviation are taken afresh from the window at each step, oldest value first: 128 values cost nothing beside a
 * training step, there is no drift of running sums, and a resumed run adds in the same order. */
#include "train/spikes.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const double START_Z = 6, END_Z = 3;

static const struct { const char *name; int by_factors; double least_spread; } KINDS[AN_SPIKE_QUANTITIES] = {
    [AN_SPIKE_LOSS] = { "loss", 0, 0.01 }, [AN_SPIKE_GRAD_NORM] = { "grad_norm", 1, 0.02 }, [AN_SPIKE_UPDATE_NORM] = { "update_norm", 1, 0.02 } };

const char *an_spike_name(an_spike_quantity quantity) { return KINDS[quantity].name; }

const char *an_spike_kind_name(an_spike_kind kind)
{
    static const char *const NAMES[] = { "none", "start", "goes-on", "recovered", "new-level" };
    return NAMES[kind];
}

/* What the window holds of a value; not finite for one that cannot enter it. */
static double scale_in(an_spike_quantity quantity, double value) { return KINDS[quantity].by_factors ? log(value) : value; }
static double scale_out(an_spike_quantity quantity, double x) { return KINDS[quantity].by_factors ? exp(x) : x; }

static void measure(const an_spike_track *t, double least, double *mean, double *spread)
{
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < t->count; i++) sum += t->window[i];
    *mean = t->count > 0 ? sum / (double)t->count : NAN;
    for (uint64_t i = 0; i < t->count; i++) squares += (t->window[i] - *mean) * (t->window[i] - *mean);
    *spread = t->count > 1 ? fmax(least, sqrt(squares / (double)(t->count - 1))) : least;
}

static void take(an_spike_track *t, double x)
{
    if (!isfinite(x)) return;                                /* a norm of 0 is no spike, but has no logarithm */
    if (t->count == AN_SPIKE_WINDOW) memmove(t->window, t->window + 1, --t->count * sizeof *t->window);
    t->window[t->count++] = x;
}

/* Moves on by one value that has this z; the kind of verdict. */
static an_spike_kind move(an_spike_track *t, uint64_t step, double x, double value, double z)
{
    if (t->spiking == 0 && !(z > START_Z)) {
        take(t, x);
        return AN_SPIKE_NONE;
    }
    if (t->spiking == 0) {
        t->since = step;
        t->peak = value;
        t->peak_z = z;
    } else if (!(z > END_Z)) {
        take(t, x);
        return AN_SPIKE_RECOVERED;
    } else if (z > t->peak_z) {
        t->peak = value;
        t->peak_z = z;
    }
    t->spiking++;
    return t->spiking == 1 ? AN_SPIKE_START : t->spiking < AN_SPIKE_WINDOW ? AN_SPIKE_GOES_ON : AN_SPIKE_NEW_LEVEL;
}

an_spike_verdict an_spikes_add(an_spikes *s, an_spike_quantity quantity, uint64_t step, double value)
{
    an_spike_track *t = &s->track[quantity];
    const double x = scale_in(quantity, value);
    double mean, spread;
    measure(t, KINDS[quantity].least_spread, &mean, &spread);
    const double z = !isfinite(value) ? INFINITY : t->count < AN_SPIKE_LEAST ? NAN : (x - mean) / spread;
    an_spike_verdict v = { .quantity = quantity, .z = z, .value = value, .mean = scale_out(quantity, mean) };
    v.kind = move(t, step, x, value, z);
    if (v.kind == AN_SPIKE_NONE) return v;
    v.since = t->since;
    v.steps = step - t->since;
    v.peak = t->peak;
    v.peak_z = t->peak_z;
    if (v.kind == AN_SPIKE_NEW_LEVEL) t->count = 0;
    if (v.kind == AN_SPIKE_NEW_LEVEL || v.kind == AN_SPIKE_RECOVERED) t->spiking = 0;
    return v;
}

/* --- state as text: count, spiking, since, peak, peak_z, then the window ----------------------------------------------- */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void an_spikes_write(const an_spikes *s, an_text *out)
{
    for (int q = 0; q < AN_SPIKE_QUANTITIES; q++) {
        const an_spike_track *t = &s->track[q];
        an_text_add(out, "%s%" PRIx64 " %" PRIx64 " %" PRIx64, q > 0 ? " " : "", t->count, t->spiking, t->since);
        an_text_add(out, " %" PRIx64 " %" PRIx64, bits_of(t->peak), bits_of(t->peak_z));
        for (uint64_t i = 0; i < t->count; i++) an_text_add(out, " %" PRIx64, bits_of(t->window[i]));
    }
}

/* The next word; 0 when there is none. Words of more than 16 digits are none. */
static int word(const char **text, uint64_t *out)
{
    uint64_t value = 0;
    int digits = 0;
    for (; digits <= 16; digits++, (*text)++) {
        const char c = **text;
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) break;
        value = value << 4 | (unsigned)digit;
    }
    if (digits == 0 || digits > 16 || (**text != ' ' && **text != '\0')) return 0;
    if (**text == ' ') (*text)++;
    *out = value;
    return 1;
}

static int real_word(const char **text, double *out)
{
    uint64_t bits;
    if (!word(text, &bits)) return 0;
    *out = of_bits(bits);
    return 1;
}

static int read_track(an_spike_track *t, const char **text)
{
    if (!word(text, &t->count) || !word(text, &t->spiking) || !word(text, &t->since)) return 0;
    if (!real_word(text, &t->peak) || !real_word(text, &t->peak_z)) return 0;
    if (t->count > AN_SPIKE_WINDOW || t->spiking >= AN_SPIKE_WINDOW) return 0;
    for (uint64_t i = 0; i < t->count; i++)
        if (!real_word(text, &t->window[i]) || !isfinite(t->window[i])) return 0;
    return 1;
}

an_status an_spikes_read(an_spikes *s, const char *text)
{
    an_spikes read = { 0 };
    for (int q = 0; q < AN_SPIKE_QUANTITIES; q++)
        if (!read_track(&read.track[q], &text)) return an_fail(AN_EFORMAT, "spikes: the window of %s is damaged; use another checkpoint", KINDS[q].name);
    if (*text) return an_fail(AN_EFORMAT, "spikes: more than three windows; use another checkpoint");
    *s = read;
    return AN_OK;
}
