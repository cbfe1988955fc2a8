/** Makes a case that shows a difference smaller, as long as it still shows one. */
import type { FuzzAccount, FuzzCase, FuzzTransaction, Item, Program } from './case.ts';

/** Whether a case still shows what is looked for. */
export type Shows = (what: FuzzCase) => Promise<boolean>;

function without<T>(list: readonly T[], from: number, count: number): T[] {
  return [...list.slice(0, from), ...list.slice(from + count)];
}

/** All programs that are `program` with a piece less: large pieces first; then a simpler piece of data, then simpler pushes. */
function* smallerPrograms(program: Program): Generator<Program> {
  const { items, data } = program;
  for (let size = items.length; size >= 1; size = size >> 1) {
    for (let from = 0; from + size <= items.length; from += size) yield { items: without(items, from, size), data };
  }
  for (const [index, each] of data.entries()) {
    const put = (next: Program | Uint8Array): Program => ({ items, data: data.map((old, at) => (at === index ? next : old)) });
    if (each instanceof Uint8Array) {
      if (each.length > 0) yield put(each.subarray(0, each.length >> 1));
    } else for (const smaller of smallerPrograms(each)) yield put(smaller);
  }
  for (const [index, item] of items.entries()) {
    const simpler = simplerItem(item);
    if (simpler !== undefined) yield { items: items.map((old, at) => (at === index ? simpler : old)), data };
  }
}

function simplerItem(item: Item): Item | undefined {
  if (item.kind === 'raw' && item.bytes.length > 1) return { kind: 'raw', bytes: item.bytes.subarray(0, item.bytes.length >> 1) };
  if (item.kind === 'push' && item.value > 1n) return { kind: 'push', size: Math.max(1, item.size >> 1), value: item.value & ((1n << BigInt(8 * Math.max(1, item.size >> 1))) - 1n) };
  return undefined;
}

function* smallerAccounts(account: FuzzAccount): Generator<FuzzAccount> {
  if (account.storage.length > 0) yield { ...account, storage: [] };
  for (const slot of account.storage.keys()) if (account.storage.length > 1) yield { ...account, storage: without(account.storage, slot, 1) };
  if (account.program === undefined) return;
  for (const program of smallerPrograms(account.program)) yield { ...account, program };
}

function* smallerTransactions(transaction: FuzzTransaction): Generator<FuzzTransaction> {
  if (transaction.data.length > 0) yield { ...transaction, data: transaction.data.subarray(0, transaction.data.length >> 1) };
  if (transaction.value > 0n) yield { ...transaction, value: 0n };
  if (transaction.accessList.length > 0) yield { ...transaction, accessList: [] };
  if (transaction.blobHashes.length > 0) yield { ...transaction, blobHashes: [] };
  if (transaction.program === undefined) return;
  for (const program of smallerPrograms(transaction.program)) yield { ...transaction, program };
}

/** All cases one step smaller than `what`. */
function* smallerCases(what: FuzzCase): Generator<FuzzCase> {
  const { accounts, transactions } = what;
  if (transactions.length > 1) for (const index of transactions.keys()) yield { ...what, transactions: without(transactions, index, 1) };
  // Callers stay: without funds, most things end before they begin.
  for (const [index, account] of accounts.entries()) if (account.program !== undefined) yield { ...what, accounts: without(accounts, index, 1) };
  for (const [index, account] of accounts.entries()) {
    for (const smaller of smallerAccounts(account)) yield { ...what, accounts: accounts.map((old, at) => (at === index ? smaller : old)) };
  }
  for (const [index, transaction] of transactions.entries()) {
    for (const smaller of smallerTransactions(transaction)) yield { ...what, transactions: transactions.map((old, at) => (at === index ? smaller : old)) };
  }
}

/** The smallest case found that still `shows`, with at most `attemptsMax` attempts. `what` itself must show. */
export async function shrink(what: FuzzCase, shows: Shows, attemptsMax: number): Promise<FuzzCase> {
  let best = what;
  let attempts = 0;
  for (let found = true; found && attempts < attemptsMax; ) {
    found = false;
    for (const candidate of smallerCases(best)) {
      if (++attempts > attemptsMax) break;
      if (!(await shows(candidate))) continue;
      best = candidate;
      found = true;
      break;
    }
  }
  return best;
}
