/* What the files of the actions share: all of it runs on the actions' thread, but for what says otherwise. */
#ifndef WEIR_AGENT_ACTIONS_ACTIONS_PRIVATE_H
#define WEIR_AGENT_ACTIONS_ACTIONS_PRIVATE_H

#include "agent/actions/actions.h"

/* -- actions_deliver.c: queues of targets ----------------------------------------------------------------------------------------------- */

/* Puts it into the queue of its target, or writes it down as dead. Takes the job. */
void wr_actions_enqueue(struct wr_actions *actions, struct wr_action_job *job);
/* Begins whatever may begin. Returns when to look again. */
int64_t wr_actions_dispatch(struct wr_actions *actions);
/* A try has ended. */
void wr_actions_take_result(struct wr_actions *actions, const struct wr_action_result *result);
/* Whether a stop has something to wait for. */
bool wr_actions_are_idle(const struct wr_actions *actions);
/* Everything that waits is a dead letter; what runs elsewhere is left to itself. */
void wr_actions_give_up(struct wr_actions *actions);
void wr_actions_free_targets(struct wr_actions *actions);
/* A dead letter: log, journal, count. */
void wr_actions_bury(struct wr_actions *actions, enum wr_action_kind kind, const struct wr_alarm *alarm, const char *address,
                     uint32_t tries, const char *why);

/* Any thread: there is something to look at. */
void wr_actions_wake(struct wr_actions *actions);
/* Any thread: how a try ended. */
void wr_actions_report(struct wr_actions *actions, struct wr_action_job *job, const struct wr_action_end *end);

/* -- each begins a try; its end is reported ---------------------------------------------------------------------------------------------- */

void wr_actions_log(struct wr_actions *actions, const struct wr_alarm *alarm);
void wr_actions_execute(struct wr_actions *actions, struct wr_action_target *target, struct wr_action_job *job);
wr_children_ended wr_actions_program_ended; /* user: the actions, tag: the job */
void wr_actions_send(struct wr_actions *actions, struct wr_action_target *target, struct wr_action_job *job); /* webhook, file */
/* mqtt: at once: true when the uplink has it. */
bool wr_actions_publish(struct wr_actions *actions, struct wr_action_job *job, struct wr_action_end *ret_end);

/* Upper bounds of what is kept. */
size_t wr_actions_execute_bytes(void);
size_t wr_actions_send_bytes(void);

#endif
