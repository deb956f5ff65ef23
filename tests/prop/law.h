/* law.h
 * What each single-stream design is, as a table written from the papers and not read from the code: its equation per
 * sub-layer, its init law and gains. The tests hold the engine to it. */
#ifndef AN_TESTS_LAW_H
#define AN_TESTS_LAW_H

/* u = c Npre(x);   y = Npost( a (x or Npre(x)) + b f + bottom ),   f as it is added, learned scales and output norm included. */
typedef struct law {
    int pre, out, post, normed_skip, bottom, final, embed;
    double c, a, b;
    double qk, v, o, fc1, fc2, emb;                       /* gains on the base law, at L layers */
    const char *init;
    int uniform;
} law;

/* At layer `layer` (from 0) of L, in the feed-forward or in attention. 0: the design is not written here. */
int law_of(const char *design, int layer, int mlp, double L, law *l);

#endif
