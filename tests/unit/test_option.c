/* core/option: every way in, precedence, overrides, conditions, and that what is written reads back the same. */
#include "unit.h"

#include <stdbool.h>

#include "core/arena.h"
#include "core/option.h"

typedef struct config { int64_t n_layer, d_ff; double lr, base; bool bias; const char *norm, *activation, *out; an_option_list data; } config;

static const char *norm_name(size_t i)
{
    static const char *const NAMES[] = { "layernorm", "rmsnorm", "batchnorm" };
    return i < COUNT(NAMES) ? NAMES[i] : NULL;
}

static const an_option TABLE[] = {
    { "n_layer", AN_INT, "6", "1..4096", "blocks", .group = "model", .aliases = "num_hidden_layers", .at = AN_AT(config, n_layer) },
    { "d_ff", AN_INT, "auto", "1..100", "width", .group = "model", .words = "auto=0|off=-1", .at = AN_AT(config, d_ff) },
    { "bias", AN_BOOL, "true", NULL, "biases", .group = "model", .at = AN_AT(config, bias) },
    { "activation", AN_CHOICE, "gelu_tanh", "gelu_tanh,gelu_new|relu", "kind", .group = "model", .at = AN_AT(config, activation) },
    { "position", AN_CHOICE, "learned", "learned|rotary", "kind", .group = "model" },
    { "rope_base", AN_FLOAT, "10000", ">0", "base", .group = "model", .needs = "position=rotary", .at = AN_AT(config, base) },
    { "norm", AN_CHOICE, "layernorm", NULL, "kind", .choices = norm_name, .flags = AN_PER_SITE, .at = AN_AT(config, norm) },
    { "lr", AN_FLOAT, "1e-3", "(0,1]", "rate", .group = "training", .aliases = "learning_rate l", .at = AN_AT(config, lr) },
    { "data", AN_PATHS, "", NULL, "text", .group = "data", .at = AN_AT(config, data) },
    { "val_fraction", AN_FLOAT, "0.1", "0..1", "share", .group = "data", .needs = "val_data=" },
    { "val_data", AN_STRING, "", NULL, "text", .group = "data" },
    { "out", AN_STRING, "runs", NULL, "folder", .group = "running", .at = AN_AT(config, out) },
    { "json", AN_BOOL, "false", NULL, "about this call", .group = "command", .flags = AN_EPHEMERAL },
    AN_OPTION_END
};
static const an_option EPS[] = { { "norm_eps", AN_FLOAT, "1e-5", ">0", "eps", .flags = AN_PER_SITE }, AN_OPTION_END };

static config c;
static an_options *o;

static int open_options(void **state)
{
    (void)state;
    c = (config){ 0 };
    assert_ok(an_options_create(&o));
    assert_ok(an_options_add(o, TABLE, &c));
    assert_ok(an_options_add_owned(o, EPS, NULL, "norm=layernorm"));
    assert_ok(an_options_add_owned(o, EPS, NULL, "norm=rmsnorm"));
    return 0;
}

static int close_options(void **state)
{
    (void)state;
    an_options_destroy(&o);
    assert_null(o);
    return 0;
}

static an_status flags(const char *line)   /* words separated by single spaces */
{
    static char text[512];
    const char *argv[32];
    int argc = 0, positional;
    strcpy(text, line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) argv[argc++] = word;
    return an_options_read_args(o, argc, argv, &positional);
}

static an_status yaml(const char *text) { return an_options_read_yaml(o, text, strlen(text), "f.yaml"); }

static void defaults_are_bound(void **state)
{
    (void)state;
    assert_ok(an_options_resolve(o));
    assert_int_equal(c.n_layer, 6);
    assert_int_equal(c.d_ff, 0);
    assert_true(c.bias);
    assert_true(c.lr == 1e-3);
    assert_string_equal(c.norm, "layernorm");
    assert_int_equal(c.data.count, 0);
    assert_int_equal(an_options_source(o, "lr"), AN_FROM_DEFAULT);
}

