/* cli/progress.c
 * Callbacks of a run. The live line is redrawn at most ten times a second and never wider than the terminal, so it can be
 * wiped by one escape sequence. */
#include "cli/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/clock.h"
#include "core/cpu.h"
#include "kern/gemm.h"
#include "kern/kern.h"
#include "net/design.h"

static const double REDRAW_SECONDS = 0.1;

void an_progress_init(an_progress *p, const an_options *options, bool quiet, bool verbose, const char *color)
{
    const bool terminal = isatty(STDERR_FILENO) != 0;
    *p = (an_progress){ .options = options, .quiet = quiet, .verbose = verbose, .live = terminal && !quiet, .color = an_cli_color(color, stderr), .width = an_cli_width(stderr) };
}

void an_progress_clear(an_progress *p)
{
    if (p->drawn) fputs("\r\033[K", stderr);
    p->drawn = false;
}

static void draw(an_progress *p, const char *line)
{
    fprintf(stderr, "\r%.*s\033[K", p->width - 1, line);
    fflush(stderr);
    p->drawn = true;
    p->last_draw = an_clock();
}

void an_progress_say(an_progress *p, const char *label, const char *format, ...)
{
    va_list args;
    if (p->quiet) return;
    an_progress_clear(p);
    fprintf(stderr, "%s%-12s%s", p->color ? "\033[2m" : "", label, p->color ? "\033[0m" : "");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void an_progress_warn(an_progress *p, const char *format, ...)
{
    va_list args;
    an_progress_clear(p);
    fputs("addnorm train: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* "pre-ln, x + F(N(x)); layernorm eps 1e-5 inside; init gpt2" and what is overridden. */
static void say_design(an_progress *p)
{
    static const char *const KEYS[] = { "design", "norm", "norm_eps", "norm_eps_place", "norm_variance", "init" };
    const an_options *o = p->options;
    const an_design *design = an_design_find(an_options_text(o, "design"));
    an_text line = { 0 };
    an_text_add(&line, "%s: %s", an_options_text(o, "design"), design ? design->formula : "?");
    for (size_t i = 1; i < sizeof KEYS / sizeof *KEYS; i++) {
        if (!an_options_find(o, KEYS[i]) || !an_options_in_use(o, KEYS[i])) continue;
        an_text_add(&line, ", %s %s%s", KEYS[i], an_options_text(o, KEYS[i]), an_options_has_overrides(o, KEYS[i]) ? " (and per site)" : "");
    }
    if (an_options_has_overrides(o, "design")) an_text_add(&line, "; design differs per site");
    an_progress_say(p, "design", "%s", an_text_get(&line));
    an_text_fini(&line);
}

static void on_start(void *ctx, const an_event_start *e)
{
    an_progress *p = ctx;
    char a[AN_HUMAN], b[AN_HUMAN], c[AN_HUMAN], shared[48] = "";
    const an_model_config *m = e->model;
    p->images = m->image.side > 0;
    if (p->quiet) return;
    if (m->n_kv_head < m->n_head) snprintf(shared, sizeof shared, " (%zu of keys and values)", m->n_kv_head);
    if (p->images) an_progress_say(p, "model", "%s, %zu layers in %zu units, width %zu, images of %zu x %zu with %zu channel%s, %zu classes: %s parameters", m->arch, 2 * m->n_layer + 2, m->n_layer, m->d_model, m->image.side,
        m->image.side, m->image.channels, m->image.channels == 1 ? "" : "s", m->image.classes, an_human_count(a, (double)e->params));
    else an_progress_say(p, "model", "%s, %zu layers, %zu heads%s, d_model %zu, d_ff %zu, seq_len %zu, vocab %zu, %s, %s positions: %s parameters", m->arch, m->n_layer, m->n_head, shared, m->d_model, m->d_ff, m->seq_len,
        m->vocab_size, m->activation, m->position, an_human_count(a, (double)e->params));
    say_design(p);
    for (size_t i = 0; i < e->n_notes; i++) an_progress_say(p, "note", "%s", e->notes[i]);
    if (p->images) an_progress_say(p, "data", "%llu images to train on, %llu to validate on; entropy of their classes %.4f nats", (unsigned long long)(e->train_bytes / m->seq_len), (unsigned long long)(e->val_bytes / m->seq_len), e->unigram_entropy);
    else an_progress_say(p, "data", "%s to train on, %s to validate on; unigram entropy %.4f nats", an_human_bytes(a, (double)e->train_bytes), an_human_bytes(b, (double)e->val_bytes), e->unigram_entropy);
    an_progress_say(p, "machine", "%s; %d thread%s (%s), kernels %s, products %s in %s", an_cpu()->name, e->threads, e->threads == 1 ? "" : "s", e->threads_backend, e->kernels, an_gemm_get()->name,
        m->store == AN_STORE_BF16 ? an_gemm_get_unit() : AN_REAL_NAME);
    if (an_kern_note()[0]) an_progress_say(p, "note", "%s", an_kern_note());
    if (an_gemm_note()[0]) an_progress_say(p, "note", "%s", an_gemm_note());
    an_progress_say(p, "memory", "%s of %s (%s); %s flop per step", an_human_bytes(a, (double)e->memory), an_human_bytes(b, (double)e->memory_room), e->memory_limit, an_human_count(c, e->flops_per_step));
    if (e->resumed_from) an_progress_say(p, "resumed", "%s, after step %llu of %llu", e->resumed_from, (unsigned long long)e->step, (unsigned long long)e->steps);
    an_progress_say(p, "run", "%s", e->run);
}

static void on_step(void *ctx, const an_event_step *e)
{
    an_progress *p = ctx;
    char rate[AN_HUMAN], left[AN_HUMAN], right[32] = "";
    if (p->quiet) return;
    const bool line = e->logged && (!p->live || p->verbose), redraw = p->live && an_clock() - p->last_draw >= REDRAW_SECONDS;
    if (!line && !redraw) return;
    if (p->images) snprintf(right, sizeof right, "  right %.1f%%", 100 * e->accuracy);
    an_text text = { 0 };
    an_text_add(&text, "step %llu/%llu %3.0f%%  loss %.4f%s  grad %.3f  lr %.2e  %s %s/s  left %s", (unsigned long long)e->step, (unsigned long long)e->steps,
                100.0 * (double)e->step / (double)e->steps, e->loss, right, e->grad_norm, e->lr, an_human_count(rate, e->tok_per_s), p->images ? "images" : "tok", an_human_time(left, e->eta_s));
    if (line) {
        an_progress_clear(p);
        fprintf(stderr, "%s\n", an_text_get(&text));
    } else draw(p, an_text_get(&text));
    an_text_fini(&text);
}

/* What stands beside a loss: of images the share that is right, of text its size in bits. */
static void put_beside(char *out, size_t size, const an_eval_result *r)
{
    if (isnan(r->accuracy)) snprintf(out, size, "%.4f bits per byte", r->bits_per_byte);
    else snprintf(out, size, "%.2f %% right", 100 * r->accuracy);
}

static void on_eval(void *ctx, const an_event_eval *e)
{
    an_progress *p = ctx;
    p->last_eval = e->val;
    p->evaluated = true;
    if (p->quiet) return;
    char beside[48];
    put_beside(beside, sizeof beside, &e->val);
    an_progress_clear(p);
    fprintf(stderr, "step %llu  %sval_loss %.4f%s  %s%s\n", (unsigned long long)e->step, p->color && e->best ? "\033[32m" : "", e->val.loss, p->color && e->best ? "\033[0m" : "",
            beside, e->best ? "" : "  (not the best)");
}

static void on_spike(void *ctx, const an_event_spike *e)
{
    an_progress *p = ctx;
    const an_spike_verdict *v = &e->verdict;
    if (p->quiet) return;
    if (v->kind == AN_SPIKE_START && !isfinite(v->value)) an_progress_say(p, "spike", "step %llu: %s is not finite", (unsigned long long)e->step, an_spike_name(v->quantity));
    else if (v->kind == AN_SPIKE_START) an_progress_say(p, "spike", "step %llu: %s %.4g, where %.4g is usual (z %.1f)", (unsigned long long)e->step, an_spike_name(v->quantity), v->value, v->mean, v->z);
    else if (v->kind == AN_SPIKE_RECOVERED) an_progress_say(p, "spike", "step %llu: %s is back after %llu steps, peak %.4g", (unsigned long long)e->step, an_spike_name(v->quantity), (unsigned long long)v->steps, v->peak);
    else an_progress_say(p, "spike", "step %llu: %s has stayed at a new level for %llu steps", (unsigned long long)e->step, an_spike_name(v->quantity), (unsigned long long)v->steps);
}

static void on_checkpoint(void *ctx, const an_event_checkpoint *e)
{
    an_progress *p = ctx;
    char took[AN_HUMAN];
    if (!p->quiet && p->verbose) an_progress_say(p, "checkpoint", "%s in %s", e->folder, an_human_time(took, e->seconds));
}

static void on_end(void *ctx, const an_event_end *e)
{
    an_progress *p = ctx;
    char took[AN_HUMAN];
    an_progress_clear(p);
    if (e->status != AN_OK) return;
    printf("steps            %llu in %s\n", (unsigned long long)e->step, an_human_time(took, e->seconds));
    if (p->evaluated) {
        char beside[48];
        put_beside(beside, sizeof beside, &p->last_eval);
        printf("val_loss         %.4f nats per %s, %s\n", p->last_eval.loss, p->images ? "image" : "token", beside);
        if (e->best_val_loss < p->last_eval.loss) printf("best val_loss    %.4f at step %llu\n", e->best_val_loss, (unsigned long long)e->best_val_step);
    }
    printf(p->images ? "class entropy    %.4f nats, what a model that does not look could reach\n" : "unigram entropy  %.4f nats, what a model blind to context could reach\n", e->unigram_entropy);
    printf("run              %s\n", e->run);
    fflush(stdout);
}

an_events an_progress_events(an_progress *p)
{
    return (an_events){ .ctx = p, .start = on_start, .step = on_step, .spike = on_spike, .eval = on_eval, .checkpoint = on_checkpoint, .end = on_end };
}

void an_progress_part(an_progress *p, const char *what, double done, double all)
{
    char line[128];
    if (!p->live || an_clock() - p->last_draw < REDRAW_SECONDS) return;
    snprintf(line, sizeof line, "%s %3.0f%%", what, all > 0 ? 100 * done / all : 100.0);
    draw(p, line);
}

void an_progress_note(an_progress *p, const char *what, const char *now)
{
    char line[128];
    if (!p->live) return;
    snprintf(line, sizeof line, "%s: %s", what, now);
    draw(p, line);
}
