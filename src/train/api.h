/* train/api.h
 * The inside of an_session, shared by the api_*.c files; nobody else includes it. */
#ifndef AN_TRAIN_API_H
#define AN_TRAIN_API_H

#include "addnorm/addnorm.h"
#include "train/loop.h"
#include "train/run.h"

struct an_session {
    an_options *options;             /* of a session that trains */
    an_train_config config;
    an_trainer *trainer;             /* after an_session_train */
    an_saved_run *run;                     /* after an_session_open */
    an_report_callback *report;
    void *user;
    an_report last;
    int preset;                      /* one is in force */
};

an_code an__code(an_status status);                    /* the exit code is the public code */
an_model *an__session_model(an_session *session);      /* trained or opened; NULL: none yet */

#endif
