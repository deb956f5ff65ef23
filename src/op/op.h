/* op/op.h
 * The vocabulary of a static program: values, steps, and the op that a step points at. There is no op enum: a step holds
 * a pointer to its op, a plan prints op->name. An op is one file with forward and backward side by side; everything that
 * can be wrong is checked in `infer`, while building, so forward and backward return void and cannot fail.
 *
 * Ops see no threads. An op says, per phase, into how many independent parts its work falls (a function of shapes alone,
 * so the same bits come out for any thread count) and computes one part when called; phases run one after the other. */
#ifndef AN_OP_OP_H
#define AN_OP_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/cpu.h"
#include "core/real.h"
#include "core/rng.h"
#include "core/status.h"
#include "kern/gemm.h"
#include "kern/kern.h"

enum { AN_DIMS_MAX = 4, AN_ROOM_IN = 6, AN_MAX_OUT = 4 };   /* every step has room for AN_ROOM_IN inputs, which fusion may fill; some ops take any number */

typedef struct an_dims { size_t rank, d[AN_DIMS_MAX]; } an_dims;
#define AN_VEC(n)    ((an_dims){ 1, { (n) } })
#define AN_MAT(n, m) ((an_dims){ 2, { (n), (m) } })

/* Where a value lives. Parameters and constants outlive a pass; activations share one planned arena; inputs are the
 * caller's integer arrays; state (the key/value cache) survives from pass to pass until reset. */
typedef enum an_home { AN_HOME_PARAM, AN_HOME_CONST, AN_HOME_ACT, AN_HOME_INPUT, AN_HOME_STATE } an_home;

typedef struct an_value {
    const char *name;
    an_dims dims;
    size_t count;                /* product of dims */
    an_home home;
    bool aux;                    /* row statistics and the like: saved for backward, never has a gradient */
    bool keep, keep_grad;        /* readable after the pass (loss, logits); its gradient too */
    bool stream;                 /* on the residual stream, or a sum along it: its gradient is held as reals (plan/precision.c) */
    bool wants_grad;             /* set by the planner: this value's gradient is needed */
    an_store store, grad_store;  /* set by the planner (plan/precision.c): how data and gradient lie in memory */
    int id;                      /* position in the plan's value list */
    int origin;                  /* id of the value that this one is made again of; else its own */
    int n_use;                   /* number of steps that read it */
    struct an_step *producer;    /* NULL for parameters, inputs, constants */
    size_t data_offset, grad_offset;   /* in elements of its home's arena (gradients: activations); AN_NO_OFFSET: none */
    an_real *data, *grad;        /* bound when the arenas are; grad NULL when not wanted. Of bfloat16: its first two numbers */
    const void *low;             /* AN_HOME_PARAM whose store is not AN_STORE_REAL: the copy that steps with low_in read, row-major; data stays the master (plan/copies.c) */
    const float *low_scale;      /* [rows] of an AN_STORE_INT8 copy */
    const int32_t *tokens;       /* AN_HOME_INPUT only, set per pass; NULL when the pass has none */
} an_value;

typedef struct an_step {
    const struct an_op *op;
    const char *name;            /* "layers.0.attn.qkv" */
    const void *attr;            /* the op's own settings, owned by the plan */
    an_value **in, *out[AN_MAX_OUT];             /* an absent optional input is NULL */
    int n_in, n_out;
    bool *acc;                   /* planner: the gradient of in[i] already has a writer, so ADD; else SET */
    bool *shared;                /* planner: the gradient of in[i] is the same buffer as that of out[op->grad_out] */
    int id;                      /* emission number: keys this step's randomness, the same with fusion on or off */
    int block;                   /* recomputation region, -1: none */
    int branch;                  /* sub-layer whose branch this step belongs to (an_build.branch), -1: it stands on the stream */
    int own_branch;              /* the same for what own_grad makes, once fusion has joined two steps into this one; else -1 */
    bool low;                    /* planner: one of the values it touches is stored as bfloat16 */
    bool mixed;                  /* planner: its products may round their operands to bfloat16 */
    bool replay;                 /* a second forward run of a step whose values were dropped */
    an_real *work;               /* the op's scratch while it runs (op->work reals) */
} an_step;

