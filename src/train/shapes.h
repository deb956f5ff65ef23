/* train/shapes.h
 * Images that need no file: ten kinds of figure, each at a place, a size, an angle and a contrast of its own, lighter or darker than what is
 * behind it, under noise. Image i is a pure function of i. A linear classifier hardly beats chance on them, a small convolutional
 * network gets most right (docs/images.md). */
#ifndef AN_TRAIN_SHAPES_H
#define AN_TRAIN_SHAPES_H

#include <stddef.h>
#include <stdint.h>

enum { AN_SHAPES_CHANNELS = 8, AN_SHAPES_SIDE = 8 };   /* most channels, least side */
enum { AN_SHAPES = 10 };   /* disc, ring, square, frame, triangle, plus, cross, horizontal and vertical bars, chequers */

/* Image i, side x side x channels bytes, of the figure i % classes, which is returned. classes <= AN_SHAPES. */
size_t an_shapes_draw(uint64_t i, size_t side, size_t channels, size_t classes, int32_t *pixels);

#endif
