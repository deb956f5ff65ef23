/* train/config.c
 * One row per key. A row is the parser, the help line, the docs line and the check of its range; only what needs two
 * keys at once is written below as code. Names of the neighbours: nanoGPT train.py, Hugging Face TrainingArguments, Marian. */
#include "train/config.h"

#include <string.h>

#include "core/threads.h"
#include "net/arch.h"

static const char *schedule_name(size_t i)
{
    static const char *const NAMES[] = {
#define NAME(function, name, meaning) name,
        AN_SCHEDULE_LIST(NAME)
#undef NAME
    };
    return i < sizeof NAMES / sizeof *NAMES ? NAMES[i] : NULL;
}

#define AT(field) .at = AN_AT(an_train_config, field)

static const an_option TABLE[] = {
    { "data", AN_PATHS, "", NULL, "text file to train on; several are read as one stream in the given order. Of arch resnet: IDX files of images and of labels; none: built-in images", .group = "data", AT(data), .aliases = "train_file train_files train-sets" },
    { "val_data", AN_PATHS, "", NULL, "text file, or IDX files, to validate on; none: the end of data", .group = "data", AT(val_data), .aliases = "validation_file valid-sets" },
    { "val_fraction", AN_FLOAT, "0.1", "(0,0.9]", "share of the bytes, or images, of data, at its end, kept for validation; unused with val_data", .group = "data", AT(val_fraction) },
    { "shapes", AN_INT, "5000", "10..1000000000", "built-in images, training and validation together, where arch resnet has no data", .group = "data", AT(shapes) },
    { "tokenizer", AN_CHOICE, "byte", "byte", "how text becomes tokens; byte: 256 tokens, one per byte", .group = "data", AT(tokenizer) },

    { "steps", AN_INT, "1000", "1..", "updates of the parameters", .group = "training", AT(steps), .aliases = "max_iters max_steps" },
    { "batch_size", AN_INT, "12", "1..1048576", "sequences per pass", .group = "training", AT(batch_size), .aliases = "per_device_train_batch_size mini_batch b" },
    { "grad_accum", AN_INT, "1", "1..1048576", "passes whose gradients are averaged into one update", .group = "training", AT(grad_accum), .aliases = "gradient_accumulation_steps optimizer_delay" },
    { "optimizer", AN_CHOICE, "adamw", "adamw", "rule of the update", .group = "training", AT(optimizer) },
    { "lr", AN_FLOAT, "1e-3", ">0", "peak learning rate", .group = "training", AT(lr), .aliases = "learning_rate learn_rate" },
    { "lr_scale", AN_STRING, "", NULL, "groups with a rate of their own, PATTERN=FACTOR by tensor name, the last match counts: \"embed.*=0.5 *.gain=2\"", .group = "training", AT(lr_scale) },
    { "min_lr", AN_FLOAT, "auto", ">=0", "learning rate at the end of the decay; auto: lr / 10", .group = "training", .words = "auto=-1", .needs = "schedule!=constant", AT(min_lr) },
    { "schedule", AN_CHOICE, "cosine", NULL, "learning rate after warm-up", .group = "training", .choices = schedule_name, AT(schedule), .aliases = "lr_scheduler_type" },
    { "warmup", AN_INT, "auto", "0..", "steps of linear warm-up, lr (t+1)/(warmup+1); auto: steps / 20, at most 2000", .group = "training", .words = "auto=-1", AT(warmup), .aliases = "warmup_iters warmup_steps lr_warmup" },
    { "decay_steps", AN_INT, "auto", "1..", "step at which the schedule reaches min_lr; auto: steps", .group = "training", .words = "auto=0", .needs = "schedule=cosine|linear", AT(decay_steps), .aliases = "lr_decay_iters" },
    { "beta1", AN_FLOAT, "0.9", "[0,1)", "decay of the gradient's running mean", .group = "training", AT(beta1), .aliases = "adam_beta1" },
    { "beta2", AN_FLOAT, "0.99", "[0,1)", "decay of the squared gradient's running mean", .group = "training", AT(beta2), .aliases = "adam_beta2" },
    { "adam_eps", AN_FLOAT, "1e-8", ">0", "added to the root of the squared gradient's mean, in units of the gradient", .group = "training", AT(adam_eps), .aliases = "adam_epsilon" },
    { "weight_decay", AN_FLOAT, "0.1", ">=0", "decoupled decay of matrices and tables, per unit of learning rate", .group = "training", AT(weight_decay) },
    { "grad_clip", AN_FLOAT, "1", ">=0", "largest global gradient norm; 0: no clipping", .group = "training", AT(grad_clip), .aliases = "max_grad_norm clip_norm" },
    { "seed", AN_INT, "1337", "0..", "number that all randomness of the run follows from", .group = "training", AT(seed) },

    { "threads", AN_INT, "0", "0..4096", "processor threads; 0: all that this process may use; the result does not depend on it", .group = "running", AT(threads), .aliases = "cpu_threads" },
    { "out", AN_STRING, "auto", NULL, "run folder to write; auto: runs/DATE-TIME", .group = "running", AT(out), .aliases = "out_dir output_dir o", .flags = AN_NAMES_FOLDER },
    { "resume", AN_STRING, "", NULL, "go on from this run or checkpoint folder; auto: from out if it holds a checkpoint", .group = "running", AT(resume), .aliases = "resume_from_checkpoint", .flags = AN_EPHEMERAL | AN_NAMES_FOLDER },
    { "log_every", AN_INT, "10", "1..", "steps between lines of the log", .group = "running", AT(log_every), .aliases = "log_interval logging_steps disp_freq" },
    { "telemetry", AN_CHOICE, "basic", "off|basic|full", "what is measured while training (docs/telemetry.md); full adds ranks, cosines and histograms of the stream", .group = "running", AT(telemetry) },
    { "telemetry_every", AN_INT, "auto", "1..", "steps between observed steps; auto: log_every", .group = "running", .words = "auto=0", .needs = "telemetry!=off", AT(telemetry_every) },
    { "eval_every", AN_INT, "250", "0..", "steps between evaluations on the validation data; 0: only at the end", .group = "running", AT(eval_every), .aliases = "eval_interval eval_steps valid_freq" },
    { "eval_batches", AN_INT, "20", "1..", "batches per evaluation, spread evenly over the validation data", .group = "running", AT(eval_batches), .aliases = "eval_iters" },
    { "save_every", AN_INT, "250", "0..", "steps between checkpoints; 0: only at the end", .group = "running", AT(save_every), .aliases = "save_steps save_freq" },
    { "keep_checkpoints", AN_INT, "2", "0..", "newest checkpoints to keep; 0: all", .group = "running", AT(keep_checkpoints), .aliases = "save_total_limit" },
    { "sample_every", AN_INT, "0", "0..", "steps between short samples in the log; 0: none", .group = "running", AT(sample_every) },
    { "sample_tokens", AN_INT, "64", "1..", "tokens of such a sample, at most seq_len", .group = "running", .needs = "sample_every!=0", AT(sample_tokens) },
    AN_OPTION_END
};

