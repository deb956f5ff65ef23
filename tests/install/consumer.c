/* A program that embeds the installed library; valid C11 and C++11. consumer TEXT RUN */
#include <addnorm/addnorm.h>

#include <stdio.h>
#include <string.h>

static int count(void *user, const char *text, size_t size)
{
    (void)text;
    *(size_t *)user += size;
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const SETTINGS[][2] = { { "n_layer", "1" }, { "n_head", "2" }, { "d_model", "16" }, { "seq_len", "16" }, { "batch_size", "2" }, { "steps", "2" }, { "eval_batches", "1" }, { "threads", "1" } };
    an_session *session = NULL;
    size_t bytes = 0;
    if (argc != 3 || an_session_create(&session) != AN_DONE) return 10;
    if (an_session_set(session, "n_layr", "1") != AN_WRONG_USAGE || !strstr(an_last_error(), "n_layer")) return 11;   /* the nearest name comes with it */
    for (size_t i = 0; i < sizeof SETTINGS / sizeof SETTINGS[0]; i++)
        if (an_session_set(session, SETTINGS[i][0], SETTINGS[i][1]) != AN_DONE) return 12;
    if (an_session_set(session, "data", argv[1]) != AN_DONE || an_session_set(session, "out", argv[2]) != AN_DONE) return 13;
    if (an_session_train(session) != AN_DONE || an_session_sample(session, "li", 8, NULL, count, &bytes) != AN_DONE) {
        fprintf(stderr, "%s\n", an_last_error());
        return 14;
    }
    printf("addnorm %s: %s, %s\n", an_version(), an_session_run(session), bytes >= 8 ? "sampled" : "too little text");
    an_session_destroy(&session);
    return bytes >= 8 ? 0 : 15;
}
