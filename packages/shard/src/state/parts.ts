import type { Hasher } from '@shardlab/crosslink';
import type { Accounts } from './accounts.ts';
import type { CodeStore } from './code-store.ts';
import type { ContractCode } from './contract-code.ts';
import type { SlotStore } from './storage/slot-store.ts';
import type { Trie } from './trie/trie.ts';

/** Where the parts of an account stand in a state: what loading and undoing fill. */
export interface StateParts {
  readonly hasher: Hasher;
  readonly trie: Trie;
  readonly accounts: Accounts;
  readonly slots: SlotStore;
  readonly codes: CodeStore;
  readonly contractCode: ContractCode;
}
