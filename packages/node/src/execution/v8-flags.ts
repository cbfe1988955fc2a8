/**
 * V8's options for a process that executes on `workers` threads beside its own. The garbage collectors of all threads share V8's helper threads, for which no core is left: on two cores
 * an executing thread waits for helpers that the other one keeps from running, 26 ms a block instead of 16. And a young generation that may grow beyond the caches costs more than
 * it saves.
 */
export function threadFlags(workers: number): readonly string[] {
  return workers === 0 ? [] : ['--single-threaded-gc', '--max-semi-space-size=16'];
}
