/* Process 1: what the agent must do besides where it is the first process of a container.
 *
 * Promise: whatever loses its parent there becomes a child of process 1, and stays a zombie until that asks for its end: a guard after each run of
 * a plugin, and all that programs leave behind. So process 1 only forks the agent, hands its signals on, collects those that ended, and ends
 * as the agent does; then the kernel ends the rest of the container. The agent itself waits only for children that it knows.
 * Elsewhere nothing happens: there is another process 1.
 * Threads: before the first one is started. Source: pid_namespaces(7).
 */
#ifndef WEIR_AGENT_PROCESS_FIRST_PROCESS_H
#define WEIR_AGENT_PROCESS_FIRST_PROCESS_H

/* -1: be the agent. Else the agent has run: its exit code, 128 + number for a signal. */
int wr_first_process(void);

#endif