/* What one pass gives every op. */
typedef struct an_run {
    const an_kernels *k;
    const an_gemm_backend *gemm;
    uint64_t seed, step, micro;  /* keys of randomness */
    bool train;                  /* dropout on; statistics of the batch where an op has any, else the running ones */
    bool frozen;                 /* a pass that only looks: running statistics are not moved */
    bool accumulate;             /* parameter gradients: ADD even where the plan says SET */
    bool observe;                /* take telemetry (plan/ledger.h); needs a plan made for it */
    bool late;                   /* ops with `late` do their forward work inside backward (see an_op) */
    const unsigned char *cut;    /* what each sub-layer leaves out (plan/intervene.h); needs a plan made for it; NULL: nothing */
    double loss_scale;           /* gradient of the mean loss is multiplied by this */
    size_t n_target;             /* number of targets >= 0 in this pass */
    const int32_t *place;        /* decoding: the position of each row's token, -1: its sequence rests in this pass; NULL: not decoding */
    an_real *const *thread_work; /* one scratch per thread, op->thread_work reals */
    bool far_grads;              /* hints: gradients of parameters leave the caches before the optimizer reads them, */
    bool far_saved;              /* and what forward saves before backward does: their old places are not in the caches either */
    struct an_meter *meter;      /* where time goes is written down here (plan/meter.h); NULL: nothing is */
} an_run;

typedef enum an_direction { AN_FORWARD, AN_BACKWARD } an_direction;
typedef struct an_part { int phase; size_t index, count; int thread; } an_part;
typedef struct an_cost { double flops, bytes; } an_cost;   /* of the forward pass; bytes must move at least */

struct an_build;

/* What a step can tell beyond its values: named numbers, measured right after its forward run on observed passes only.
 * measure adds up one part into m (zeroed) and returns the weight of what it saw; parts are folded in order: the sum over
 * the weights (mean), the largest, the smallest. */
typedef enum an_fold { AN_FOLD_MEAN, AN_FOLD_MAX, AN_FOLD_MIN } an_fold;
enum { AN_GAUGES = 7 };
typedef struct an_gauges {
    const char *family;          /* "norm", "attention", "output" */
    size_t n;
    const char *name[AN_GAUGES];
    an_fold fold[AN_GAUGES];
    size_t (*parts)(const an_step *s);
    double (*measure)(const an_run *r, const an_step *s, size_t part, double *m);
} an_gauges;

#define AN_NO_OFFSET ((size_t)-1)
#define AN_SKIP_PHASE ((size_t)-1)   /* parts(): this phase is empty, but more follow */

