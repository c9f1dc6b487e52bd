/* How many threads are worth having. Private. */
#ifndef TTT_CPU_PROCESSORS_H
#define TTT_CPU_PROCESSORS_H
#include "kernels/kernels.h"

/* The processors that this process is bound to, but no more than its control groups' quotas (cpu.max) pay for, rounded up; at least 1.
 * root: "", or what stands before /proc and /sys. */
int ttt__cpu_processors(const char *root);

#endif