an_status an_train_options_add(an_options *options, an_train_config *config)
{
    return an_options_add(options, TABLE, config);
}

an_status an_run_options_create(an_options **out, an_train_config *config)
{
    an_options *options;
    AN_TRY(an_options_create(&options));
    an_status status = an_model_options_add(options);
    if (status == AN_OK) status = an_train_options_add(options, config);
    if (status != AN_OK) an_options_destroy(&options);
    else *out = options;
    return status;
}

static an_status check_pairs(const an_train_config *c)
{
    if (c->warmup > c->steps)
        return an_fail(AN_ECONFIG, "warmup %lld is longer than the run of %lld steps; lower warmup or raise steps", (long long)c->warmup, (long long)c->steps);
    if (c->decay_steps <= c->warmup && c->warmup > 0 && c->decay_steps < c->steps)
        return an_fail(AN_ECONFIG, "decay_steps %lld ends before warmup %lld does; raise decay_steps or lower warmup", (long long)c->decay_steps, (long long)c->warmup);
    if (c->min_lr > c->lr && strcmp(c->schedule, "constant") != 0)
        return an_fail(AN_ECONFIG, "min_lr %g is above lr %g; lower min_lr or raise lr", c->min_lr, c->lr);
    return AN_OK;
}

an_status an_train_config_finish(an_train_config *config, const an_options *options)
{
    an_train_config *c = config;
    if (c->decay_steps == 0) c->decay_steps = c->steps;
    if (c->warmup < 0) c->warmup = c->steps / 20 < 2000 ? c->steps / 20 : 2000;
    if (c->telemetry_every == 0) c->telemetry_every = c->log_every;
    if (c->min_lr < 0) c->min_lr = c->lr / 10;
    AN_TRY(check_pairs(c));
    if (c->sample_every > 0 && an_options_find(options, "arch") && !an_arch_reads_tokens(options))
        return an_fail(AN_ECONFIG, "sample_every %lld: arch %s gives classes to images and writes no text; leave it out", (long long)c->sample_every, an_options_text(options, "arch"));
    if (an_options_find(options, "vocab_size") && an_options_int(options, "vocab_size") < 256)
        return an_fail(AN_ECONFIG, "vocab_size %lld is below the 256 tokens of tokenizer byte; set it to 256", (long long)an_options_int(options, "vocab_size"));
    return AN_OK;
}

/* The groups of the resolved configuration that belong to the model, without their headings and indentation. */
an_status an_model_config_text(const an_options *options, an_text *out)
{
    an_text all = { 0 };
    int inside = 0;
    an_options_yaml(options, &all);
    for (const char *line = an_text_get(&all), *next; *line; line = next) {
        const size_t n = strcspn(line, "\n"), indent = strspn(line, " ");
        next = line + n + (line[n] == '\n');
        if (indent == 0) inside = strncmp(line, "model:", 6) == 0 || strncmp(line, "add_norm:", 9) == 0;
        else if (inside) an_text_add(out, "%.*s\n", (int)(n - indent), line + indent);
    }
    const an_status status = an_text_status(&all);
    an_text_fini(&all);
    return status == AN_OK ? an_text_status(out) : status;
}

an_optimizer_config an_train_config_optimizer(const an_train_config *config)
{
    return (an_optimizer_config){ config->beta1, config->beta2, config->adam_eps, config->weight_decay, config->grad_clip, config->lr_scale };
}

an_status an_train_config_schedule(const an_train_config *config, an_schedule *schedule)
{
    return an_schedule_init(schedule, config->schedule, config->lr, config->min_lr, (uint64_t)config->warmup, (uint64_t)config->decay_steps);
}

an_observe an_train_config_observe(const an_train_config *config)
{
    return strcmp(config->telemetry, "off") == 0 ? AN_OBSERVE_OFF : strcmp(config->telemetry, "full") == 0 ? AN_OBSERVE_FULL : AN_OBSERVE_BASIC;
}

int an_train_config_threads(const an_train_config *config)
{
    return config->threads > 0 ? (int)config->threads : an_threads_available();
}
