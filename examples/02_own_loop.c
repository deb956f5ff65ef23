/* 02_own_loop.c: your own data and your own loop. A small model learns to say what stood three tokens ago in a row of random
 * tokens: only attention can know, so the loss falls from that of guessing, log 16 = 2.77 nats, to zero. */
#include <addnorm/addnorm.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 16, SEQ = 24, DELAY = 3, VOCAB = 16, STEPS = 400 };

static uint32_t state = 1;

static int32_t draw(void)
{
    state = state * 1664525u + 1013904223u;
    return (int32_t)(state >> 16) % VOCAB;
}

static void fill(int32_t *tokens, int32_t *targets)
{
    for (int i = 0; i < BATCH * SEQ; i++) {
        tokens[i] = draw();
        targets[i] = i % SEQ < DELAY ? -1 : tokens[i - DELAY];   /* -1: does not count */
    }
}

static an_code run(an_session *session)
{
    static const char *const settings[][2] = { { "n_layer", "2" }, { "n_head", "2" }, { "d_model", "32" }, { "seq_len", "24" }, { "position", "rotary" }, { "weight_decay", "0" }, { "threads", "1" } };
    static int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ];
    an_engine *engine = NULL;
    an_code code = AN_DONE;
    double loss = 0, norm = 0, first = 0;
    for (size_t i = 0; code == AN_DONE && i < sizeof settings / sizeof *settings; i++) code = an_session_set(session, settings[i][0], settings[i][1]);
    if (code == AN_DONE) code = an_engine_create(&engine, session, BATCH, SEQ);
    for (int step = 0; code == AN_DONE && step < STEPS; step++) {
        fill(tokens, targets);
        code = an_engine_backward(engine, tokens, targets, 1.0, 0, &loss);
        if (code == AN_DONE) code = an_engine_step(engine, step < 20 ? 3e-3 * (step + 1) / 20 : 3e-3, &norm);
        if (step == 0) first = loss;
        if (step % 50 == 0) fprintf(stderr, "step %d: loss %.3f, gradient %.3f\n", step, loss, norm);
    }
    if (code == AN_DONE) printf("loss: %.3f at first, %.3f after %d steps\n", first, loss, STEPS);
    an_engine_destroy(&engine);
    return code == AN_DONE && !(loss < 0.5) ? AN_FAILED : code;
}

int main(void)
{
    an_session *session;
    an_code code = an_session_create(&session);
    if (code == AN_DONE) code = run(session);
    if (code != AN_DONE) fprintf(stderr, "%s\n", an_last_error());
    an_session_destroy(&session);
    return (int)code;
}
