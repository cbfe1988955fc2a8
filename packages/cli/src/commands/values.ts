import { InvalidArgumentError } from 'commander';
import { COMMITTEE_SIZES } from '../cluster/layout.ts';
import { usageError } from '../output/cli-error.ts';
import { printable } from '../output/style.ts';

/** A parser of one option's text; throws {@link InvalidArgumentError} with what would be right. */
export type ValueParser<T> = (text: string) => T;

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): ValueParser<number> {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** A decimal number from `min` to `max`; `min` itself only if `minIncluded`. */
export function decimal(min: number, max: number, minIncluded: boolean): ValueParser<number> {
  return (text) => {
    const value = /^\d{1,15}(?:\.\d{1,15})?$/.test(text) ? Number(text) : Number.NaN;
    if (value > min || (minIncluded && value === min)) if (value <= max) return value;
    throw new InvalidArgumentError(minIncluded ? `Give a number from ${min} to ${max}.` : `Give a number above ${min}, at most ${max}.`);
  };
}

/** The size of a committee that option `flag` gives: n = 3f + 1. Throws the one line that says so. */
export function committeeSize(flag: string): ValueParser<number> {
  return (text) => {
    const found = COMMITTEE_SIZES.find((size) => String(size) === text);
    if (found !== undefined) return found;
    throw usageError('cli/committee', `${flag} must be 3f + 1: ${COMMITTEE_SIZES.slice(0, -1).join(', ')} or ${COMMITTEE_SIZES.at(-1)}, not ${printable(text)}`);
  };
}

/** Wei, 0 to 2^128 - 1, in decimal digits. */
export function wei(text: string): bigint {
  if (/^\d{1,39}$/.test(text)) {
    const value = BigInt(text);
    if (value >> 128n === 0n) return value;
  }
  throw new InvalidArgumentError('Give wei as a whole number in decimal digits, below 2^128.');
}

/** 0x and `bytes` bytes in hex, as it was given. */
export function hex(bytes: number, what: string): ValueParser<string> {
  const pattern = new RegExp(`^0x[0-9a-fA-F]{${2 * bytes}}$`);
  return (text) => {
    if (pattern.test(text)) return text;
    throw new InvalidArgumentError(`Give ${what}: 0x and ${2 * bytes} hex digits.`);
  };
}

/** One of `allowed`. */
export function oneOf<T extends string>(allowed: readonly T[]): ValueParser<T> {
  return (text) => {
    const found = allowed.find((candidate) => candidate === text);
    if (found === undefined) throw new InvalidArgumentError(`Give one of ${allowed.join(', ')}.`);
    return found;
  };
}

/** Text that is not empty. */
export function text(what: string): ValueParser<string> {
  return (value) => {
    if (value.trim() === '') throw new InvalidArgumentError(`Give ${what}.`);
    return value;
  };
}

/** The name of a docker image, with tag or digest (distribution's reference grammar, without its finer rules). */
export function imageName(value: string): string {
  if (/^[a-z0-9][\w.:@/-]{0,254}$/.test(value)) return value;
  throw new InvalidArgumentError('Give the name of an image, such as shardlab:local.');
}

/** The URL of a node, without trailing slashes. */
export function rpcUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:')) return value.replace(/\/+$/, '');
  throw new InvalidArgumentError("Give a node's URL, such as http://127.0.0.1:8545.");
}
