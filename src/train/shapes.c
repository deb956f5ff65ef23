/* train/shapes.c
 * All of an image's randomness is a stream of numbers that its number is the key of: the first ones say what is drawn, the rest is noise. */
#include "train/shapes.h"

#include <math.h>
#include <stdbool.h>

#include "core/rng.h"

enum { SEED = 2015, FIGURE = 8 + 2 * AN_SHAPES_CHANNELS };   /* of the set; numbers that the figure and its colours may use */
static const double NOISE = 24;      /* standard deviation, of 255 */

/* Whether (u, v) is inside, in units of the figure's half width, v downwards. */
static bool inside(size_t kind, double u, double v)
{
    const double a = fabs(u), b = fabs(v), most = fmax(a, b), square = u * u + v * v;
    switch (kind) {
    case 0: return square < 0.8;
    case 1: return square < 1 && square > 0.35;
    case 2: return most < 0.8;
    case 3: return most < 0.9 && most > 0.5;
    case 4: return v < 0.7 && v > -1 && a < 0.6 * (v + 1);
    case 5: return most < 1 && fmin(a, b) < 0.3;
    case 6: return most < 0.9 && fabs(a - b) < 0.35;
    case 7: return most < 1 && fmod(v + 1, 0.8) < 0.4;
    case 8: return most < 1 && fmod(u + 1, 0.8) < 0.4;
    default: return most < 1 && (fmod(u + 1, 1) < 0.5) == (fmod(v + 1, 1) < 0.5);
    }
}

static double between(an_rng_key key, uint64_t at, double low, double high) { return low + (high - low) * an_rng_uniform(key, at); }

/* Of a pixel of size 1, in four samples. */
static double coverage(size_t kind, double x, double y, double along, double across)
{
    double sum = 0;
    for (int k = 0; k < 4; k++) {
        const double dx = x + (k % 2 ? 0.25 : -0.25), dy = y + (k / 2 ? 0.25 : -0.25);
        sum += inside(kind, dx * along + dy * across, dy * along - dx * across);
    }
    return sum / 4;
}

size_t an_shapes_draw(uint64_t i, size_t side, size_t channels, size_t classes, int32_t *pixels)
{
    const an_rng_key key = an_rng_key_make(SEED, AN_RNG_IMAGE, i);
    const size_t kind = (size_t)(i % classes);
    const double s = (double)side, size = s * between(key, 0, 0.24, 0.36), x0 = between(key, 1, size, s - size), y0 = between(key, 2, size, s - size), angle = between(key, 3, -0.25, 0.25);
    const double sign = an_rng_uniform(key, 4) < 0.5 ? -1 : 1, slope = between(key, 5, 0, 50) / s, way = between(key, 6, 0, 6.28318530718);
    double behind[AN_SHAPES_CHANNELS], contrast[AN_SHAPES_CHANNELS];
    for (size_t c = 0; c < channels; c++) {
        behind[c] = between(key, 8 + 2 * c, 90, 165);
        contrast[c] = sign * between(key, 9 + 2 * c, 50, 85);
    }
    for (size_t p = 0; p < side * side; p++) {
        const double x = (double)(p % side) + 0.5, y = (double)(p / side) + 0.5, figure = coverage(kind, x - x0, y - y0, cos(angle) / size, sin(angle) / size);
        const double shade = slope * ((x - s / 2) * cos(way) + (y - s / 2) * sin(way));
        for (size_t c = 0; c < channels; c++) {
            const double value = behind[c] + shade + contrast[c] * figure + NOISE * an_rng_normal(key, FIGURE + p * channels + c);
            pixels[p * channels + c] = value < 0 ? 0 : value > 255 ? 255 : (int32_t)value;
        }
    }
    return kind;
}
