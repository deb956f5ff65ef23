/* train/telemetry.h
 * What a run makes of an observed step: the model's and the optimizer's numbers, with full telemetry also statistics of
 * samples of the stream (train/stats.h), as one event for the log, for TensorBoard and for callbacks. */
#ifndef AN_TRAIN_TELEMETRY_H
#define AN_TRAIN_TELEMETRY_H

#include "train/events.h"
#include "train/tensorboard.h"

typedef struct an_watcher an_watcher;

/* Borrows model and optimizer. Errors: AN_ENOMEM. */
an_status an_watcher_create(an_watcher **out, const an_model *model, const an_optimizer *optimizer, an_observe observe) AN_MUST_USE;
void an_watcher_destroy(an_watcher **watcher);

/* The event of the step that was just observed; borrowed until the next call. */
const an_event_telemetry *an_watcher_look(an_watcher *watcher, uint64_t step);

/* What an update did to one tensor. */
typedef struct an_update_record { double grad, update, weight, ratio; } an_update_record;
an_update_record an_update_of(const an_tensor_norms *norms);

/* The numbers of an_site_record, an_stream_stats and an_update_record under their keys in log and RUN/tb, those of an_event_step and an_event_eval
 * under their keys in the log; each list ends with key NULL. */
typedef struct an_column { const char *key; size_t at; bool sometimes; } an_column;   /* at: offset of a double in the record; sometimes: left out of the log where it is NaN */
extern const an_column an_ledger_columns[], an_stream_columns[], an_update_columns[], an_step_columns[], an_eval_columns[];
double an_column_get(const an_column *column, const void *record);
void an_column_set(const an_column *column, void *record, double value);

/* Matrices and tables; with full telemetry vectors and scalars too. */
bool an_update_is_told(const an_event_telemetry *event, size_t param);

/* The same events as scalars in RUN/tb, tags NUMBER/NAME ("g_branch/layers.3.attn"); with full telemetry histograms of the
 * samples of the stream, too. A NULL tb swallows all. */
an_status an_tb_step(an_tensorboard *tb, const an_event_step *event) AN_MUST_USE;
an_status an_tb_eval(an_tensorboard *tb, const an_event_eval *event) AN_MUST_USE;
an_status an_tb_telemetry(an_tensorboard *tb, const an_event_telemetry *event) AN_MUST_USE;
an_status an_tb_spike(an_tensorboard *tb, const an_event_spike *event) AN_MUST_USE;   /* z where the verdict changes, "spike/loss" */

#endif