typedef struct an_op {
    const char *name;
    an_status (*infer)(struct an_build *b, an_step *s);   /* checks inputs, makes outputs (an_out) */
    /* number of independent parts of this phase; 0 where there is no such phase (phases are asked from 0 up) */
    size_t (*parts)(const an_step *s, an_direction dir, int phase);
    void (*forward)(const an_run *r, const an_step *s, const an_part *p);
    void (*backward)(const an_run *r, const an_step *s, const an_part *p);   /* NULL: cannot be trained through */
    an_cost (*cost)(const an_step *s);
    double backward_flops;                                /* backward flops as a multiple of forward flops */
    /* what this part works at, where parts of one pass work at different things ("input grad"), for who measures; each name has the same
     * share of the pass's flops, "" (all that is no product) none; NULL: all parts are alike */
    const char *(*part_name)(const an_step *s, an_direction dir, const an_part *p);
    size_t (*work)(const an_step *s, an_direction dir);   /* reals of step scratch; NULL: none */
    size_t (*thread_work)(const an_step *s);              /* reals of scratch per thread; NULL: none */
    uint32_t saves_in, saves_out;                         /* bit i: backward reads the value of in[i] / out[i]; bit 31 speaks for all later ones too (an_bit) */
    uint32_t no_grad_in;                                  /* bit i: in[i] never gets a gradient (tokens, tables) */
    uint32_t low_in, low_out;                             /* bit i: in[i] / out[i] (data and gradient) may be stored as bfloat16; read and written through an_view_...; of a parameter: its copy is read */
    bool real_grad_out;                                   /* the gradient of out[0] is reals all the same */
    uint32_t sets_only;                                   /* bit i: backward can SET but not ADD the gradient of in[i] */
    /* bit i (0 or 1): the gradient of in[i] equals the gradient of out[grad_out], so the two may share a buffer; NULL: none */
    uint32_t (*same_grad)(const an_step *s);
    int grad_out;
    /* where backward itself adds to the gradient of out[grad_out] before it hands it down: that addition, for one row (out: room for three); NULL: none */
    void (*own_grad)(const an_run *r, const an_step *s, size_t row, an_real *out);
    const an_gauges *gauges;     /* NULL: none */
    uint32_t terms;                                       /* bit i: outputs are sums in which in[i] (times a factor) is a term: zeros there leave it out */
    bool in_place;               /* out[0] overwrites in[0], and backward turns the gradient of out[0] into in[0]'s in place */
    bool clobbers;               /* backward overwrites the gradient of out[0] (it is the last to read it) */
    bool late;                   /* while training, forward does nothing and backward computes result and gradients at once */
    bool identity;               /* has an identity path (a shortcut) when attr says so: see shortcut */
    bool (*shortcut)(const an_step *s);
} an_op;

/* --- for infer, implemented by plan/build.c ------------------------------------------------------------------- */

/* Makes output `index` of s, named step name + suffix. aux: never differentiated. Sets s->out. */
an_status an_out(struct an_build *b, an_step *s, int index, const char *suffix, an_dims dims, bool aux) AN_MUST_USE;
/* Input i must be present and have these dims; otherwise AN_ESHAPE naming step, input, both shapes. */
an_status an_need(const an_step *s, int i, an_dims dims) AN_MUST_USE;
an_status an_need_rank(const an_step *s, int i, size_t rank) AN_MUST_USE;

/* --- for forward and backward -------------------------------------------------------------------------------- */

static inline size_t an_rows(const an_value *v) { return v->dims.rank > 1 ? v->count / v->dims.d[v->dims.rank - 1] : 1; }
static inline size_t an_cols(const an_value *v) { return v->dims.d[v->dims.rank - 1]; }
/* Bit i of one of an op's masks; the last bit speaks for every input from there on. */
static inline bool an_bit(uint32_t mask, int i) { return mask >> (i < 31 ? i : 31) & 1u; }

static inline bool an_has_grad(const an_step *s, int i) { return s->in[i] && s->in[i]->grad && !s->shared[i]; }
static inline bool an_add(const an_run *r, const an_step *s, int i)
{
    return s->acc[i] || (r->accumulate && s->in[i]->home == AN_HOME_PARAM);
}

/* Where row i stands in its sequence of seq tokens, and whether a decoding pass leaves it out. */
static inline size_t an_place(const an_run *r, size_t i, size_t seq) { return r->place ? (size_t)r->place[i] : i % seq; }
static inline bool an_rests(const an_run *r, size_t i) { return r->place && r->place[i] < 0; }

/* Rows in fixed chunks: at most 32 parts of at least 16 rows, a function of n alone. */
typedef struct an_range { size_t begin, n; } an_range;
static inline size_t an_chunk_rows(size_t n) { const size_t c = (n + 31) / 32; return c < 16 ? 16 : c; }
static inline size_t an_chunks(size_t n) { return (n + an_chunk_rows(n) - 1) / an_chunk_rows(n); }
static inline an_range an_chunk(size_t n, size_t index)
{
    const size_t c = an_chunk_rows(n), begin = index * c;
    return (an_range){ begin, n - begin < c ? n - begin : c };
}

