/* The option table: sources, aliases, types, ranges, conditions, overrides, nearest names, round trip. */
#include "unit.h"

#include "core/option.h"

typedef struct values { int64_t count; double rate; int flag; const char *word, *kind; an_option_list files; int64_t automatic; } values;

#define AT(field) .at = AN_AT(values, field)

static const an_option TABLE[] = {
    { "count", AN_INT, "6", "1..100", "a number", .group = "model", AT(count), .aliases = "n_things c" },
    { "rate", AN_FLOAT, "1e-3", "(0,1]", "a rate", .group = "training", AT(rate), .aliases = "learning_rate" },
    { "flag", AN_BOOL, "false", NULL, "a switch", .group = "training", AT(flag) },
    { "word", AN_STRING, "", NULL, "a word", .group = "running", AT(word) },
    { "kind", AN_CHOICE, "plain", "plain|fancy,gaudy", "a kind", AT(kind), .flags = AN_PER_SITE },
    { "shine", AN_FLOAT, "0.5", ">=0", "only of fancy", .needs = "kind=fancy" },
    { "file", AN_PATHS, "", NULL, "files", .group = "data", AT(files) },
    { "automatic", AN_INT, "auto", "1..9", "a number or auto", .group = "training", .words = "auto=-1", AT(automatic) },
    { "now", AN_STRING, "", NULL, "this time only", .group = "running", .flags = AN_EPHEMERAL },
    AN_OPTION_END
};

static an_options *make(values *v)
{
    an_options *o;
    memset(v, 0, sizeof *v);
    assert_ok(an_options_create(&o));
    assert_ok(an_options_add(o, TABLE, v));
    return o;
}

static void defaults(void **state)
{
    (void)state;
    values v;
    an_options *o = make(&v);
    assert_ok(an_options_resolve(o));
    assert_int_equal(v.count, 6);
    assert_true(v.rate == 1e-3 && v.flag == 0 && v.automatic == -1);
    assert_string_equal(v.word, "");
    assert_string_equal(v.kind, "plain");
    assert_int_equal(v.files.count, 0);
    assert_int_equal(an_options_source(o, "count"), AN_FROM_DEFAULT);
    assert_false(an_options_in_use(o, "shine"));
    an_options_destroy(&o);
    assert_null(o);
}

static void the_highest_source_wins(void **state)
{
    (void)state;
    static const an_source ORDER[] = { AN_FROM_FLAG, AN_FROM_PRESET, AN_FROM_ENV, AN_FROM_FILE };   /* whatever the order of reading */
    static const char *const TEXT[] = { "40", "10", "30", "20" };
    for (size_t without = 0; without < 4; without++) {
        values v;
        an_options *o = make(&v);
        for (size_t i = 0; i < 4; i++)
            if (!(without == 0 && i == 0) && !(without == 2 && (i == 0 || i == 2))) assert_ok(an_options_set(o, "count", TEXT[i], ORDER[i], "here"));
        assert_ok(an_options_resolve(o));
        assert_int_equal(v.count, without == 0 ? 30 : without == 2 ? 20 : 40);
        an_options_destroy(&o);
    }
}

static void names_and_values(void **state)
{
    (void)state;
    values v;
    an_options *o = make(&v);
    assert_ok(an_options_set(o, "n-things", "1e1", AN_FROM_FLAG, "--n-things"));
    assert_ok(an_options_set(o, "learning_rate", "1", AN_FROM_FLAG, "--learning_rate"));
    assert_ok(an_options_set(o, "flag", "yes", AN_FROM_FLAG, "--flag"));
    assert_ok(an_options_set(o, "kind", "gaudy", AN_FROM_FLAG, "--kind"));
    assert_ok(an_options_set(o, "file", "a b", AN_FROM_FLAG, "--file"));
    assert_ok(an_options_set(o, "file", "c", AN_FROM_FLAG, "--file"));
    assert_ok(an_options_resolve(o));
    assert_int_equal(v.count, 10);
    assert_true(v.rate == 1 && v.flag == 1);
    assert_string_equal(v.kind, "fancy");
    assert_int_equal(v.files.count, 2);
    assert_string_equal(v.files.item[0], "a b");
    assert_true(an_options_in_use(o, "shine"));
    assert_string_equal(an_options_place(o, "count"), "--n-things");
    an_options_destroy(&o);
}

