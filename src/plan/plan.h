/* plan/plan.h
 * The static program of one model: values, steps, and the code (which step runs when, in which direction). Built once:
 *     emit (net) -> fuse -> choose precision -> expand recomputation -> decide gradients -> lay out memory -> freeze
 * and then run: forward walks up, backward walks down, nothing allocates and nothing can fail. */
#ifndef AN_PLAN_PLAN_H
#define AN_PLAN_PLAN_H

#include <jansson.h>

#include "core/arena.h"
#include "op/op.h"
#include "plan/rule.h"
#include "plan/telemetry.h"

/* How a tensor is drawn: consecutive groups of rows may have their own law (q, k, v in one matrix). */
typedef enum an_law { AN_LAW_CONST, AN_LAW_NORMAL, AN_LAW_UNIFORM } an_law;
typedef struct an_init { an_law law; double scale; size_t rows; } an_init;   /* value, standard deviation, or half width; rows 0: all the rest */
enum { AN_INIT_GROUPS = 3 };

/* Parameters, shared by all plans of a model. The first plan defines them; later plans must ask for the same. */
typedef struct an_param_def {
    const char *name;
    an_dims dims;
    size_t count, offset;        /* offset in elements in both arenas */
    an_init init[AN_INIT_GROUPS];
    const double *start;         /* [count], what it starts at where no law can say it; NULL: init */
    an_rule rule;
    an_value *value;             /* in the plan that is being emitted; NULL: not asked for yet */
    an_real *data, *grad;
    struct { void *data; float *scale; } low[AN_STORES];   /* copies by kind, row-major [dims]; data NULL: none; scale [rows], AN_STORE_INT8 only */
} an_param_def;

typedef struct an_params {
    an_arena arena;
    an_param_def *list;
    size_t n, capacity;
    size_t *slot, slots;         /* index by name: positions in the list, plus one; a power of two of them, at most half full */
    size_t trained;              /* number of trained scalars, without padding and buffers */
    an_block data, grad;
    struct an_copies *copies;    /* newest first (copies.c) */
    bool frozen;                 /* allocated; nothing may be added */
    bool stale;                  /* data was written by others than the optimizer, copies in bf16 not yet */
} an_params;

an_status an_params_size(an_params *params, size_t *reals) AN_MUST_USE;  /* gives each tensor its place; AN_ESHAPE where they overflow */
an_status an_params_freeze(an_params *params, bool train) AN_MUST_USE;   /* allocates once; may be called again to add gradients */
void an_params_fini(an_params *params);
an_param_def *an_params_find(an_params *params, const char *name);           /* NULL: none */
an_status an_params_index(an_params *params) AN_MUST_USE;                    /* enters the last of the list into the index */
void an_params_draw(an_params *params, uint64_t seed, int threads);           /* the same numbers for any number of threads */
/* Copies of matrices in another storage, beside the masters; they live as long as the parameters. A plan that sets `weights` makes those
 * it reads when it is bound; whoever changes masters refreshes: every copy of this kind, the same bits for any number of threads. */
void an_params_refresh(an_params *params, an_store kind, int threads);
void an_params_drop_copies(an_params *params);

/* What an_const remembers, as the attr of the value's producer, which is no step of the program. */
typedef struct an_const_fill { void (*fill)(an_real *out, const an_dims *dims, double arg); double arg; an_value *before; } an_const_fill;   /* before: the constant made before this one */

typedef struct an_instr { an_step *step; an_direction dir; } an_instr;

/* One sub-layer as the ledger sees it: the values between which identity path and branch run. A design records it while
 * emitting (net/design.h); steps of the branch carry its position in `branch`. */
enum { AN_SITE_STREAMS = 64 };   /* of a longer stream, a history, the newest are looked at */
typedef struct an_site_mark {
    const char *name;            /* "layers.3.attn" */
    int layer, begin, end;       /* emission numbers of its first step, and of the first one behind it */
    an_value *in[AN_SITE_STREAMS], *out[AN_SITE_STREAMS];   /* the stream before and after; behind the stream before, values beside it */
    size_t n_in, n_out;
    size_t n_side;               /* in[n_in + k]: read by this branch and no stream (an_stream.side) */
    an_value *fork;              /* where skip and branch part, when that is behind a norm of the stream; NULL: at the stream */
    bool history;                /* the newest value is the stream, the earlier ones are read again later */
    an_value *branch_in, *branch_out;   /* what F reads; what the branch adds to the stream */
    double (*profile)(double skip, double stream, double branch);   /* as in the design's package, with its parameter; NULL: none */
    an_value *profiled;
} an_site_mark;

