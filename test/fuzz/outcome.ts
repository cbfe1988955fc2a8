/** What two EVMs must agree on, as plain text and numbers: comparable and printable. */

/** How one transaction ended. */
export interface TransactionOutcome {
  /** `failure` is every exceptional halt: Ethereum does not tell them apart. */
  readonly status: 'success' | 'revert' | 'failure';
  readonly gasUsed: number;
  /** Return or revert data. */
  readonly output: string;
  /** Gas to be refunded, not capped. 0 unless it succeeded. */
  readonly refund: number;
  /** Address, topics, data. */
  readonly logs: readonly string[];
  /** The new contract, if one was asked for and made. */
  readonly created: string | undefined;
  /** Why, in the words of the EVM: for people, not compared. */
  readonly reason: string;
}

/** An account after all transactions. */
export interface AccountOutcome {
  readonly nonce: bigint;
  readonly balance: bigint;
  readonly code: string;
  /** `key=value`, sorted, zeros left out. */
  readonly storage: readonly string[];
}

/** How a whole case ended. */
export interface Outcome {
  readonly transactions: readonly TransactionOutcome[];
  /** By address, sorted; accounts that do not exist are left out. */
  readonly accounts: ReadonlyMap<string, AccountOutcome>;
}

function* fieldsOf(outcome: Outcome): Generator<readonly [string, string]> {
  for (const [index, each] of outcome.transactions.entries()) {
    const where = `transaction ${index}`;
    yield [`${where} status`, each.status];
    yield [`${where} gas used`, String(each.gasUsed)];
    yield [`${where} output`, each.output];
    yield [`${where} refund`, String(each.refund)];
    yield [`${where} logs`, each.logs.join('; ')];
    yield [`${where} created`, each.created ?? 'nothing'];
  }
  for (const [address, account] of outcome.accounts) {
    yield [`${address} nonce`, String(account.nonce)];
    yield [`${address} balance`, String(account.balance)];
    yield [`${address} code`, account.code];
    yield [`${address} storage`, account.storage.join(' ')];
  }
}

/** Every field on which the two differ, as a line each; empty: they are equal. `a` and `b` name the two. */
export function differences(a: { name: string; outcome: Outcome }, b: { name: string; outcome: Outcome }): string[] {
  const left = new Map(fieldsOf(a.outcome));
  const right = new Map(fieldsOf(b.outcome));
  const names = new Set([...left.keys(), ...right.keys()]);
  return [...names]
    .filter((name) => left.get(name) !== right.get(name))
    .map((name) => `${name}: ${a.name} ${left.get(name) ?? 'has none'}, ${b.name} ${right.get(name) ?? 'has none'}`);
}