static void numbers(void **state)
{
    (void)state;
    static const struct { const char *text; int64_t value; } GOOD[] = { { "1", 1 }, { "1e3", 1000 }, { "4.096e3", 4096 }, { "+12", 12 }, { "2.0", 2 } };
    for (size_t i = 0; i < COUNT(GOOD); i++) {
        assert_ok(an_options_set(o, "n_layer", GOOD[i].text, AN_FROM_FLAG, "--n_layer"));
        assert_int_equal(an_options_int(o, "n_layer"), GOOD[i].value);
    }
    static const char *const BAD[] = { "0", "4097", "1.5", "", " 1", "1 ", "0x10", "1e", "e3", "1e300", "nan", "inf", "--1", "9223372036854775808" };
    for (size_t i = 0; i < COUNT(BAD); i++) assert_fails(an_options_set(o, "n_layer", BAD[i], AN_FROM_FLAG, "--n_layer"), AN_ECONFIG, "an integer 1..4096 is needed");
    assert_int_equal(an_options_int(o, "n_layer"), 2);   /* a refused value changes nothing */
    assert_ok(an_options_set(o, "d_ff", "off", AN_FROM_FLAG, "x"));
    assert_int_equal(an_options_int(o, "d_ff"), -1);
    assert_ok(an_options_set(o, "lr", "1", AN_FROM_FLAG, "x"));
    assert_fails(an_options_set(o, "lr", "0", AN_FROM_FLAG, "x"), AN_ECONFIG, "out of range");
    assert_fails(an_options_set(o, "lr", "1.0000001", AN_FROM_FLAG, "x"), AN_ECONFIG, "a number (0,1] is needed");
}

static void precedence(void **state)
{
    (void)state;
    static const char *const PRESET[] = { "lr", "0.2", "n_layer", "2", NULL };
    static const char *const ENVIRONMENT[] = { "HOME=/", "ADDNORM_LR=0.4", "ADDNORM_CPU=ref", NULL };
    assert_ok(flags("--lr 0.5"));
    assert_ok(an_options_read_env(o, ENVIRONMENT, "CPU", 1));
    assert_ok(yaml("lr: 0.3\nn_layer: 3\n"));
    assert_ok(an_options_set_preset(o, "p", PRESET));
    assert_true(an_options_float(o, "lr") == 0.5);
    assert_int_equal(an_options_int(o, "n_layer"), 3);
    assert_string_equal(an_options_place(o, "n_layer"), "f.yaml:2");
    assert_string_equal(an_options_place(o, "lr"), "--lr");
    assert_fails(an_options_read_env(o, ENVIRONMENT, "", 1), AN_ECONFIG, "ADDNORM_CPU: unknown key");
    assert_ok(an_options_read_env(o, ENVIRONMENT, "", 0));
}

static void command_line(void **state)
{
    (void)state;
    const char *argv[] = { "a", "--num-hidden-layers=4", "--no-bias", "-l", "0.25", "--", "--data", "b" };
    int positional;
    assert_ok(an_options_read_args(o, 8, argv, &positional));
    assert_int_equal(positional, 3);
    assert_string_equal(argv[0], "a");
    assert_string_equal(argv[1], "--data");
    assert_string_equal(argv[2], "b");
    assert_ok(flags("--data x --data y:z --activation gelu_new --bias true"));
    assert_ok(an_options_resolve(o));
    assert_int_equal(c.n_layer, 4);
    assert_true(c.bias && c.lr == 0.25);
    assert_string_equal(c.activation, "gelu_tanh");
    assert_int_equal(c.data.count, 2);
    assert_string_equal(c.data.item[1], "y:z");
    assert_fails(flags("--n_layr 3"), AN_EUSAGE, "did you mean '--n_layer'?");
    assert_fails(flags("--lr"), AN_EUSAGE, "--lr: a value is missing");
    assert_fails(flags("--lr --bias"), AN_EUSAGE, "--lr: a value is missing");
    assert_fails(flags("--no-lr"), AN_EUSAGE, "unknown option");
}