/* A tensor of so many reals leaves the last-level cache before its reader comes: store it past the caches (an_norm_spec).
 * false where that cache's size is unknown. */
static inline bool an_past_cache(size_t count) { return an_cpu()->kept > 0 && count * sizeof(an_real) > an_cpu()->kept; }

/* Values that may be stored as bfloat16 are seen in stretches of at most AN_VIEW reals (at least one row): where they lie when they are
 * reals, widened into, and rounded from, a room of the thread's otherwise. */
enum { AN_VIEW = 2048 };
typedef struct an_cells { an_real *p; an_store store; } an_cells;
static inline an_cells an_data_of(const an_value *v) { return (an_cells){ v->data, v->store }; }
static inline an_cells an_grad_of(const an_value *v) { return (an_cells){ v->grad, v->grad_store }; }
static inline size_t an_view_count(size_t c, size_t views) { return views * (c > AN_VIEW ? c : AN_VIEW); }      /* reals of thread_work */
static inline an_real *an_view_room(const an_run *r, const an_part *p, size_t c, size_t i)
{
    an_real *work = r->thread_work ? r->thread_work[p->thread] : NULL;
    return work ? work + an_view_count(c, i) : NULL;
}
static inline void *an_cell(an_cells x, size_t at) { return x.store == AN_STORE_REAL ? (void *)(x.p + at) : (void *)((an_bf16 *)(void *)x.p + at); }
/* How many of `left` rows of c to do at once. */
static inline size_t an_view_rows(const an_step *s, size_t c, size_t left)
{
    const size_t most = c >= AN_VIEW ? 1 : AN_VIEW / (c ? c : 1);
    return s->low && left > most ? most : left;
}
static inline an_real *an_view_to(an_cells x, size_t at, an_real *room) { return x.store == AN_STORE_REAL ? x.p + at : room; }
static inline const an_real *an_view_of(const an_run *r, an_cells x, size_t at, size_t n, an_real *room)
{
    if (x.store == AN_STORE_REAL) return x.p + at;
    r->k->widen(n, (const an_bf16 *)(const void *)x.p + at, room);
    return room;
}
static inline void an_view_done(const an_run *r, an_cells x, size_t at, size_t n, const an_real *room)
{
    if (x.store != AN_STORE_REAL) r->k->narrow(n, room, (an_bf16 *)(void *)x.p + at);
}
static inline an_real an_number(const an_value *v, size_t i) { return v->store == AN_STORE_REAL ? v->data[i] : an_bf16_widen(((const an_bf16 *)(const void *)v->data)[i]); }
/* Room in an arena, in reals. */
static inline size_t an_store_reals(an_store store, size_t count) { return store == AN_STORE_REAL ? count : (count + sizeof(an_real) / sizeof(an_bf16) - 1) / (sizeof(an_real) / sizeof(an_bf16)); }

/* Gains and biases: the partial sums [2, C] of one chunk of rows (zeroed; NULL when neither is trained), and their
 * sum over chunks in chunk order into the gradients of in[gain] and in[bias]; -1: there is none. */
an_real *an_affine_sums(const an_step *s, bool wanted, size_t chunk, size_t c);
void an_reduce_affine(const an_run *r, const an_step *s, int gain, int bias, size_t chunks, size_t c);

/* Other sums over rows, in double: `width` of them per chunk at the front of the step's work (an_sums_room reals); the sum of
 * one column in chunk order; and that sum, SET or ADDED as the plan says, as element j of a gradient, if that is wanted. */
