/* Checkpoints: what is saved is loaded, which one is found, how many are kept, whose they are. */
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "core/file.h"
#include "tiny.h"
#include "train/checkpoint.h"

static an_optimizer *optimizer_of(tiny *t)
{
    size_t count;
    an_optimizer *o;
    const an_optimizer_config c = an_train_config_optimizer(&t->train);
    const an_param *p = an_model_get_params(t->model, &count);
    assert_ok(an_optimizer_create(&o, p, count, &c));
    return o;
}

static an_run_state state_at(uint64_t step) { return (an_run_state){ .step = step, .best_val_loss = INFINITY, .config = (char *)(uintptr_t)"training:\n  steps: 9\n" }; }

static const char *run_folder(const char *name)
{
    static char path[512];
    int lock;
    snprintf(path, sizeof path, "%s", unit_path(name));
    assert_ok(an_checkpoint_prepare(path, &lock));
    close(lock);
    return path;
}

static void save(const char *run, uint64_t step, const tiny *t, an_optimizer *o, size_t keep)
{
    an_run_state s = state_at(step);
    assert_ok(an_checkpoint_save(run, &s, "n_layer: 2\n", t->model, o, keep, NULL));
}

static void all_comes_back(void **state)
{
    (void)state;
    tiny a, b;
    size_t count;
    char *folder;
    an_run_state s = state_at(7), read;
    tiny_open(&a, NULL);
    tiny_open(&b, NULL);
    an_optimizer *oa = optimizer_of(&a), *ob = optimizer_of(&b);
    const an_param *pa = an_model_get_params(a.model, &count), *pb = an_model_get_params(b.model, &count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < pa[i].count; k++) {
            pa[i].data[k] = AN_R(sin((double)(100 * i + k)));
            an_optimizer_get_m(oa, i)[k] = AN_R(0.1 * (double)k);
            an_optimizer_get_v(oa, i)[k] = AN_R(0.2 * (double)k + (double)i);
        }
    const char *run = run_folder("round");
    assert_ok(an_checkpoint_save(run, &s, "n_layer: 2\n", a.model, oa, 0, &folder));
    assert_ok(an_run_state_read(&read, unit_path("round/checkpoints/latest/state.json")));
    assert_int_equal(read.step, 7);
    assert_ok(an_checkpoint_load(folder, &read, "n_layer: 2\n", b.model, ob));
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(pa[i].data, pb[i].data, pa[i].count * sizeof *pa[i].data);
        assert_memory_equal(an_optimizer_get_m(oa, i), an_optimizer_get_m(ob, i), pa[i].count * sizeof *pa[i].data);
        assert_memory_equal(an_optimizer_get_v(oa, i), an_optimizer_get_v(ob, i), pa[i].count * sizeof *pa[i].data);
    }
    assert_fails(an_checkpoint_load(folder, &read, "n_layer: 3\n", b.model, ob), AN_ECONFIG, "n_layer is 2 there and 3 here");
    read.model_checksum ^= 1;
    assert_fails(an_checkpoint_load(folder, &read, "n_layer: 2\n", b.model, ob), AN_EFORMAT, "checksum does not match");
    an_run_state_fini(&read);
    free(folder);
    an_optimizer_destroy(&oa);
    an_optimizer_destroy(&ob);
    tiny_close(&a);
    tiny_close(&b);
}

static void other_shapes_are_named(void **state)
{
    (void)state;
    tiny a, wide, deep;
    char *folder;
    an_run_state s = state_at(1);
    tiny_open(&a, NULL);
    tiny_open(&wide, (const char *const[]){ "d_ff", "40", NULL });
    tiny_open(&deep, (const char *const[]){ "n_layer", "3", NULL });
    an_optimizer *o = optimizer_of(&a);
    assert_ok(an_checkpoint_save(run_folder("shapes"), &s, "same: 1\n", a.model, o, 0, &folder));
    assert_fails(an_checkpoint_load(folder, &s, "same: 1\n", wide.model, NULL), AN_EFORMAT, "has shape [");
    assert_fails(an_checkpoint_load(folder, &s, "same: 1\n", deep.model, NULL), AN_EFORMAT, "layers.2");
    free(folder);
    an_optimizer_destroy(&o);
    tiny_close(&a);
    tiny_close(&wide);
    tiny_close(&deep);
}

static void expect_folders(const char *run, const char *words)
{
    char **names, all[512] = "";
    char *folder = an_path_join(run, "checkpoints");
    size_t count;
    assert_ok(an_dir_list(folder, &names, &count));
    for (size_t i = 0; i < count; i++) {
        strcat(all, names[i]);
        strcat(all, " ");
    }
    an_dir_list_free(names, count);
    free(folder);
    assert_string_equal(all, words);
}

static void expect_found(const char *path, const char *name)
{
    char *folder;
    assert_ok(an_checkpoint_find(path, &folder));
    char *real = realpath(folder, NULL);
    assert_string_equal(an_path_base(real), name);
    free(real);
    free(folder);
}