static void refusals(void **state)
{
    (void)state;
    static const struct { const char *key, *value, *words; } CASE[] = {
        { "cuont", "1", "count" }, { "count", "0", "1..100" }, { "count", "101", "1..100" }, { "count", "1.5", "count" }, { "count", "", "count" }, { "count", "7x", "7x" },
        { "rate", "0", "rate" }, { "rate", "nan", "rate" }, { "rate", "inf", "rate" }, { "rate", "1.01", "rate" }, { "flag", "maybe", "flag" }, { "kind", "fancey", "fancy" },
        { "automatic", "10", "automatic" }, { "automatic", "atuo", "automatic" }, { "count@0", "3", "count" }, { "kind@x", "fancy", "x" }, { "count", "99999999999999999999", "count" },
    };
    for (size_t i = 0; i < COUNT(CASE); i++) {
        values v;
        an_options *o = make(&v);
        const an_status status = an_options_set(o, CASE[i].key, CASE[i].value, AN_FROM_FLAG, "--here");
        assert_int_equal(an_status_exit_code(status), 2);
        assert_fails(status, status, CASE[i].words);
        if (!strstr(an_error_text(), "--here") && !strstr(an_error_text(), CASE[i].key)) fail_msg("no place in: %s", an_error_text());
        an_options_destroy(&o);
    }
}

static void unused_keys(void **state)
{
    (void)state;
    values v;
    an_options *o = make(&v);
    assert_ok(an_options_set(o, "shine", "1", AN_FROM_FLAG, "--shine"));
    const an_status status = an_options_resolve(o);
    assert_int_equal(an_status_exit_code(status), 2);
    assert_fails(status, status, "shine");
    an_options_destroy(&o);
    o = make(&v);                                        /* set in a file, defeated by a flag: left out in silence */
    assert_ok(an_options_set(o, "kind", "fancy", AN_FROM_FILE, "file"));
    assert_ok(an_options_set(o, "shine", "1", AN_FROM_FILE, "file"));
    assert_ok(an_options_set(o, "kind", "plain", AN_FROM_FLAG, "--kind"));
    assert_ok(an_options_resolve(o));
    assert_false(an_options_in_use(o, "shine"));
    an_options_destroy(&o);
}

static void per_site(void **state)
{
    (void)state;
    values v;
    an_options *o = make(&v);
    assert_ok(an_options_set(o, "kind@0-2,5", "fancy", AN_FROM_FLAG, "a"));
    assert_ok(an_options_set(o, "kind@*.mlp", "plain", AN_FROM_FLAG, "b"));
    assert_ok(an_options_resolve(o));
    assert_string_equal(an_options_text_at(o, "kind", 1, "attn"), "fancy");
    assert_string_equal(an_options_text_at(o, "kind", 5, "attn"), "fancy");
    assert_string_equal(an_options_text_at(o, "kind", 3, "attn"), "plain");
    assert_string_equal(an_options_text_at(o, "kind", 1, "mlp"), "plain");
    assert_true(an_options_has_overrides(o, "kind"));
    assert_ok(an_options_check_sites(o, 6, "attn|mlp"));
    assert_int_equal(an_status_exit_code(an_options_check_sites(o, 5, "attn|mlp")), 2);
    assert_int_equal(an_status_exit_code(an_options_check_sites(o, 6, "attn")), 2);
    an_options_destroy(&o);
}

static void arguments(void **state)
{
    (void)state;
    values v;
    int left;
    const char *argv[] = { "first", "--count", "9", "--rate=0.5", "--flag", "second", "-c", "8", "--", "--third" };
    an_options *o = make(&v);
    assert_ok(an_options_read_args(o, (int)COUNT(argv), argv, &left));
    assert_ok(an_options_resolve(o));
    assert_int_equal(left, 3);
    assert_string_equal(argv[0], "first");
    assert_string_equal(argv[1], "second");
    assert_string_equal(argv[2], "--third");
    assert_int_equal(v.count, 8);
    assert_true(v.rate == 0.5 && v.flag == 1);
    an_options_destroy(&o);
    const char *missing[] = { "--count" };
    o = make(&v);
    const an_status status = an_options_read_args(o, 1, missing, &left);
    assert_fails(status, status, "--count");
    an_options_destroy(&o);
}

