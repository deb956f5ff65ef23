/* train/signals.h
 * Polite stops. Nothing here acts: handlers only leave a note, which the loop reads between two steps. After the first
 * SIGINT or SIGTERM both have their usual effect again, so a second one ends the process at once. */
#ifndef AN_TRAIN_SIGNALS_H
#define AN_TRAIN_SIGNALS_H

void an_signals_catch(void);      /* SIGUSR1 and, where they are not ignored, SIGINT, SIGTERM, SIGHUP from now on */
void an_signals_release(void);    /* back to what they did before */

int an_signals_stop(void);        /* the number of a signal that asked to stop, 0: none */
int an_signals_take_save(void);   /* whether SIGUSR1 came since the last call */

#endif