enum { AN_NOTES = 8 };

/* What training makes again instead of keeping it (schedule.c); the zero value: nothing. */
typedef struct an_recompute {
    size_t segment;              /* what is made and read inside so many neighbouring blocks is dropped; 0: nothing is */
    size_t group;                /* of which so many are run again at a time; as many as `segment`: all at once */
    size_t kept;                 /* the last so many blocks keep all */
} an_recompute;

typedef struct an_region { int segment, group; } an_region;   /* numbers that differ where two blocks are not run again together; -1: kept */

typedef struct an_plan {
    an_arena arena;
    an_params *params;           /* borrowed */
    an_value **values;
    size_t n_values, cap_values;
    an_value *last_const;        /* the head of a list of all, see an_const_fill */
    an_step **steps;             /* forward order, after fusion */
    size_t n_steps, cap_steps;
    an_instr *code;
    size_t n_code, n_forward;    /* code[0, n_forward) is the forward pass */
    an_site_mark *sites;         /* in forward order */
    size_t n_sites, cap_sites;
    const char *note[AN_NOTES];  /* what the user of this program must know, told at start; static strings */
    size_t n_notes;
    bool train, fused;
    an_store store, stream;      /* set before freezing: what activations, and the residual stream, may be held as (precision.c) */
    an_recompute recompute;      /* set before freezing */
    size_t n_blocks;             /* that steps belong to */
    an_observe observe;          /* set before freezing: what passes of this plan can be asked to measure */
    struct an_ledger *ledger;    /* NULL when nothing */
    an_store weights;            /* set before freezing: matrices that steps with low_in read are read as copies of this kind */
    bool apart;                  /* set before freezing: passes may cut, and streams and their gradients are readable after them (plan/intervene.h) */
    struct an_joint *joints;     /* [n_sites], or NULL */
    const an_value *root;        /* the one value whose gradient is wanted, made by the last instruction; NULL: those of the parameters */
    const an_value *loss;
    int threads;
    an_block activations, constants, state, scratch, thread_scratch;
    an_real **thread_work;
    size_t thread_reals;
    size_t dropped;              /* activation reals that recomputation does not keep */
} an_plan;

/* --- building (build.c) -------------------------------------------------------------------------------------- */

typedef struct an_build {
    an_plan *plan;
    an_status status;            /* sticky: after the first failure every call is a no-op */
    char scope[192];             /* "layers.3.attn." */
    size_t marks[8], depth;      /* where each open scope began */
    int block;                   /* recomputation region of the steps being emitted, -1: none */
    int branch;                  /* sub-layer whose branch is being emitted (a position in plan->sites), -1: none */
    bool train;
} an_build;

void an_scope_push(an_build *b, const char *format, ...) AN_PRINTF(2, 3);   /* "layers.%zu" */
void an_scope_pop(an_build *b);

an_value *an_input(an_build *b, const char *name, size_t n);                /* int32 [n] */
/* A parameter; the same full name asked for again in one plan is the same value. */
an_value *an_param_make(an_build *b, const char *name, an_dims dims, const an_init *init, size_t groups, an_rule rule);
/* The same, starting at these numbers [count], which are copied. */
an_value *an_param_make_at(an_build *b, const char *name, an_dims dims, const double *start, an_rule rule);
/* A table computed once by fill(out, dims, arg); the same (fill, dims, arg) asked for again is the same value. */
an_value *an_const(an_build *b, const char *name, an_dims dims, void (*fill)(an_real *out, const an_dims *dims, double arg), double arg);
an_value *an_state(an_build *b, const char *name, an_dims dims);
/* Adds a step; returns its first output, NULL once building has failed. attr is copied. */
an_value *an_emit(an_build *b, const an_op *op, const char *name, an_value *const in[], int n_in, const void *attr, size_t attr_bytes);
#define AN_EMIT(b, op, name, attr, ...) an_emit((b), (op), (name), (an_value *const[]){ __VA_ARGS__ }, \
    (int)(sizeof((an_value *const[]){ __VA_ARGS__ }) / sizeof(an_value *)), (attr), sizeof *(attr))
