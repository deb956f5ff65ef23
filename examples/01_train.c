/* 01_train.c: train a small model on a text file and let it write.
 *     cc 01_train.c $(pkg-config --cflags --libs addnorm) && ./a.out TEXTFILE [RUNFOLDER]  */
#include <addnorm/addnorm.h>
#include <stdio.h>

static void show(void *user, const an_report *r)
{
    (void)user;
    if (r->step % 50 == 0) fprintf(stderr, "step %d of %d: loss %.3f\n", (int)r->step, (int)r->steps, r->loss);
}

static int print(void *user, const char *text, size_t size)
{
    (void)user;
    return fwrite(text, 1, size, stdout) != size;
}

int main(int argc, char **argv)
{
    const char *settings[][2] = { { "data", argc > 1 ? argv[1] : "" }, { "out", argc > 2 ? argv[2] : "auto" }, { "n_layer", "2" }, { "n_head", "4" }, { "d_model", "64" },
                                  { "seq_len", "64" }, { "position", "rotary" }, { "design", "pre-ln" }, { "norm", "rmsnorm" }, { "steps", "200" }, { "lr", "3e-3" } };
    const an_sampling_settings sampling = { .temperature = 0.8, .top_p = 0.95, .seed = 1 };
    an_session *session;
    an_code code = an_session_create(&session);
    for (size_t i = 0; code == AN_DONE && i < sizeof settings / sizeof *settings; i++) code = an_session_set(session, settings[i][0], settings[i][1]);
    if (code == AN_DONE) an_session_on_step(session, show, NULL);
    if (code == AN_DONE) code = an_session_train(session);
    if (code == AN_DONE) code = an_session_sample(session, "The ", 200, &sampling, print, NULL);
    if (code != AN_DONE) fprintf(stderr, "%s\n", an_last_error());
    an_session_destroy(&session);
    return (int)code;
}
