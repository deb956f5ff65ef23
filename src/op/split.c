/* op/split.c
 * Split and pack: a row of columns taken apart into several values, and put together again. A part may be cut further into
 * heads: [N, H*D] seen as [N*H, D], so that a norm works per head.
 * Shapes    split: x [N, sum widths] -> y_i [N * widths_i / cut_i, cut_i]     pack: the reverse
 * Saves     nothing               Cost  0 flop, 2 passes
 * Backward  copies of the gradients, the other way
 * Errors    build: widths that do not add up, or are no multiple of their cut -> AN_ESHAPE
 * Threads   rows in fixed chunks */
#include "op/op.h"

#include <stdio.h>

static size_t total(const an_split_attr *at)
{
    size_t n = 0;
    for (size_t i = 0; i < at->n; i++) n += at->width[i];
    return n;
}

static an_status infer_split(struct an_build *b, an_step *s)
{
    const an_split_attr *at = s->attr;
    AN_TRY(an_need_rank(s, 0, 2));
    const size_t n = an_rows(s->in[0]);
    AN_TRY(an_need(s, 0, AN_MAT(n, total(at))));
    for (size_t i = 0; i < at->n; i++) {
        char suffix[24];
        snprintf(suffix, sizeof suffix, ".%zu", i);
        if (at->cut[i] == 0 || at->width[i] % at->cut[i]) return an_fail(AN_ESHAPE, "%s: %zu columns cannot be cut into pieces of %zu", s->name, at->width[i], at->cut[i]);
        AN_TRY(an_out(b, s, (int)i, suffix, AN_MAT(n * (at->width[i] / at->cut[i]), at->cut[i]), false));
    }
    return AN_OK;
}

static an_status infer_pack(struct an_build *b, an_step *s)
{
    const an_split_attr *at = s->attr;
    size_t n = 0;
    for (size_t i = 0; i < at->n; i++) {
        AN_TRY(an_need_rank(s, (int)i, 2));
        if (i == 0) n = s->in[0]->count / at->width[0];
        AN_TRY(an_need(s, (int)i, AN_MAT(n * (at->width[i] / at->cut[i]), at->cut[i])));
    }
    return an_out(b, s, 0, "", AN_MAT(n, total(at)), false);
}

static size_t rows_of(const an_step *s, bool pack) { return an_rows(pack ? s->out[0] : s->in[0]); }
static size_t parts_split(const an_step *s, an_direction dir, int phase) { (void)dir; return phase == 0 ? an_chunks(rows_of(s, false)) : 0; }
static size_t parts_pack(const an_step *s, an_direction dir, int phase) { (void)dir; return phase == 0 ? an_chunks(rows_of(s, true)) : 0; }

/* Columns [at, at + width) of rows that are ld wide, to or from a dense value of that width. */
static void move(an_range w, size_t ld, size_t at, size_t width, const an_real *from, an_real *to, bool gather, bool add)
{
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *x = gather ? from + i * ld + at : from + i * width;
        an_real *y = gather ? to + i * width : to + i * ld + at;
        if (add) for (size_t j = 0; j < width; j++) y[j] += x[j];
        else memcpy(y, x, width * sizeof *y);
    }
}

static void forward_split(const an_run *r, const an_step *s, const an_part *p)
{
    (void)r;
    const an_split_attr *at = s->attr;
    const size_t ld = total(at);
    const an_range w = an_chunk(an_rows(s->in[0]), p->index);
    for (size_t i = 0, column = 0; i < at->n; column += at->width[i++]) move(w, ld, column, at->width[i], s->in[0]->data, s->out[i]->data, true, false);
}

static void backward_split(const an_run *r, const an_step *s, const an_part *p)
{
    const an_split_attr *at = s->attr;
    const size_t ld = total(at);
    const an_range w = an_chunk(an_rows(s->in[0]), p->index);
    if (!an_has_grad(s, 0)) return;
    for (size_t i = 0, column = 0; i < at->n; column += at->width[i++]) {
        an_real *to = s->in[0]->grad;
        if (s->out[i]->grad) {
            move(w, ld, column, at->width[i], s->out[i]->grad, to, false, an_add(r, s, 0));
            continue;
        }
        for (size_t k = w.begin; k < w.begin + w.n && !an_add(r, s, 0); k++) memset(to + k * ld + column, 0, at->width[i] * sizeof *to);   /* nobody reads this part */
    }
}

static void forward_pack(const an_run *r, const an_step *s, const an_part *p)
{
    (void)r;
    const an_split_attr *at = s->attr;
    const size_t ld = total(at);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    for (size_t i = 0, column = 0; i < at->n; column += at->width[i++]) move(w, ld, column, at->width[i], s->in[i]->data, s->out[0]->data, false, false);
}

static void backward_pack(const an_run *r, const an_step *s, const an_part *p)
{
    const an_split_attr *at = s->attr;
    const size_t ld = total(at);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    for (size_t i = 0, column = 0; i < at->n; column += at->width[i++])
        if (an_has_grad(s, (int)i)) move(w, ld, column, at->width[i], s->out[0]->grad, s->in[i]->grad, true, an_add(r, s, (int)i));
}

static an_cost cost_split(const an_step *s) { return (an_cost){ 0, 2 * (double)s->in[0]->count * sizeof(an_real) }; }
static an_cost cost_pack(const an_step *s) { return (an_cost){ 0, 2 * (double)s->out[0]->count * sizeof(an_real) }; }

const an_op an_op_split = { .name = "split", .infer = infer_split, .parts = parts_split, .forward = forward_split, .backward = backward_split, .cost = cost_split };
const an_op an_op_pack = { .name = "pack", .infer = infer_pack, .parts = parts_pack, .forward = forward_pack, .backward = backward_pack, .cost = cost_pack };