static inline size_t an_sums_room(size_t width, size_t chunks) { return chunks * width * (sizeof(double) / sizeof(an_real)); }
double *an_sums(const an_step *s, size_t width, size_t chunk);
double an_total(const an_step *s, size_t width, size_t chunks, size_t column);
void an_put_grad(const an_run *r, const an_step *s, int in, size_t j, double sum);

double an_inner(const an_run *r, size_t n, const an_real *a, const an_real *b);   /* <a, b> */

/* Which rows of in[0] count in statistics over the batch: those of a token >= 0. in[tokens] may be absent (all count); several rows may
 * belong to one token. Defined in batch_norm.c. */
an_status an_need_batch(const an_step *s, int tokens) AN_MUST_USE;   /* in infer: in[0] is [N,C] of something, N a multiple of the tokens */
bool an_row_counts(const an_step *s, int tokens, size_t row);
size_t an_counted_rows(const an_step *s, int tokens);

/* In infer: in[i] is [N,C] of whole maps of side x side pixels. Defined in conv.c. */
an_status an_need_maps(const an_step *s, int i, size_t side) AN_MUST_USE;

/* Padding is as if it were not there: a token's position is the number of tokens >= 0 before it in its sequence. How many of
 * tokens [from, to) are; and how many rows from i on, before `end`, are all tokens or all padding. */
static inline size_t an_count_tokens(const int32_t *tokens, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++) n += tokens[i] >= 0;
    return n;
}
static inline size_t an_run_of(const int32_t *tokens, size_t i, size_t end)
{
    size_t n = 1;
    while (i + n < end && (tokens[i + n] < 0) == (tokens[i] < 0)) n++;
    return n;
}

/* Loss: the mean of the row losses over counted targets, and the gradient of one row's loss. Defined in xent.c. */
an_real an_mean_loss(const an_run *r, size_t n, const an_real *row_loss);
an_real an_loss_grad(const an_run *r);
an_real an_z_loss(const an_step *s);                     /* its weight, of xent and head_xent */

/* The ops of this folder; norms that need their own op keep it in their own file. */
extern const an_op an_op_embed, an_op_linear, an_op_linear_act, an_op_linear_few, an_op_norm, an_op_add_norm, an_op_residual, an_op_activation,
    an_op_swiglu, an_op_gain, an_op_length_norm, an_op_batch_norm, an_op_squash, an_op_split, an_op_pack, an_op_dropout, an_op_rope,
    an_op_attention, an_op_attention_cached, an_op_xent, an_op_head_xent, an_op_stream_spread, an_op_stream_gather, an_op_stream_mix, an_op_stream_gain, an_op_hyper, an_op_sinkhorn, an_op_blend, an_op_depth,
    an_op_conv, an_op_pixels, an_op_shrink, an_op_pool;

extern const an_gauges an_gauges_norm, an_gauges_add_norm, an_gauges_batch_norm, an_gauges_attention, an_gauges_xent, an_gauges_head_xent;   /* gauges.c */
size_t an_gauge_chunks(const an_step *s);                /* parts: the chunks of rows of in[0] */
size_t an_gauge_once(const an_step *s);                  /* parts: one */
double an_gauge_rms(const an_value *v);                  /* root mean square of a parameter; 1 where it is absent */

