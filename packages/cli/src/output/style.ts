/** Colours by meaning; every function returns the text unchanged where the output has no colour. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  accent(text: string): string;
}

function sgr(open: number, close: number): (text: string) => string {
  return (text) => `\u001b[${open}m${text}\u001b[${close}m`;
}

const plain = (text: string): string => text;

/** Without colour: pipes, files, and `NO_COLOR` (no-color.org). */
export const PLAIN_STYLE: Style = { bold: plain, dim: plain, good: plain, bad: plain, warn: plain, accent: plain };

/** The sixteen colours every terminal has. */
export const COLOUR_STYLE: Style = {
  bold: sgr(1, 22),
  dim: sgr(2, 22),
  good: sgr(32, 39),
  bad: sgr(31, 39),
  warn: sgr(33, 39),
  accent: sgr(36, 39),
};

// oxlint-disable-next-line no-control-regex -- the escape character is what this looks for
const SGR = /\u001b\[[0-9;]*m/g;

/** Columns that `text` takes on a terminal: escape sequences take none. For the characters that this program prints, not for any script. */
export function visibleLength(text: string): number {
  return text.replace(SGR, '').length;
}

/** Pads with spaces on the right to `width` visible columns. */
export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - visibleLength(text)));
}

/** Pads with spaces on the left to `width` visible columns. */
export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - visibleLength(text))) + text;
}

// oxlint-disable-next-line no-control-regex -- control characters are what this removes
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** What came from a node or a file, made safe for a terminal: control characters become `?`, line breaks and tabs one space. */
export function printable(text: string): string {
  return text.replace(/[\r\n\t]+/g, ' ').replace(CONTROL, '?');
}

/** The first 10 and last 4 characters of a long hash; short text stays. */
export function shortHash(hash: string): string {
  return hash.length <= 16 ? hash : `${hash.slice(0, 10)}…${hash.slice(-4)}`;
}
