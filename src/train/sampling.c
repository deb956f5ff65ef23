/* train/sampling.c
 * Temperature, then the k best, then softmax, then the nucleus: the order of Hugging Face's warpers.
 * Source: nucleus sampling, Holtzman et al., arXiv:1904.09751 */
#include "train/sampling.h"

#include <stdlib.h>

#include "core/rng.h"

an_status an_sampling_check(const an_sampling *sampling)
{
    if (!(sampling->temperature >= 0) || isinf(sampling->temperature)) return an_fail(AN_ECONFIG, "temperature %g: must be 0 or more", sampling->temperature);
    if (!(sampling->top_p > 0 && sampling->top_p <= 1)) return an_fail(AN_ECONFIG, "top_p %g: must be above 0 and at most 1", sampling->top_p);
    return AN_OK;
}

static int by_weight(const void *a, const void *b)
{
    const an_candidate *x = a, *y = b;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

/* Index of the largest logit, the first of equals; count when one is NaN or none is finite. */
static size_t largest(const an_real *logits, size_t count)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
        if (isnan(logits[i])) return count;
        if (best == count || logits[i] > logits[best]) best = i;
    }
    return best < count && isfinite(logits[best]) ? best : count;
}

/* The candidate at i down to its place in a heap of n, the first of all on top. */
static void sift(an_candidate *heap, size_t n, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && by_weight(&heap[child + 1], &heap[child]) < 0) child++;
        if (by_weight(&heap[i], &heap[child]) <= 0) break;
        const an_candidate lower = heap[i];
        heap[i] = heap[child];
        heap[child] = lower;
    }
}

/* The first `most` candidates in order, at the front: a heap, because sorting a whole vocabulary takes longer than making its logits. */
static void first_of(an_candidate *work, size_t n, size_t most)
{
    for (size_t i = n / 2; i-- > 0;) sift(work, n, i);
    size_t left = n;
    for (; left > n - most && left > 1; left--) {        /* each goes to the end, where the heap has shrunk */
        const an_candidate first = work[0];
        work[0] = work[left - 1];
        work[left - 1] = first;
        sift(work, left - 1, 0);
    }
    for (size_t i = 0, j = n - 1; i < j; i++, j--) {
        const an_candidate other = work[i];
        work[i] = work[j];
        work[j] = other;
    }
}

static size_t cut_nucleus(const an_candidate *work, size_t n, double top_p)
{
    double total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) total += work[i].weight;
    for (size_t i = 0; i < n; i++) {
        sum += work[i].weight;
        if (sum >= top_p * total) return i + 1;
    }
    return n;
}

an_status an_sample(const an_sampling *sampling, const an_real *logits, size_t count, uint64_t position, an_candidate *work, int32_t *token)
{
    const size_t best = largest(logits, count);
    if (best == count) return an_fail(AN_EDIVERGED, "logits at position %llu are not finite; the model has diverged", (unsigned long long)position);
    if (sampling->temperature == 0) {
        *token = (int32_t)best;
        return AN_OK;
    }
    for (size_t i = 0; i < count; i++)
        work[i] = (an_candidate){ exp(((double)logits[i] - (double)logits[best]) / sampling->temperature), (int32_t)i };
    size_t n = count;
    if (sampling->top_k > 0 && sampling->top_k < n) {
        first_of(work, n, sampling->top_k);
        n = sampling->top_k;
    } else if (sampling->top_p < 1) {
        qsort(work, n, sizeof *work, by_weight);
    }
    if (sampling->top_p < 1) n = cut_nucleus(work, n, sampling->top_p);
    double total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) total += work[i].weight;
    const double u = an_rng_uniform(an_rng_key_make(sampling->seed, AN_RNG_SAMPLE, sampling->sequence), position) * total;
    size_t pick = 0;
    for (size_t i = 0; i < n; i++) {
        if (work[i].weight <= 0) continue;
        pick = i;                                    /* rounding may leave u just above the last sum */
        sum += work[i].weight;
        if (u < sum) break;
    }
    *token = work[pick].token;
    return AN_OK;
}
