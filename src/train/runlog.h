/* train/runlog.h
 * RUN/config.yaml and RUN/log.jsonl. A resumed run cuts the log back to the step it resumes from, so that it always reads
 * as one run. Times are the only entries that differ between two equal runs. */
#ifndef AN_TRAIN_RUNLOG_H
#define AN_TRAIN_RUNLOG_H

#include "core/log.h"
#include "core/option.h"
#include "train/events.h"

/* Writes config.yaml and opens the log: a fresh one, or with `resumed` cut back to `step`. Errors: AN_EIO, AN_ENOMEM. */
an_status an_runlog_open(an_logger *log, const char *run, const an_options *options, bool resumed, uint64_t step) AN_MUST_USE;

an_status an_runlog_start(an_logger *log, const an_event_start *event) AN_MUST_USE;
an_status an_runlog_step(an_logger *log, const an_event_step *event) AN_MUST_USE;
an_status an_runlog_telemetry(an_logger *log, const an_event_telemetry *event) AN_MUST_USE;   /* several lines */
an_status an_runlog_spike(an_logger *log, const an_event_spike *event) AN_MUST_USE;
an_status an_runlog_eval(an_logger *log, const an_event_eval *event) AN_MUST_USE;
an_status an_runlog_checkpoint(an_logger *log, const an_event_checkpoint *event) AN_MUST_USE;
an_status an_runlog_sample(an_logger *log, const an_event_sample *event) AN_MUST_USE;
an_status an_runlog_end(an_logger *log, const an_event_end *event) AN_MUST_USE;

#endif