static void keeps_and_finds(void **state)
{
    (void)state;
    tiny t;
    char *folder;
    int exists, lock, again;
    tiny_open(&t, NULL);
    an_optimizer *o = optimizer_of(&t);
    const char *run = run_folder("keep");
    assert_ok(an_checkpoint_exists(run, &exists));
    assert_false(exists);
    assert_fails(an_checkpoint_find(run, &folder), AN_EDATA, "neither a run folder");
    for (uint64_t step = 10; step <= 50; step += 10) save(run, step, &t, o, 2);
    expect_folders(run, "latest step-00000040 step-00000050 ");
    expect_found(run, "step-00000050");
    save(run, 50, &t, o, 2);                            /* again: exchanged, nothing left over */
    expect_folders(run, "latest step-00000040 step-00000050 ");
    assert_ok(an_checkpoint_point(unit_path("keep/checkpoints/step-00000040")));
    expect_found(run, "step-00000040");
    save(run, 45, &t, o, 2);                            /* back on an older line: the later one is not counted, nor lost */
    expect_folders(run, "latest step-00000040 step-00000045 step-00000050 ");
    expect_found(run, "step-00000045");
    expect_found(unit_path("keep/checkpoints/step-00000050"), "step-00000050");
    save(run, 123456789, &t, o, 0);
    expect_found(run, "step-123456789");
    assert_ok(an_dir_create(unit_path("keep/checkpoints/.tmp-step-00000099")));
    assert_ok(an_checkpoint_prepare(run, &lock));
    assert_false(an_path_exists(unit_path("keep/checkpoints/.tmp-step-00000099")));
    assert_fails(an_checkpoint_prepare(run, &again), AN_EUSAGE, "another process");
    close(lock);
    assert_ok(an_checkpoint_prepare(run, &lock));
    close(lock);
    an_optimizer_destroy(&o);
    tiny_close(&t);
}

/* Whatever step of saving over a checkpoint fails, alone or with all that follow, one of the two is there: at once, or once the folder is prepared again. */
static void one_is_always_there(void **state)
{
    (void)state;
    tiny t;
    int exists, lock, failed = 0;
    tiny_open(&t, NULL);
    an_optimizer *o = optimizer_of(&t);
    for (int variant = 0; variant < 4; variant++) {
        const int once = variant & 1, can = variant >> 1;
        char *folder = NULL;
        const char *run = run_folder(variant == 0 ? "over0" : variant == 1 ? "over1" : variant == 2 ? "over2" : "over3");
        save(run, 10, &t, o, 0);
        an_file_can_exchange(can);
        for (uint64_t op = 1; !folder; op++, failed++) {
            an_run_state s = state_at(10), read;
            (once ? an_file_fail_once : an_file_fail_after_ops)(op, EIO);
            const an_status status = an_checkpoint_save(run, &s, "n_layer: 2\n", t.model, o, 0, &folder);
            an_file_fail_after_ops(0, 0);
            if (status != AN_OK) assert_int_equal(status, AN_EIO);
            if (once || can) {
                assert_ok(an_checkpoint_exists(run, &exists));
                assert_true(exists);
            }
            assert_ok(an_checkpoint_prepare(run, &lock));
            close(lock);
            expect_folders(run, "latest step-00000010 ");
            char *path = an_path_join(run, "checkpoints/step-00000010/state.json"), *last = an_path_join(run, "checkpoints/step-00000010");
            assert_ok(an_run_state_read(&read, path));
            assert_ok(an_checkpoint_load(last, &read, "n_layer: 2\n", t.model, o));
            an_run_state_fini(&read);
            free(path);
            free(last);
        }
        free(folder);
        an_file_can_exchange(1);
    }
    assert_true(failed > 60);
    an_optimizer_destroy(&o);
    tiny_close(&t);
}

static void first_difference(void **state)
{
    (void)state;
    assert_ok(an_model_config_compare("a: 1\nb: x y\n", "b: x y\na: 1\n", "run"));
    assert_fails(an_model_config_compare("a: 1\nb: 2\n", "a: 1\nb: 3\n", "run"), AN_ECONFIG, "run: the checkpoint is of another model: b is 2 there and 3 here");
    assert_fails(an_model_config_compare("a: 1\nb: 2\n", "a: 1\n", "run"), AN_ECONFIG, "b is 2 there and not set here");
    assert_fails(an_model_config_compare("a: 1\n", "a: 1\nb@0-3: 2\n", "run"), AN_ECONFIG, "b@0-3 is not set there and 2 here");
    assert_fails(an_model_config_compare("ab: 1\n", "a: 1\n", "run"), AN_ECONFIG, "ab is 1 there");
    assert_ok(an_model_config_compare("n_layer: 6\n", "n_layer: 6\nn_kv_head: auto\nstream_precision: f32\n", "run"));            /* written before there were such keys */
    assert_fails(an_model_config_compare("n_layer: 6\n", "n_layer: 6\nn_kv_head: 2\n", "run"), AN_ECONFIG, "n_kv_head is not set there and 2 here");
    assert_fails(an_model_config_compare("n_layer: 6\nn_kv_head: auto\n", "n_layer: 6\n", "run"), AN_ECONFIG, "n_kv_head is auto there and not set here");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_comes_back), cmocka_unit_test(other_shapes_are_named), cmocka_unit_test(keeps_and_finds), cmocka_unit_test(one_is_always_there), cmocka_unit_test(first_difference) };
    return cmocka_run_group_tests(tests, unit_scratch_setup, unit_scratch_teardown);
}
