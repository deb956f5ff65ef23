/* core/flush.h
 * Numbers below the smallest normal one (1.2e-38 in f32) count as zero while parts of a loop run (threads.h). Gradients that vanish on
 * their way down pass through that range, and there a processor takes some hundred cycles an instruction: 48 layers without a skip trained
 * at a seventh of the speed. The mode is the thread's own; the caller's is put back. */
#ifndef AN_CORE_FLUSH_H
#define AN_CORE_FLUSH_H

#include <stdint.h>

typedef uint64_t an_float_mode;

#if defined(__x86_64__)
enum { AN_FLUSH = 0x8040 };   /* MXCSR: results (bit 15) and operands (bit 6) */
static inline an_float_mode an_float_mode_get(void) { return __builtin_ia32_stmxcsr(); }
static inline void an_float_mode_set(an_float_mode mode) { __builtin_ia32_ldmxcsr((unsigned)mode); }
#elif defined(__aarch64__)
enum { AN_FLUSH = 1 << 24 };  /* FPCR.FZ: both */
static inline an_float_mode an_float_mode_get(void)
{
    an_float_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void an_float_mode_set(an_float_mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
enum { AN_FLUSH = 0 };
static inline an_float_mode an_float_mode_get(void) { return 0; }
static inline void an_float_mode_set(an_float_mode mode) { (void)mode; }
#endif

/* const an_float_mode before = an_flush_begin();  ...  an_float_mode_set(before); */
static inline an_float_mode an_flush_begin(void)
{
    const an_float_mode before = an_float_mode_get();
    an_float_mode_set(before | AN_FLUSH);
    return before;
}

#endif
