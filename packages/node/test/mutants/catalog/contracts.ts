import { ground, type Mutant } from '../mutant.ts';

const PARTICIPANT = 'crosslink/src/xtx/participant.ts';
const OPERATIONS = 'shard/src/execution/contracts/operations.ts';
const RUN = 'shard/src/execution/block-run.ts';
const RUNNER = 'shard/src/execution/contracts/runner.ts';

const CONTRACTS = ground('contracts', { shards: 3, txs: 30, contracts: 5 });
const DELAYED = ground('late contracts', { shards: 3, txs: 30, contracts: 5, faults: ['delay', 'partition'] }, { parameters: { deadlineMs: 3_000 } });

const AUTHORIZATIONS = 'shard/src/execution/evm/authorizations.ts';
const WARDS = ground('wards', { shards: 3, txs: 30, contracts: 8 });
/** The last three actions are those of wards: they meet each other all the time. */
const WARDS_ALONE = ground('wards alone', { shards: 3, txs: 30, contracts: 8 }, {
  edits: [
    {
      file: 'node/src/sim/swarm/plan.ts',
      find: 'CONTRACT_ACTIONS[prng.below(CONTRACT_ACTIONS.length)]!',
      replace: 'CONTRACT_ACTIONS[CONTRACT_ACTIONS.length - 1 - prng.below(3)]!',
    },
  ],
});

/** Accounts with the code of contracts (EIP-7702), and contracts that destroy themselves (EIP-6780). */
export const CONTRACTS_LENT: readonly Mutant[] = [
  {
    name: 'authorization-for-ever',
    what: 'an authorization does not raise the nonce of who signed it',
    edits: [{ file: AUTHORIZATIONS, find: 'world.setNonce(account, nonce + 1n);', replace: '' }],
    ground: WARDS,
    seedsMax: 4,
    finds: /^serial: .* nonce/,
  },
  {
    name: 'authorization-replayed',
    what: 'an authorization counts whatever the nonce of who signed it is by then',
    edits: [{ file: AUTHORIZATIONS, find: ' || world.nonce(account) !== nonce) continue;', replace: ') continue;' }],
    ground: WARDS,
    seedsMax: 4,
    finds: /^serial: /,
  },
  {
    name: 'authorization-from-afar',
    what: 'an authorization counts on the shard of who pays for it, wherever its signer lives',
    edits: [{ file: AUTHORIZATIONS, find: 'if (world.homeOf(account) !== HOME) continue;', replace: '' }],
    ground: WARDS,
    seedsMax: 4,
    finds: /^(serial|state): /,
  },
  {
    name: 'authorization-over-locks',
    what: 'the authorizations of a transaction that leaves its shard do not ask whether a cross-shard one holds who signed them',
    edits: [{ file: RUN, find: 'if (!this.isLocked(tx)) return true;', replace: 'if (!this.isLocked(tx) || tx.gasLimit > 0) return true;' }],
    ground: WARDS_ALONE,
    seedsMax: 4,
    finds: /^serial: /,
  },
  {
    name: 'nonce-over-locks',
    what: 'an account sends while a cross-shard transaction is to raise its nonce, by its code',
    edits: [{ file: RUN, find: "(sender !== undefined && hasCode(sender) && protocol.forbids(accountLock(address), 'read'))", replace: 'false' }],
    ground: WARDS_ALONE,
    seedsMax: 12,
    finds: /^serial: .* nonce/,
  },
  {
    name: 'stub-of-nothing',
    what: 'a stub is kept for a contract that its factory does not make any more',
    edits: [{ file: OPERATIONS, find: "if (kept.length - stubless.length < granted.size) return no('refused');", replace: '' }],
    ground: WARDS_ALONE,
    seedsMax: 15,
    finds: /^state: the stub of .* where nothing is/,
  },
  {
    name: 'gap-for-ever',
    what: 'a transaction that waits behind a gap is forgotten when an authorization closes the gap',
    edits: [{ file: 'shard/src/mempool/mempool.ts', find: 'const senders = new Set(this.stalled);', replace: 'const senders = new Set<string>();' }],
    ground: WARDS_ALONE,
    seedsMax: 4,
    finds: /does not end/,
  },
  {
    name: 'destroyed-wei-not-booked',
    what: 'wei that a contract takes with it leave the balances, and are not counted as burned',
    edits: [{ file: RUN, find: 'this.ledger.burn(-sum - credited);', replace: 'this.ledger.burn(BigInt(outcome.gasUsed) * outcome.gasPrice);' }],
    ground: WARDS,
    seedsMax: 3,
    finds: /^(state|serial|supply): /,
  },
  {
    name: 'destroyed-wei-not-booked-across',
    what: 'the same, in the part that another shard has of a transaction',
    edits: [{ file: OPERATIONS, find: 'ledger.burnEscrow(burned);', replace: 'void burned;' }],
    ground: WARDS,
    seedsMax: 6,
    finds: /^(state|serial|supply): /,
  },
  {
    name: 'heir-deleted',
    what: 'SELFDESTRUCT deletes a contract that was there before, as it did until EIP-6780',
    edits: [{ file: 'shard/src/execution/evm/interpreter/state-instructions.ts', find: 'if (created) world.selfDestruct(frame.account);', replace: 'world.selfDestruct(frame.account);' }],
    ground: WARDS,
    seedsMax: 3,
    finds: /^(state|serial): /,
  },
];

