/* kern/gemm.c
 * Which back end carries the products of this process, chosen once: the native kernel where there is one, since it meets or
 * beats both libraries at the shapes of a training step (SPEED.md), at the plain level a library. The double build has no
 * native kernel and no oneDNN. */
#include "kern/gemm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kern/gemm_backends.h"
#include "kern/kern.h"

typedef struct row { const char *name; const an_gemm_backend *(*get)(void); } row;

static const row ROWS[] = {
    { "native", an_gemm_native },
    { "onednn", an_gemm_onednn },
    { "cblas",  an_gemm_cblas },
    { "ref",    an_gemm_ref },
};
enum { N_ROWS = sizeof ROWS / sizeof *ROWS };
_Static_assert((int)N_ROWS == (int)AN_GEMM_BACKENDS, "gemm.h counts them");

static const an_gemm_backend *best(void)
{
    const an_gemm_backend *found = NULL;
    for (size_t i = 0; !found && i < N_ROWS; i++) found = ROWS[i].get();
    return found;
}

static const an_gemm_backend *chosen;
static char note[200];

const an_gemm_backend *an_gemm_by_name(const char *name)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(ROWS[i].name, name) == 0) return ROWS[i].get();
    return NULL;
}

const char *an_gemm_name(size_t i) { return i < N_ROWS ? ROWS[i].name : NULL; }

/* Products of mixed precision of a library's row: the native ones, else the plain ones. */
static an_gemm_backend with_low;

static const an_gemm_backend *complete(const an_gemm_backend *back)
{
    if (back->run_low) return back;
    const an_gemm_backend *low = an_gemm_native() ? an_gemm_native() : an_gemm_ref();
    with_low = *back;
    with_low.run_low = low->run_low;
    with_low.low_unit = low->low_unit;
    with_low.ahead_low = low->ahead_low;
    with_low.low_thread_bytes = low->low_thread_bytes;
    return &with_low;
}

static void choose(void)
{
    const char *asked = getenv("ADDNORM_GEMM");
    if (asked && *asked) chosen = an_gemm_by_name(asked);
    const int given = chosen != NULL;
    if (!chosen) chosen = best();
    chosen = complete(chosen);
    if (asked && *asked && !given)
        snprintf(note, sizeof note, "ADDNORM_GEMM=%.40s: not in this build or not for this CPU; matrix products run on %s", asked, chosen->name);
    else if (!given && chosen == an_gemm_ref())
        snprintf(note, sizeof note, "matrix products run in plain C, far below the machine's speed; build with %s", sizeof(an_real) == 4 ? "oneDNN (libdnnl-dev) or a CBLAS (libopenblas-dev)" : "a CBLAS (libopenblas-dev)");
}

static void ensure(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
}

const an_gemm_backend *an_gemm_get(void)
{
    ensure();
    return chosen;
}

const char *an_gemm_get_unit(void)
{
    static char text[80];
    const char *unit = an_gemm_get()->low_unit;
    if (!unit) return AN_REAL_NAME " from bf16 operands (no AMX, which multiplies bf16 faster)";
    snprintf(text, sizeof text, "bf16 on %s, sums in " AN_REAL_NAME, unit);
    return text;
}

const char *an_gemm_note(void)
{
    ensure();
    return note;
}
