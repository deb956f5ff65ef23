/* core/cpu.h
 * What the processor and the operating system offer, asked once. A feature counts only when the system also saves its
 * registers (XCR0), so a true bit means the instructions may be executed. Decisions are taken on these bits, never on a
 * model name. */
#ifndef AN_CORE_CPU_H
#define AN_CORE_CPU_H

#include <stddef.h>

typedef struct an_cpu_info {
    char name[64];            /* brand string, for logs; "unknown" where there is none */
    size_t l1d, l2, l3;       /* bytes as seen by one core (l3: the shared one); 0 unknown */
    size_t kept;              /* bytes of l3 that this process can count on: a virtual machine shows all of a cache it shares with others; 0 unknown */
    int avx;                  /* AVX: floats of 256 bits */
    int avx2;                 /* AVX2 with FMA and F16C */
    int avx512;               /* AVX-512 F, BW, DQ, VL */
    int amx;                  /* tiles with bf16 products, and the permission of the kernel to use them */
} an_cpu_info;

const an_cpu_info *an_cpu(void);   /* never NULL; any thread */

#endif
