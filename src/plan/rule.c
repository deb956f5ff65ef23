/* plan/rule.c
 * Lines of a matrix at length 1. A part is a block of rows, or a strip of columns that is walked row by row. */
#include "plan/rule.h"

#include <math.h>

enum { ROWS = 32, STRIP = 64 };

static size_t blocks(size_t n, size_t size) { return (n + size - 1) / size; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t an_unit_parts(an_unit unit, size_t rows, size_t cols)
{
    return unit == AN_UNIT_ROWS ? blocks(rows, ROWS) : unit == AN_UNIT_COLS ? blocks(cols, STRIP) : 0;
}

static double inverse(double squares) { return squares > 0 ? 1 / sqrt(squares) : 1; }

static void scale_row(size_t cols, an_real *w)
{
    double squares = 0;
    for (size_t j = 0; j < cols; j++) squares += (double)w[j] * (double)w[j];
    const double scale = inverse(squares);
    for (size_t j = 0; j < cols; j++) w[j] = AN_R((double)w[j] * scale);
}

static void scale_strip(size_t rows, size_t cols, an_real *w, size_t width)
{
    double squares[STRIP] = { 0 };
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < width; j++) squares[j] += (double)w[i * cols + j] * (double)w[i * cols + j];
    for (size_t j = 0; j < width; j++) squares[j] = inverse(squares[j]);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < width; j++) w[i * cols + j] = AN_R((double)w[i * cols + j] * squares[j]);
}

void an_unit_scale(an_unit unit, size_t rows, size_t cols, an_real *w, size_t part)
{
    if (unit == AN_UNIT_COLS) scale_strip(rows, cols, w + part * STRIP, least(STRIP, cols - part * STRIP));
    for (size_t i = part * ROWS; unit == AN_UNIT_ROWS && i < least(rows, (part + 1) * ROWS); i++) scale_row(cols, w + i * cols);
}
