/* The z-loss: a training pass says cross-entropy + z_loss mean L^2, L being the log-sum-exp of a position's logits, over the positions that
 * count; an evaluation pass says the cross-entropy alone, the same bits whatever z_loss is. Its gradient is checked by tests/grad.
 * Allowed: the sums are in double over logits in reals, each a few units in the last place: 32 eps of the loss. */
#include "prop.h"

static const double ALLOWED = 32 * (double)AN_REAL_EPS;

static void holds(const char *settings)
{
    static const double WEIGHTS[] = { 0, 1e-4, 0.3 };
    subject s;
    double of_weight[3], ce = 0, square = 0;
    size_t counted = 0;
    for (size_t i = 0; i < 3; i++) {
        prop_open(&s, 2, PROP_TRAIN | PROP_LOGITS, "%s fuse=false z_loss=%g", settings, WEIGHTS[i]);
        s.targets[1] = s.targets[5] = -1;
        of_weight[i] = an_model_forward(s.model, &s.pass);
        const an_real *z = an_model_get_logits(s.model);
        for (size_t r = 0; i == 0 && r < s.rows; r++) {
            double top = -INFINITY, sum = 0;
            if (s.targets[r] < 0) continue;
            for (size_t j = 0; j < s.vocab; j++) top = fmax(top, (double)z[r * s.vocab + j]);
            for (size_t j = 0; j < s.vocab; j++) sum += exp((double)z[r * s.vocab + j] - top);
            const double lse = top + log(sum);
            ce += lse - (double)z[r * s.vocab + (size_t)s.targets[r]];
            square += lse * lse;
            counted++;
        }
        prop_close(&s);
    }
    for (size_t i = 0; i < 3; i++) {
        const double want = (ce + WEIGHTS[i] * square) / (double)counted;
        prop_check(fabs(of_weight[i] - want) <= ALLOWED * (fabs(want) + 4), "%s: z_loss %g gives %.9g, expected %.9g", settings, WEIGHTS[i], of_weight[i], want);
    }
    double evaluated[2];
    for (size_t i = 0; i < 2; i++) {
        prop_open(&s, 2, 0, "%s z_loss=%g", settings, i ? 0.3 : 0.0);
        evaluated[i] = an_model_forward(s.model, &s.pass);
        prop_close(&s);
    }
    prop_check(evaluated[0] == evaluated[1], "%s: evaluation says %.9g with z_loss, %.9g without", settings, evaluated[1], evaluated[0]);
}

int main(void)
{
    holds("design=pre-ln");
    holds("design=post-ln tie_embeddings=false vocab_size=300");
    return prop_finish("the z-loss is what it says, in training alone");
}