/** Contracts across shards (R11, R12, R16). */
export const CONTRACTS_ACROSS: readonly Mutant[] = [
  {
    name: 'effects-on-abort',
    what: 'a participant applies what its call did, though the Decision is to abort',
    edits: [
      {
        file: PARTICIPANT,
        find: 'ack(commit ? this.apply(host, record, value) : NO_LOGS);',
        replace: 'if (!commit && record.effects !== undefined && value === record.operation.value) this.apply(host, record, value);\n    ack(commit ? this.apply(host, record, value) : NO_LOGS);',
      },
    ],
    ground: DELAYED,
    seedsMax: 10,
    finds: /^serial: .* slot \d+/,
  },
  {
    name: 'batch-in-halves',
    what: 'a batch commits on its own shard\'s part, though another shard\'s part has failed',
    edits: [
      {
        file: PARTICIPANT,
        find: 'ack(commit ? this.apply(host, record, value) : NO_LOGS);',
        replace: 'if (!commit && source === host.shard && record.effects !== undefined && record.operation.value === 0n) this.apply(host, record, value);\n    ack(commit ? this.apply(host, record, value) : NO_LOGS);',
      },
    ],
    ground: CONTRACTS,
    seedsMax: 10,
    finds: /^serial: .* slot \d+/,
  },
  {
    name: 'written-slot-locked-as-read',
    what: 'what a call writes is locked as if it had only read it',
    edits: [{ file: 'shard/src/execution/contracts/lock-set.ts', find: "requests.add(storageLock(address, key), 'write');", replace: "requests.add(storageLock(address, key), 'read');" }],
    ground: CONTRACTS,
    seedsMax: 10,
    finds: /^serial: .* slot \d+/,
  },
  {
    name: 'slots-not-locked',
    what: 'slots are not locked at all',
    edits: [
      { file: 'shard/src/execution/contracts/lock-set.ts', find: "requests.add(storageLock(address, key), 'write');", replace: 'void key;' },
      { file: 'shard/src/execution/contracts/lock-set.ts', find: "requests.add(storageLock(address, key), 'read');", replace: 'void key;' },
    ],
    ground: CONTRACTS,
    seedsMax: 10,
    finds: /^serial: .* slot \d+/,
  },
  {
    name: 'local-call-over-locks',
    what: 'a local call does not ask whether a cross-shard one holds its slots',
    edits: [{ file: RUN, find: "if (this.isLocked(tx)) return 'blocked';", replace: '' }],
    ground: CONTRACTS,
    seedsMax: 10,
    finds: /^serial: .* slot \d+/,
  },
  {
    name: 'stub-not-kept',
    what: 'the shard that an address belongs to by rule keeps no stub of the contract that was made elsewhere',
    edits: [{ file: OPERATIONS, find: "state.putRecord('stub', address, encodeStub(home));", replace: '' }],
    ground: CONTRACTS,
    seedsMax: 5,
    finds: /^(state: .* what leads to it leads to|serial: )/,
  },
  {
    name: 'credit-not-forwarded',
    what: 'value that meets a stub stays where the stub is',
    edits: [{ file: 'crosslink/src/xtx/parked.ts', find: 'if (home === host.shard || home === source) {', replace: 'if (home >= 0) {' }],
    ground: CONTRACTS,
    seedsMax: 20,
    finds: /^(serial|state): /,
  },
  {
    name: 'credit-not-sent',
    what: 'value that a contract gives to another shard leaves its books, and no message carries it',
    edits: [{ file: 'shard/src/execution/contracts/credit-sender.ts', find: "this.ledger.emit(home, { kind: 'credit', txHash, to, value: wei });", replace: '' }],
    ground: CONTRACTS,
    seedsMax: 5,
    finds: /^(sequences|supply): /,
  },
  {
    name: 'prefunded-wei-left-behind',
    what: 'what an address had before its contract was made elsewhere stays where it was',
    edits: [{ file: OPERATIONS, find: 'if (account !== undefined && account.balance > 0n) {', replace: 'if (account !== undefined && account.balance < 0n) {' }],
    ground: CONTRACTS,
    seedsMax: 20,
    finds: /^(serial|state): /,
  },
  {
    name: 'logs-lost-in-ack',
    what: 'the logs of another shard\'s part do not come back with its Ack',
    edits: [{ file: PARTICIPANT, find: 'ack(commit ? this.apply(host, record, value) : NO_LOGS);', replace: 'if (commit) this.apply(host, record, value);\n    ack(NO_LOGS);' }],
    ground: CONTRACTS,
    seedsMax: 3,
    finds: /^serial: .* logs/,
  },
  {
    name: 'speculation-believed',
    what: 'what a call did when it was executed beforehand is taken as it is, though what it read has changed',
    edits: [{ file: RUNNER, find: 'return validates(reads, source, this.emptyHash);', replace: 'return reads !== undefined;' }],
    ground: CONTRACTS,
    seedsMax: 10,
    finds: /^serial: .* slot \d+/,
  },
  {
    name: 'speculation-over-locks',
    what: 'what a call did when it was executed beforehand is taken, though an open cross-shard transaction holds what it read or wrote',
    edits: [{ file: RUNNER, find: 'lockSetOf(this.taken.reads, this.taken.changes, payer)', replace: '[]' }],
    ground: CONTRACTS,
    seedsMax: 30,
    finds: /^serial: .* slot \d+/,
  },
];
