/* train/signals.c
 * sigaction with SA_RESTART: a signal may not turn a write into a failure. A hang-up stops the run as well, and does so
 * however often it comes. What was ignored before, by nohup or for a job that a script put into the background, stays so. */
#include "train/signals.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t stop_signal, save_wanted;
static struct sigaction before_int, before_term, before_hup, before_usr1;
static int caught;

static void on_stop(int number)
{
    stop_signal = number;
    if (before_int.sa_handler != SIG_IGN) signal(SIGINT, SIG_DFL);
    if (before_term.sa_handler != SIG_IGN) signal(SIGTERM, SIG_DFL);
}

static void on_save(int number)
{
    (void)number;
    save_wanted = 1;
}

static void catch_stop(int number, const struct sigaction *stop, struct sigaction *before)
{
    sigaction(number, NULL, before);
    if (before->sa_handler != SIG_IGN) sigaction(number, stop, NULL);
}

void an_signals_catch(void)
{
    struct sigaction stop = { .sa_handler = on_stop, .sa_flags = SA_RESTART }, save = { .sa_handler = on_save, .sa_flags = SA_RESTART };
    if (caught) return;
    stop_signal = save_wanted = 0;
    sigemptyset(&stop.sa_mask);
    sigemptyset(&save.sa_mask);
    catch_stop(SIGINT, &stop, &before_int);
    catch_stop(SIGTERM, &stop, &before_term);
    catch_stop(SIGHUP, &stop, &before_hup);
    sigaction(SIGUSR1, &save, &before_usr1);
    caught = 1;
}

void an_signals_release(void)
{
    if (!caught) return;
    sigaction(SIGINT, &before_int, NULL);
    sigaction(SIGTERM, &before_term, NULL);
    sigaction(SIGHUP, &before_hup, NULL);
    sigaction(SIGUSR1, &before_usr1, NULL);
    caught = 0;
}

int an_signals_stop(void) { return stop_signal; }

int an_signals_take_save(void)
{
    const int wanted = save_wanted;
    save_wanted = 0;
    return wanted;
}
