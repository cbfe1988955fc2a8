/** Something at a line of a file. */
import type { Node, SourceFile } from 'typescript/unstable/ast';

/** What was found where; `line` counts from 1. */
export interface Finding {
  readonly line: number;
  readonly what: string;
}

/** 1-based line of the first character of `node`. */
export function lineOf(file: SourceFile, node: Node): number {
  return file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;
}
