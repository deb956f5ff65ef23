/* driver.c
 * Runs a fuzz target without libFuzzer: its own seeds, then mutations of them drawn from a fixed seed (flipped bits, cut
 * ends, copied pieces, digits and small words of the format replaced), or the files named on the command line.
 * Every input is handed over in a block of exactly its size, so that a sanitizer sees the first byte read beyond it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "fuzz.h"

static an_rng_key key;
static uint64_t drawn;

static size_t draw(size_t n) { return (size_t)(an_rng_uniform(key, drawn++) * (double)n); }

static int feed(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact) abort();
    memcpy(exact, bytes, size);
    const int accepted = LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return accepted;
}

static size_t mutate(uint8_t *b, size_t n)
{
    static const char *const WORD[] = { "{", "}", "[", "]", "\"", ",", ":", "-1", "0", "99999999999999999999", "4611686018427387904", "1e9", "null", "\\u0000", "F32", "F64" };
    if (n == 0) return n;
    const size_t at = draw(n), kind = draw(6);
    if (kind == 0) b[at] ^= (uint8_t)(1u << draw(8));
    else if (kind == 1) b[at] = (uint8_t)draw(256);
    else if (kind == 2) return at;                                   /* cut */
    else if (kind == 3) b[draw(8) % n] = (uint8_t)draw(256);         /* the length in front */
    else if (kind == 4) {
        const char *word = WORD[draw(sizeof WORD / sizeof *WORD)];
        const size_t w = strlen(word);
        if (at + w <= n) memcpy(b + at, word, w);
    } else {
        const size_t from = draw(n), room = n - (at > from ? at : from);
        memmove(b + at, b + from, draw(room + 1));
    }
    return n;
}

static int run_file(const char *path)
{
    static uint8_t bytes[1 << 20];
    FILE *f = fopen(path, "rb");
    if (!f) return fprintf(stderr, "%s: cannot open\n", path), 1;
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    printf("%s: %s\n", path, feed(bytes, n) ? "accepted" : "refused");
    return 0;
}

int main(int argc, char **argv)
{
    enum { ROUNDS = FUZZ_ROUNDS };
    uint8_t seed[FUZZ_MOST], bytes[FUZZ_MOST];
    size_t accepted = 0, n, seeds = 0;
    if (argc > 1) {
        int bad = 0;
        for (int i = 1; i < argc; i++) bad |= run_file(argv[i]);
        return bad;
    }
    for (size_t s = 0; (n = fuzz_seed(s, seed)) > 0; s++, seeds++) {
        if (!feed(seed, n)) return fprintf(stderr, "FAIL: seed %zu is refused\n", s), 1;
        for (uint64_t round = 0; round < ROUNDS; round++) {
            memcpy(bytes, seed, n);
            key = an_rng_key_make(1, s, round);
            drawn = 0;
            size_t size = n;
            for (size_t times = 1 + draw(4); times > 0; times--) size = mutate(bytes, size);
            accepted += (size_t)feed(bytes, size);
        }
    }
    printf("%zu seeds, %d mutations each, %zu accepted\n", seeds, ROUNDS, accepted);
    return seeds > 0 && accepted > 0 && accepted < seeds * ROUNDS ? 0 : 1;
}
