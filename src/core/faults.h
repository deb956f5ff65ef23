/* core/faults.h
 * Signals that a thread's own instruction brings about. They are never blocked: blocked, they would end the process before its handler could say why. */
#ifndef AN_CORE_FAULTS_H
#define AN_CORE_FAULTS_H

#include <signal.h>
#include <stddef.h>

/* All signals but those. */
static inline void an_signals_but_faults(sigset_t *set)
{
    static const int FAULTS[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
    sigfillset(set);
    for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++) sigdelset(set, FAULTS[i]);
}

#endif