/* Settings of those ops. */
typedef struct an_xent_attr { double z_loss; } an_xent_attr;                                    /* of xent and head_xent: weight of logsumexp^2 */
typedef struct an_embed_attr { double scale; size_t seq; } an_embed_attr;   /* rows are batch x seq; in[2]: position table or NULL */
typedef struct an_norm_attr { an_norm_spec spec; } an_norm_attr;
typedef struct an_length_norm_attr { double factor, eps; size_t width; } an_length_norm_attr;  /* in[1]: gain [1] or NULL; width: of what has its own length, 0: rows */
typedef struct an_squash_attr { bool erf; } an_squash_attr;                                    /* in[1]: scale [1]; in[2]: shift [1] or absent; tanh otherwise */
typedef struct an_batch_norm_attr { double eps, momentum, mean_penalty, var_penalty; } an_batch_norm_attr;   /* inputs: op/batch_norm.c */
typedef struct an_toss { double p; int id; } an_toss;                                          /* dropout that fusion joined to its reader; p 0: none; id: of the step whose coins these are */
typedef struct an_residual_attr { double a, b; an_toss drop; } an_residual_attr;               /* drop: of in[1] */
typedef struct an_add_norm_attr { an_norm_spec spec; double a, b; an_toss drop; } an_add_norm_attr;
typedef struct an_gain_attr { double factor, offset; bool magnitude; } an_gain_attr;           /* in[1]: gains [K] or NULL; in[2]: bias [C] or absent */
typedef struct an_split_attr { size_t n, width[AN_MAX_OUT], cut[AN_MAX_OUT]; } an_split_attr;  /* columns of each part, and of each of its rows */
typedef struct an_streams_attr { size_t n, width; bool wide; } an_streams_attr;                /* n streams of `width` channels; spread: into [N, n C] instead of [N n, C] */
typedef struct an_hyper_attr { size_t rows; bool bounded; } an_hyper_attr;                     /* tokens; tanh, or nothing */
typedef struct an_sinkhorn_attr { size_t n, iterations; double eps; } an_sinkhorn_attr;
typedef struct an_depth_attr { double eps; } an_depth_attr;
typedef struct an_act_kind {                                                                  /* one row per pointwise activation */
    const char *name, *formula;
    void (*fwd)(const an_kernels *k, size_t n, size_t c, const an_real *bias, an_real *z, an_real *y);
    void (*bwd)(const an_kernels *k, size_t n, const an_real *z, const an_real *dy, an_real *dz, int add);
    double flops;                                                                             /* per element, forward */
} an_act_kind;
typedef struct an_act_attr { const an_act_kind *kind; } an_act_attr;
typedef struct an_swiglu_attr { bool gate_last; } an_swiglu_attr;                              /* which half of a row goes through silu: the first, or the second */
typedef struct an_map_attr { size_t side, stride, channels; } an_map_attr;                    /* of square feature maps: the side of those read; what is not needed is 0 */
typedef struct an_dropout_attr { double p; } an_dropout_attr;
typedef struct an_rope_attr { size_t seq, heads, width; } an_rope_attr;                        /* heads rotated from the front of each row */
typedef struct an_attention_attr { size_t batch, seq, heads, kv_heads, width, cache; double scale, dropout; bool causal; } an_attention_attr;   /* heads / kv_heads query heads share keys and values */
static inline size_t an_qkv_width(const an_attention_attr *at) { return (at->heads + 2 * at->kv_heads) * at->width; }   /* a row of q | k | v */
an_status an_need_heads(const an_step *s) AN_MUST_USE;   /* in infer of attention: in[0] is [N, such rows], kv_heads divide heads */

const an_act_kind *an_act_find(const char *name);        /* NULL: unknown */
const an_act_kind *an_act_at(size_t i);                  /* NULL past the end */

/* The key of a step's randomness: seed, the step's emission number and micro-batch, and the training step. */
static inline an_rng_key an_id_key(const an_run *r, int id) { return an_rng_key_make(r->seed, r->micro << 32 | (0x5000u + (uint32_t)id), r->step); }
static inline an_rng_key an_step_key(const an_run *r, const an_step *s) { return an_id_key(r, s->id); }

/* Joined dropout of an operand from element `base` on, as kernels take it; NULL: none in this pass. Defined in dropout.c. */
const an_drop *an_tossed(const an_run *r, const an_toss *toss, size_t base, an_drop *drop);
/* The operand as the sum takes it, where an observed pass looks for it afterwards: then, and only then, dropout is done in place. */
const an_drop *an_tossed_seen(const an_run *r, const an_toss *toss, size_t base, size_t n, an_real *f, an_drop *drop);

#endif
