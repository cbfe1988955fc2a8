/** A log line in words of the core; drivers add node, shard and wall time (R3). */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn';
  /** Stable code, such as `block.committed`. */
  readonly event: string;
  readonly fields: Readonly<Record<string, string | number | bigint | boolean>>;
}