static void files(void **state)
{
    (void)state;
    assert_ok(yaml("model:\n  n_layer: 3\ndata: [a, 'b c']\nout: ''\n"));
    assert_int_equal(an_options_list(o, "data").count, 2);
    assert_fails(yaml("lr: 0.1\nlearning_rate: 0.1\n"), AN_ECONFIG, "f.yaml:2: key 'learning_rate' stands twice; first in f.yaml:1");
    assert_fails(yaml("norm@1: rmsnorm\nnorm@1: rmsnorm\n"), AN_ECONFIG, "stands twice");
    assert_fails(yaml("\n\nlearning_rat: 1\n"), AN_ECONFIG, "f.yaml:3: unknown key 'learning_rat'; did you mean 'learning_rate'?");
    assert_fails(yaml("model:\n  lr: 0.1\n"), AN_ECONFIG, "belongs to 'training'");
    assert_fails(yaml("out: \"\xff\"\n"), AN_ECONFIG, "f.yaml");
    assert_fails(yaml("data: [[a]]\n"), AN_ECONFIG, "f.yaml:1:8");
    assert_fails(an_options_read_file(o, "/nonexistent/x.yaml"), AN_ECONFIG, "/nonexistent/x.yaml");
}

static void overrides(void **state)
{
    (void)state;
    assert_ok(yaml("norm: rmsnorm\nnorm@0-2,5: layernorm\nnorm@*.mlp: batchnorm\n"));
    assert_ok(flags("--norm@5.mlp=rmsnorm --norm_eps@1 1e-3"));
    assert_ok(an_options_resolve(o));
    assert_string_equal(an_options_text_at(o, "norm", 1, "attn"), "layernorm");
    assert_string_equal(an_options_text_at(o, "norm", 3, "attn"), "rmsnorm");
    assert_string_equal(an_options_text_at(o, "norm", 1, "mlp"), "batchnorm");   /* the last that matches */
    assert_string_equal(an_options_text_at(o, "norm", 5, "mlp"), "rmsnorm");     /* the higher source */
    assert_string_equal(an_options_text_at(o, "norm", -1, NULL), "rmsnorm");
    assert_true(an_options_float_at(o, "norm_eps", 1, "mlp") == 1e-3 && an_options_float_at(o, "norm_eps", 0, "mlp") == 1e-5);
    assert_ok(an_options_check_sites(o, 6, "attn|mlp"));
    assert_fails(an_options_check_sites(o, 5, "attn|mlp"), AN_ECONFIG, "names layer 5; the model has layers 0..4");
    assert_fails(an_options_check_sites(o, 6, "attn|mlps"), AN_ECONFIG, "did you mean 'mlps'?");
    static const char *const BAD[] = { "norm@", "norm@x", "norm@1-", "norm@1,", "norm@1.", "norm@-1", "norm@1.attn@2", "norm@**", "norm@99999999999999999999" };
    for (size_t i = 0; i < COUNT(BAD) - 3; i++) assert_fails(an_options_set(o, BAD[i], "rmsnorm", AN_FROM_FLAG, "x"), AN_ECONFIG, "norm@");
    assert_fails(an_options_set(o, BAD[7], "rmsnorm", AN_FROM_FLAG, "x"), AN_ECONFIG, "norm@");
    assert_fails(an_options_set(o, BAD[8], "rmsnorm", AN_FROM_FLAG, "x"), AN_ECONFIG, "norm@");
    assert_fails(an_options_set(o, "lr@1", "0.1", AN_FROM_FLAG, "x"), AN_ECONFIG, "cannot be set per layer");
}

