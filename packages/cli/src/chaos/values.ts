import { InvalidArgumentError } from 'commander';

/** Events of one kind that one run may have on average, a minute. */
const RATE_MAX = 600;
const DURATION_MAX_MS = 86_400_000;
const MINUTE_MS = 60_000;
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: MINUTE_MS, h: 3_600_000 };
const UNITS_BYTES: Readonly<Record<string, number>> = { B: 1, kB: 1_000, MB: 1_000_000, GB: 1_000_000_000 };
const DECIMAL = String.raw`(\d{1,9}(?:\.\d{1,6})?)`;

/** Events a minute over the whole cluster: `6`, `6/min`, `0.5/s`. */
export function rate(text: string): number {
  const found = new RegExp(`^${DECIMAL}(?:/(s|min))?$`).exec(text);
  const perMinute = found === null ? Number.NaN : Number(found[1]) * (found[2] === 's' ? 60 : 1);
  if (perMinute > 0 && perMinute <= RATE_MAX) return perMinute;
  throw new InvalidArgumentError(`Give events a minute over the whole cluster, such as 6 or 0.1/s, above 0, at most ${RATE_MAX} a minute.`);
}

/** A duration in milliseconds: `60s`, `500ms`, `5m`, `1h`; a number alone is seconds. */
export function duration(text: string): number {
  const found = new RegExp(`^${DECIMAL}(ms|s|m|h)?$`).exec(text);
  const ms = found === null ? Number.NaN : Math.round(Number(found[1]) * UNITS_MS[found[2] ?? 's']!);
  if (ms >= 1_000 && ms <= DURATION_MAX_MS) return ms;
  throw new InvalidArgumentError('Give a duration from 1s to 24h, such as 60s or 5m.');
}

/** Bytes a second: `200kB/s`, `1.5MB/s`, `5000`. */
export function bandwidth(text: string): number {
  const found = new RegExp(`^${DECIMAL}(?:(B|kB|MB|GB)(?:/s)?)?$`).exec(text);
  const bytes = found === null ? Number.NaN : Math.round(Number(found[1]) * UNITS_BYTES[found[2] ?? 'B']!);
  if (bytes >= 1_000 && bytes <= 1e12) return bytes;
  throw new InvalidArgumentError('Give bytes a second for each link, such as 200kB/s or 5MB/s, at least 1kB/s.');
}
