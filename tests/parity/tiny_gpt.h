/* tests/parity/tiny_gpt.h
 * A pre-norm GPT by hand: LayerNorm (biased variance, eps inside), learned positions, causal attention, tanh GELU, tied
 * head, biases. Double precision, explicit loops, libc only; it shares nothing with the library it is compared with.
 *
 *     x = E[token] + P[position];  per layer  x += attn(norm(x)),  x += mlp(norm(x));  logits = norm(x) E^T
 *     loss = mean cross-entropy over the B*T positions
 *
 * Parameters come by name, in any order: "embed.tok.weight" [V,C], "embed.pos.weight" [T,C], and with l = "layers.N",
 * l.attn.pre.gain / .bias [C], l.attn.qkv.weight [3C,C] / .bias, l.attn.out.weight [C,C] / .bias, l.mlp.pre.gain / .bias,
 * l.mlp.up.weight [F,C] / .bias, l.mlp.down.weight [C,F] / .bias, "final.gain" / .bias. */
#ifndef AN_TESTS_PARITY_TINY_GPT_H
#define AN_TESTS_PARITY_TINY_GPT_H

#include <stddef.h>
#include <stdint.h>

typedef struct tiny_gpt_config { size_t B, T, C, H, F, V, L; double eps; } tiny_gpt_config;

/* w [count] is read, dw [count] is overwritten with d loss / d w. */
typedef struct tiny_gpt_param { const char *name; size_t count; const double *w; double *dw; } tiny_gpt_param;

/* One forward and backward pass: writes logits [B*T, V], *loss and every dw. Returns NULL, or one sentence about what is
 * wrong (a name missing, unknown or of another size; no memory), the outputs then unspecified. */
const char *tiny_gpt_run(const tiny_gpt_config *c, const tiny_gpt_param *param, size_t params, const int32_t *tokens, const int32_t *targets, double *logits, double *loss);

#endif
