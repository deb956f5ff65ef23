/* cli/cmd_plan.c
 * addnorm plan: builds the model that train would build, without data and without a step, and prints its program. The
 * parameters and arenas are reserved, not touched: a plan of a model costs none of the memory it reports. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "net/model.h"
#include "train/images.h"
#include "train/memory.h"

an_status an_cmd_plan_options(an_cli *cli)
{
    (void)cli;
    return AN_OK;
}

static json_int_t integer(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }
static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }
static const char *string(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

static json_t *memory_json(const an_model *model, int threads)
{
    const an_model_memory m = an_model_get_memory(model);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "parameters", (json_int_t)m.params, "gradients", (json_int_t)m.grads, "optimizer", (json_int_t)m.optimizer, "activations", (json_int_t)m.activations,
                     "scratch", (json_int_t)m.scratch, "constants", (json_int_t)m.constants, "program", (json_int_t)an_memory_program(model, threads),
                     "peak", (json_int_t)an_memory_predict(model, 1, threads));
}

/* " name [2048,384]" for each value that is not an auxiliary row statistic. */
static void put_values(an_text *out, const json_t *list, size_t most)
{
    size_t shown = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i), *shape = json_object_get(v, "shape");
        if (json_is_true(json_object_get(v, "aux")) || shown == most) continue;
        an_text_add(out, "%s[", shown++ ? " " : "");
        for (size_t d = 0; d < json_array_size(shape); d++) an_text_add(out, "%s%lld", d ? "," : "", (long long)json_integer_value(json_array_get(shape, d)));
        an_text_add(out, "]");
    }
}

static void shapes_of(an_text *out, const json_t *step)
{
    put_values(out, json_object_get(step, "in"), 4);
    an_text_add(out, " -> ");
    put_values(out, json_object_get(step, "out"), 4);
}

/* The widest name and the widest "in -> out". */
static void measure_steps(const json_t *steps, int *name, int *shape)
{
    *name = 4;
    *shape = 9;
    for (size_t i = 0; i < json_array_size(steps); i++) {
        an_text shapes = { 0 };
        const json_t *s = json_array_get(steps, i);
        shapes_of(&shapes, s);
        if ((int)shapes.length > *shape) *shape = (int)shapes.length;
        if ((int)strlen(string(s, "name")) > *name) *name = (int)strlen(string(s, "name"));
        an_text_fini(&shapes);
    }
}

static void put_steps(an_text *out, const json_t *steps)
{
    int name, shape;
    measure_steps(steps, &name, &shape);
    an_text_add(out, "%4s  %-*s  %-12s  %-*s  %8s  %8s  %8s\n", "", name, "step", "op", shape, "in -> out", "flop", "moved", "saved");
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *s = json_array_get(steps, i);
        char flops[AN_HUMAN], bytes[AN_HUMAN], saved[AN_HUMAN];
        an_text shapes = { 0 };
        shapes_of(&shapes, s);
        an_text_add(out, "%4zu  %-*s  %-12s  %-*s  %8s  %8s  %8s%s\n", i, name, string(s, "name"), string(s, "op"), shape, an_text_get(&shapes), an_human_count(flops, number(s, "flops")),
                    an_human_bytes(bytes, number(s, "bytes")), integer(s, "saved_bytes") ? an_human_bytes(saved, (double)integer(s, "saved_bytes")) : "-", json_is_true(json_object_get(s, "shortcut")) ? "  shortcut" : "");
        if (shapes.failed) out->failed = 1;
        an_text_fini(&shapes);
    }
}

static void put_parameters(an_text *out, const an_model *model)
{
    size_t count;
    const an_param *p = an_model_get_params(model, &count);
    size_t decayed = 0;
    for (size_t i = 0; i < count; i++) decayed += p[i].rule.decay > 0 ? p[i].count : 0;
    an_text_add(out, "parameters   %zu in %zu tensors, %zu of them with weight decay\n", an_model_param_count(model), count, decayed);
}

static void put_recompute(an_text *out, const json_t *plan)
{
    char a[AN_HUMAN], b[AN_HUMAN];
    const json_t *how = json_object_get(plan, "recompute");
    const double again = number(plan, "recomputed_flops"), all = number(plan, "flops_forward") + number(plan, "flops_backward");
    const long long segment = integer(how, "segment"), group = integer(how, "group"), kept = integer(how, "kept");
    if (!segment) return;
    an_text_add(out, "recomputed   %s of activations are dropped and made again for %s more flops, %.1f %%; activations take %s less\n", an_human_bytes(a, (double)integer(plan, "recomputed_bytes")),
                an_human_count(b, again), 100 * again / (all - again), an_human_bytes((char[AN_HUMAN]){ 0 }, (double)integer(plan, "saved_activations")));
    an_text_add(out, "             segments of %lld %s", segment, segment == 1 ? "block" : "blocks");
    if (group < segment) an_text_add(out, ", run again for their borders, then %lld at a time", group);
    else an_text_add(out, ", each run again whole");
    an_text_add(out, kept ? "; the last %lld kept\n" : "\n", kept);
}