static void conditions(void **state)
{
    (void)state;
    assert_ok(flags("--rope_base 5"));
    assert_fails(an_options_resolve(o), AN_ECONFIG, "it needs position=rotary");
    assert_ok(flags("--position rotary"));
    assert_ok(an_options_resolve(o));
    assert_true(c.base == 5);
    assert_ok(yaml("norm_eps: 1e-4\n"));
    assert_ok(flags("--norm batchnorm"));
    assert_ok(an_options_resolve(o));                /* the file's key is defeated by a higher source: superseded */
    assert_false(an_options_in_use(o, "norm_eps"));
    assert_ok(flags("--norm@3 rmsnorm"));
    assert_true(an_options_in_use(o, "norm_eps"));   /* one place that uses it is enough */
    assert_true(an_options_in_use(o, "val_fraction"));
    assert_ok(flags("--val_data x"));
    assert_false(an_options_in_use(o, "val_fraction"));
}

static void written_reads_back(void **state)
{
    (void)state;
    static const char *const ODD[] = { "", " ", "a b", "x: y", "\"", "\\", "#", "- a", "~", "null", "true", "1e3", "[a", "{", "*a", "&b", "tab\there", "\xc3\xa9", "@", "%", "a\x01", "line\nbreak", "'" };
    for (size_t i = 0; i < COUNT(ODD); i++) {
        an_text first = { 0 }, second = { 0 };
        assert_ok(an_options_set(o, "out", ODD[i], AN_FROM_FLAG, "x"));
        assert_ok(flags("--norm@0 rmsnorm --norm@*.mlp layernorm --data one --json"));
        an_options_yaml(o, &first);
        assert_null(strstr(an_text_get(&first), "json"));
        an_options *again;
        assert_ok(an_options_create(&again));
        assert_ok(an_options_add(again, TABLE, NULL));
        assert_ok(an_options_add_owned(again, EPS, NULL, "norm=layernorm"));
        assert_ok(an_options_read_yaml(again, first.s, first.length, "again"));
        assert_ok(an_options_resolve(again));
        assert_string_equal(an_options_text(again, "out"), ODD[i]);
        assert_string_equal(an_options_text_at(again, "norm", 0, "mlp"), "layernorm");
        an_options_yaml(again, &second);
        assert_string_equal(first.s, second.s);
        an_options_destroy(&again);
        an_text_fini(&first);
        an_text_fini(&second);
    }
}

static an_options *another(void)
{
    an_options *again;
    assert_ok(an_options_create(&again));
    assert_ok(an_options_add(again, TABLE, NULL));
    return again;
}

/* What flags and the environment say goes into other options with its place; what is written of them holds only what is no default. */
static void copies_and_changes(void **state)
{
    (void)state;
    an_text first = { 0 }, second = { 0 };
    an_options *again = another(), *third = another();
    const char *env[] = { "ADDNORM_N_LAYER=3", NULL };
    assert_ok(an_options_set(o, "activation", "relu", AN_FROM_FILE, "a.yaml:1"));
    assert_ok(an_options_read_env(o, env, "", 0));
    assert_ok(flags("--norm@0 rmsnorm --lr 0.5 --data one --data two --json --norm_eps 1e-3"));
    assert_ok(an_options_copy(again, o, AN_FROM_ENV));
    assert_ok(an_options_resolve(again));
    assert_true(an_options_int(again, "n_layer") == 3 && an_options_float(again, "lr") == 0.5 && an_options_list(again, "data").count == 2);
    assert_string_equal(an_options_text(again, "activation"), "gelu_tanh");
    assert_string_equal(an_options_text_at(again, "norm", 0, "mlp"), "rmsnorm");
    assert_string_equal(an_options_place(again, "n_layer"), "ADDNORM_N_LAYER");
    assert_int_equal(an_options_bool(again, "json"), 0);
    an_options_changes(again, &first);
    assert_string_equal(first.s, "model:\n  n_layer: 3                            # ADDNORM_N_LAYER\nadd_norm:\n  norm@0: rmsnorm                       # --norm@0\n"
                                 "training:\n  lr: 0.5                               # --lr\ndata:\n  data: [one, two]                      # --data\n");
    assert_ok(an_options_read_yaml(third, first.s, first.length, "changes"));
    assert_ok(an_options_resolve(third));
    first.length = 0;
    an_options_yaml(again, &first);
    an_options_yaml(third, &second);
    assert_string_equal(first.s, second.s);
    an_options_destroy(&again);
    an_options_destroy(&third);
    an_text_fini(&first);
    an_text_fini(&second);
}

