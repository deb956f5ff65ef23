/* bench/memory_rounds.c
 * One side of bench/memory_peers.py: reads a line per pass from its input, answers with the seconds that pass took, so that the
 * other side can take turns with it.
 *   adamw            norm of all gradients, clipping and update of GPT-2's 124M parameters
 *   update           the update alone
 *   forward C        h = x + f, y = layer_norm(h), rows of C, 12.6M elements
 *   backward C       the gradients of x, f, gain and bias from those of y and h
 *   shared C         the same where x, f and h share one gradient, as in a residual model
 * Usage: memory_rounds THREADS
 * Build    cc -O2 -D_GNU_SOURCE -Isrc bench/memory_rounds.c build/libaddnorm.a -ldnnl -lopenblas -lyaml -ljansson -lgomp -lpthread -lm -o memory_rounds */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/threads.h"
#include "op/op.h"
#include "train/optimizer.h"

enum { LAYERS = 12, WIDTH = 768, VOCAB = 50257, POSITIONS = 1024, PER_LAYER = 12, COUNT = 4 + LAYERS * PER_LAYER, ELEMENTS = 16384 * 768, WIDEST = 8192, ARRAYS = 5, PARTS = 32 };

static an_param params[COUNT];
static an_optimizer *optimizer;
static an_real *array[ARRAYS], *gain, *bias, *mean, *rstd, *sums;
static size_t width;
static int threads;

static void need(an_status status)
{
    if (status == AN_OK) return;
    fprintf(stderr, "%s\n", an_error_text());
    exit(1);
}

static an_real *reals(size_t n, double first)
{
    an_block block = { 0 };   /* lives as long as the program */
    need(an_block_init(&block, n, "memory_rounds"));
    for (size_t i = 0; i < n; i++) block.data[i] = AN_R(first + (double)(i * 2654435761u >> 8 & 4095) / 4096 - 0.5);
    return block.data;
}

static void make_parameters(void)
{
    static const size_t layer[PER_LAYER] = { WIDTH, WIDTH, 3 * WIDTH * WIDTH, 3 * WIDTH, WIDTH * WIDTH, WIDTH, WIDTH, WIDTH, 4 * WIDTH * WIDTH, 4 * WIDTH, 4 * WIDTH * WIDTH, WIDTH };
    for (size_t i = 0; i < COUNT; i++) {
        const size_t n = i == 0 ? (size_t)VOCAB * WIDTH : i == 1 ? (size_t)POSITIONS * WIDTH : i < 4 ? WIDTH : layer[(i - 4) % PER_LAYER];
        params[i] = (an_param){ .name = "tensor", .rank = 1, .dim = { n }, .count = n, .data = reals(n, 0), .grad = reals(n, 0), .rule = { .lr = 1, .decay = 1, .eps = 1 } };
    }
    const an_optimizer_config config = { 0.9, 0.95, 1e-8, 0.1, 1.0, NULL };
    need(an_optimizer_create(&optimizer, params, COUNT, &config));
}

static void pass(void *ctx, size_t i, int thread)
{
    const char *what = ctx;
    const an_kernels *k = an_kern_get();
    const size_t rows = ELEMENTS / width, begin = rows * i / PARTS, n = rows * (i + 1) / PARTS - begin, o = begin * width;
    const an_norm_spec spec = { .eps = AN_R(1e-5), .center = 1, .stream = 1 };
    an_real *dg = sums + (size_t)thread * 2 * WIDEST;
    if (what[0] == 'f') k->add_norm_fwd(n, width, &spec, 1, array[0] + o, 1, array[1] + o, NULL, gain, bias, array[2] + o, array[3] + o, mean + begin, rstd + begin);
    else if (what[0] == 'b')
        k->add_norm_bwd(n, width, &spec, 1, 1, NULL, array[0] + o, array[1] + o, array[2] + o, gain, mean + begin, rstd + begin, array[3] + o, 0, array[4] + o, 0, dg, dg + WIDEST);
    else k->add_norm_bwd(n, width, &spec, 1, 1, NULL, array[0] + o, array[1] + o, array[2] + o, gain, mean + begin, rstd + begin, array[1] + o, 0, NULL, 0, dg, dg + WIDEST);
}

int main(int argc, char **argv)
{
    char line[64], what[16];
    uint64_t step = 0;
    threads = argc > 1 ? atoi(argv[1]) : 1;
    make_parameters();
    for (int i = 0; i < ARRAYS; i++) array[i] = reals(ELEMENTS, 0);
    gain = reals(WIDEST, 1);
    bias = reals(WIDEST, 0);
    mean = reals(ELEMENTS / 128, 0);
    rstd = reals(ELEMENTS / 128, 1);
    sums = reals((size_t)threads * 2 * WIDEST, 0);
    while (fgets(line, sizeof line, stdin) && sscanf(line, "%15s %zu", what, &width) >= 1) {
        double norm = 1;
        const double began = an_clock();
        if (what[0] == 'a') norm = an_optimizer_grad_norm(optimizer, threads);
        if (what[0] == 'a' || what[0] == 'u') an_optimizer_apply(optimizer, 1e-4, ++step, norm, threads);
        else an_parallel_for(threads, PARTS, pass, what);
        printf("%.9f\n", an_clock() - began);
        fflush(stdout);
    }
    return 0;
}