#define AN_EMIT_BARE(b, op, name, ...) an_emit((b), (op), (name), (an_value *const[]){ __VA_ARGS__ }, \
    (int)(sizeof((an_value *const[]){ __VA_ARGS__ }) / sizeof(an_value *)), NULL, 0)   /* an op without settings */
an_site_mark *an_site_begin(an_build *b, const char *name, int layer);      /* a new mark, b->branch unchanged; NULL once building has failed */
void an_build_fail(an_build *b, an_status status);                          /* records a failure found by net */
void an_note(an_build *b, const char *text);                                /* a sentence for the user, once each; borrowed for the life of the plan */

an_status an_plan_create(an_plan **out, an_params *params, bool train) AN_MUST_USE;
void an_plan_destroy(an_plan **plan);
/* fuse, recompute, gradients, memory. Parameters must be complete; allocates nothing large yet. */
an_status an_plan_freeze(an_plan *plan, bool fuse) AN_MUST_USE;
/* Reserves the arenas and binds every value; parameters must be frozen. threads >= 1. */
an_status an_plan_bind(an_plan *plan, int threads) AN_MUST_USE;
an_status an_plan_set_threads(an_plan *plan, int threads) AN_MUST_USE;

/* --- the passes of freeze, each in its own file -------------------------------------------------------------- */
an_status an_plan_fuse(an_plan *plan) AN_MUST_USE;                          /* fuse.c */
void an_plan_narrow(an_plan *plan);                                         /* precision.c: what is held as bfloat16; before steps are copied, */
an_status an_plan_narrow_gradients(an_plan *plan) AN_MUST_USE;              /* and, once their buffers are known, which gradients */
an_region an_plan_region(const an_plan *plan, int block);                   /* schedule.c: where a block is made again */
an_status an_plan_schedule(an_plan *plan) AN_MUST_USE;                      /* schedule.c */
void an_plan_store(an_plan *plan);                                          /* copies.c: which values are read as copies */
an_status an_plan_copy(an_plan *plan) AN_MUST_USE;                          /* copies.c: makes those copies, binds them; not filled yet */
size_t an_plan_copy_bytes(const an_plan *plan);                             /* copies.c: their bytes, known once the plan is frozen */
an_status an_plan_gradients(an_plan *plan) AN_MUST_USE;                     /* gradients.c: wants_grad, acc, shared */
an_status an_plan_watch(an_plan *plan) AN_MUST_USE;                         /* ledger.c: what observed passes measure, and where */
void an_plan_open(an_plan *plan);                                           /* intervene.c: what stays readable, the root; before fuse.c */
an_status an_plan_join(an_plan *plan) AN_MUST_USE;                          /* intervene.c: where skip and branch meet */
an_status an_plan_layout(an_plan *plan) AN_MUST_USE;                        /* layout.c: offsets, sizes */
an_value *an_value_new(an_plan *plan, const char *name, an_dims dims, an_home home);
an_step *an_step_copy(an_plan *plan, const an_step *step);

/* --- running (run.c) ----------------------------------------------------------------------------------------- */
void an_plan_forward(const an_plan *plan, an_run *run);
void an_plan_backward(const an_plan *plan, an_run *run);
/* Instructions [begin, end) of the forward pass, unobserved: for who looks at, or sets, something in between. */
void an_plan_forward_part(const an_plan *plan, an_run *run, size_t begin, size_t end);
void an_plan_rest(const an_plan *plan, an_run *run, const an_value *from);   /* after a forward pass: once more all that follows the making of `from` */
/* Both passes once more, looking at each value as it is made; the first non-finite one, or NULL. *gradient tells which kind. */
const char *an_plan_find_nonfinite(const an_plan *plan, an_run *run, bool *gradient);

/* --- describing (describe.c) ---------------------------------------------------------------------------------- */
an_cost an_plan_cost(const an_plan *plan, an_direction dir);
double an_plan_again(const an_plan *plan);                                  /* flops of what recomputation runs again; part of the backward cost */
size_t an_plan_shortcuts(const an_plan *plan);
/* {"notes":[], "steps":[{"name","op","in","out","flops","bytes",...}], "shortcuts":, "memory":{...}, ...}; a new reference, NULL when out of memory. */
json_t *an_plan_describe(const an_plan *plan);

#endif