static void tables_are_checked(void **state)
{
    (void)state;
    static const an_option CLASH[] = { { "rate", AN_FLOAT, "1", NULL, "", .aliases = "lr" }, AN_OPTION_END };
    static const an_option DIFFERS[] = { { "lr", AN_FLOAT, "2e-3", "(0,1]", .help = "" }, AN_OPTION_END };
    static const an_option INVALID[] = { { "fresh", AN_INT, "7", "1..6", .help = "" }, AN_OPTION_END };
    assert_fails(an_options_add(o, CLASH, NULL), AN_ECONFIG, "'lr' names both");
    assert_fails(an_options_add(o, DIFFERS, NULL), AN_ECONFIG, "'lr' is defined twice");
    assert_fails(an_options_add(o, INVALID, NULL), AN_ECONFIG, "fresh");
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    static const char TEXT[] = "data: [a, b]\nnorm@1: rmsnorm\nout: x\n";
    int failures = 0;
    for (size_t n = 1;; n++) {
        an_options *again = NULL;
        an_alloc_fail_after(n);
        an_status status = an_options_create(&again);
        if (status == AN_OK) status = an_options_add(again, TABLE, NULL);
        if (status == AN_OK) status = an_options_read_yaml(again, TEXT, sizeof TEXT - 1, "f");
        if (status == AN_OK) status = an_options_resolve(again);
        an_alloc_fail_after(0);
        an_options_destroy(&again);
        if (status == AN_OK) break;
        assert_int_equal(status, AN_ENOMEM);
        failures++;
    }
    assert_true(failures >= 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_options, close_options)
/* Sizes: units of 1024, of 1000 where the unit says so, fractions, whole bytes; what is none is refused. */
static void sizes(void **state)
{
    (void)state;
    static const an_option ROW[] = { { "room", AN_SIZE, "auto", ">0", "bytes", .words = "auto=0", .group = "running" }, AN_OPTION_END };
    static const struct { const char *text; int64_t bytes; } GOOD[] = { { "1", 1 }, { "4096B", 4096 }, { "3K", 3072 }, { "3kb", 3000 }, { "1.5KiB", 1536 }, { "2M", 2097152 }, { "2MB", 2000000 }, { "4GiB", 4294967296 },
        { "0.5G", 536870912 }, { "1T", 1099511627776 }, { "1tb", 1000000000000 }, { "auto", 0 } };
    static const struct { const char *text, *words; } BAD[] = { { "0", "out of range" }, { "-1G", "out of range" }, { "0.1", "out of range" }, { "", "not a size" }, { "G", "not a size" }, { "4 GiB", "not a size" },
        { "4Gi", "not a size" }, { "1e3K", "not a size" }, { "nan", "not a size" }, { "1..2K", "not a size" }, { "9999999T", "too large" } };
    assert_ok(an_options_add(o, ROW, NULL));
    assert_true(an_options_int(o, "room") == 0);
    for (size_t i = 0; i < COUNT(GOOD); i++) {
        assert_ok(an_options_set(o, "room", GOOD[i].text, AN_FROM_FLAG, "--room"));
        assert_true(an_options_int(o, "room") == GOOD[i].bytes);
    }
    for (size_t i = 0; i < COUNT(BAD); i++) assert_fails(an_options_set(o, "room", BAD[i].text, AN_FROM_FLAG, "--room"), AN_ECONFIG, BAD[i].words);
}

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(defaults_are_bound), TEST(numbers), TEST(sizes), TEST(precedence), TEST(command_line), TEST(files), TEST(overrides), TEST(conditions), TEST(written_reads_back), TEST(copies_and_changes),
                                        TEST(tables_are_checked), TEST(memory_may_fail_anywhere) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
