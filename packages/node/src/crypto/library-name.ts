import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** Name and installed version of the package that `specifier` belongs to, such as `@noble/curves 2.0.1`. */
export function libraryName(packageName: string, specifier: string = packageName): string {
  const path = findPackageJSON(specifier, import.meta.url);
  const parsed: unknown = path === undefined ? undefined : JSON.parse(readFileSync(path, 'utf8'));
  const version = typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : 'of unknown version';
  return `${packageName} ${version}`;
}