static void put_summary(an_text *out, const an_cli *cli, const an_model *model, const json_t *plan)
{
    char a[AN_HUMAN], b[AN_HUMAN], c[AN_HUMAN];
    const json_t *memory = json_object_get(plan, "memory");
    const char *unit = an_model_get_config(model)->image.side ? "image" : "token";
    const double tokens = (double)integer(plan, "tokens_per_pass"), forward = number(plan, "flops_forward"), backward = number(plan, "flops_backward");
    an_text_add(out, "\n");
    for (size_t i = 0; i < json_array_size(json_object_get(plan, "notes")); i++) an_text_add(out, "note         %s\n", json_string_value(json_array_get(json_object_get(plan, "notes"), i)));
    put_parameters(out, model);
    an_text_add(out, "shortcuts    %lld\n", (long long)integer(plan, "shortcuts"));
    an_text_add(out, "pass         %.0f %ss; %lld %s per update\n", tokens, unit, (long long)cli->config.grad_accum, cli->config.grad_accum == 1 ? "pass" : "passes");
    an_text_add(out, "flops        %s forward, %s backward per pass; %s per %s\n", an_human_count(a, forward), an_human_count(b, backward), an_human_count(c, (forward + backward) / tokens), unit);
    an_text_add(out, "moved        %s forward, %s backward per pass at least\n", an_human_bytes(a, number(plan, "bytes_forward")), an_human_bytes(b, number(plan, "bytes_backward")));
    put_recompute(out, plan);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)memory, key, value)
        if (strcmp(key, "peak") != 0) an_text_add(out, "%-12s %s\n", key, an_human_bytes(a, (double)json_integer_value(value)));
    const an_memory_room room = an_memory_available();
    an_text_add(out, "peak memory  %s (%lld bytes) of %s (%s)\n", an_human_bytes(a, (double)integer(memory, "peak")), (long long)integer(memory, "peak"), an_human_bytes(b, (double)room.bytes), room.limit);
}

static an_status print_plan(const an_cli *cli, const an_model *model, json_t *plan)
{
    an_text text = { 0 };
    if (cli->json) {
        char *s = json_dumps(plan, JSON_INDENT(1));
        if (!s) return an_fail(AN_ENOMEM, "plan: no memory to print it");
        an_text_add(&text, "%s\n", s);
        free(s);
    } else {
        if (!cli->quiet) put_steps(&text, json_object_get(plan, "steps"));
        put_summary(&text, cli, model, plan);
    }
    return an_cli_print(stdout, &text);
}

/* What activations would take with everything kept. */
static an_status without_recompute(const an_cli *cli, an_model_config config, const an_model_shape *shape, size_t *bytes)
{
    an_model *model = NULL;
    config.recompute = "none";
    const an_status status = an_model_create(&model, &config, cli->options, shape);
    if (status == AN_OK) *bytes = an_model_get_memory(model).activations;
    an_model_destroy(&model);
    return status;
}

an_status an_cmd_plan(an_cli *cli)
{
    an_model_config config;
    an_model *model = NULL;
    AN_TRY(an_images_settle(cli->options, &cli->config.data));
    AN_TRY(an_train_config_finish(&cli->config, cli->options));
    AN_TRY(an_model_config_read(&config, cli->options));
    const int threads = an_train_config_threads(&cli->config);
    const an_model_shape shape = { .batch = (size_t)cli->config.batch_size, .seq = config.seq_len, .train = true, .observe = an_train_config_observe(&cli->config), .threads = threads };
    size_t kept = 0;
    an_memory_budget(&config, threads);
    if (strcmp(config.recompute, "none") != 0) AN_TRY(without_recompute(cli, config, &shape, &kept));
    AN_TRY(an_model_create(&model, &config, cli->options, &shape));
    an_status status = an_model_set_threads(model, threads);
    json_t *plan = status == AN_OK ? an_model_describe(model) : NULL;
    const size_t now = an_model_get_memory(model).activations;
    int failed = json_object_set_new(plan, "memory", memory_json(model, threads)) != 0;
    failed |= json_object_set_new(plan, "saved_activations", json_integer((json_int_t)(kept > now ? kept - now : 0))) != 0;
    failed |= json_object_set_new(plan, "tokens_per_pass", json_integer((json_int_t)(shape.batch * an_model_config_targets(&config, shape.seq)))) != 0;
    failed |= json_object_set_new(plan, "grad_accum", json_integer(cli->config.grad_accum)) != 0;
    if (status == AN_OK && failed) status = an_fail(AN_ENOMEM, "plan: no memory to describe it");
    if (status == AN_OK) status = print_plan(cli, model, plan);
    json_decref(plan);
    an_model_destroy(&model);
    return status;
}