static void yaml_and_environment(void **state)
{
    (void)state;
    values v;
    an_options *o = make(&v);
    const char *const environment[] = { "PATH=/bin", "ADDNORM_RATE=0.25", "ADDNORM_CPU=ref", NULL };
    static const char TEXT[] = "model:\n  count: 11\nfile:\n  - one\n  - two words\nrate: 0.125   # a comment\n";
    assert_ok(an_options_read_yaml(o, TEXT, sizeof TEXT - 1, "config.yaml"));
    assert_ok(an_options_read_env(o, environment, "CPU|GEMM", 1));
    assert_ok(an_options_resolve(o));
    assert_int_equal(v.count, 11);
    assert_true(v.rate == 0.25);
    assert_int_equal(v.files.count, 2);
    assert_string_equal(v.files.item[1], "two words");
    an_options_destroy(&o);
    static const struct { const char *text, *words; } CASE[] = {
        { "count: 1\ncount: 2\n", "count" }, { "nonsense: 1\n", "nonsense" }, { "count: [1, 2]\n", "count" }, { "count: {a: 1}\n", "count" }, { "count: 1\n  bad indent: [\n", "config.yaml" },
        { "count: 500\n", "config.yaml:1" },
    };
    for (size_t i = 0; i < COUNT(CASE); i++) {
        o = make(&v);
        const an_status status = an_options_read_yaml(o, CASE[i].text, strlen(CASE[i].text), "config.yaml");
        assert_int_equal(an_status_exit_code(status), 2);
        assert_fails(status, status, CASE[i].words);
        an_options_destroy(&o);
    }
    const char *const wrong[] = { "ADDNORM_RAET=1", NULL };
    o = make(&v);
    const an_status status = an_options_read_env(o, wrong, "CPU", 1);
    assert_fails(status, status, "ADDNORM_RATE");
    assert_ok(an_options_read_env(o, wrong, "CPU", 0));
    an_options_destroy(&o);
}

static void written_and_read_again(void **state)
{
    (void)state;
    values v, w;
    an_options *o = make(&v), *p = make(&w);
    an_text first = { 0 }, second = { 0 };
    assert_ok(an_options_set(o, "kind", "fancy", AN_FROM_FLAG, "a"));
    assert_ok(an_options_set(o, "kind@1.mlp", "plain", AN_FROM_FLAG, "a"));
    assert_ok(an_options_set(o, "shine", "0.1", AN_FROM_FLAG, "a"));
    assert_ok(an_options_set(o, "word", "a: \"b\" # c\\n", AN_FROM_FLAG, "a"));
    assert_ok(an_options_set(o, "file", "- x", AN_FROM_FLAG, "a"));
    assert_ok(an_options_set(o, "now", "not stored", AN_FROM_FLAG, "a"));
    assert_ok(an_options_resolve(o));
    an_options_yaml(o, &first);
    assert_null(strstr(an_text_get(&first), "not stored"));
    assert_ok(an_options_read_yaml(p, an_text_get(&first), first.length, "again"));
    assert_ok(an_options_resolve(p));
    an_options_yaml(p, &second);
    assert_string_equal(an_text_get(&first), an_text_get(&second));
    assert_string_equal(v.word, w.word);
    assert_string_equal(w.files.item[0], "- x");
    assert_string_equal(an_options_text_at(p, "kind", 1, "mlp"), "plain");
    an_text_fini(&first);
    an_text_fini(&second);
    an_options_destroy(&o);
    an_options_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults), cmocka_unit_test(the_highest_source_wins), cmocka_unit_test(names_and_values), cmocka_unit_test(refusals), cmocka_unit_test(unused_keys),
        cmocka_unit_test(per_site), cmocka_unit_test(arguments), cmocka_unit_test(yaml_and_environment), cmocka_unit_test(written_and_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
