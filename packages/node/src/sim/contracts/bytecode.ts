import { type Address, concatBytes, equalBytes, fromHex, ZERO_ADDRESS } from '@shardlab/crosslink';

/**
 * Small contracts of the simulator's load, assembled by hand:
 * - counter: slot 0 += word 0 of the call data, and a log; reverts if that word is odd
 * - token: word 2 goes from slot word 0 to slot word 1, and a log; reverts if it is not there. The sum of its slots never changes
 * - forwarder: its call's value goes to the address in word 0
 * - factory: makes a child with the call's value, and counts it in slot 0
 * - heir: gives all that it has to the address in word 0, by SELFDESTRUCT, and stays (EIP-6780)
 * - pyre: makes a contract with the call's value that destroys itself at once, for the address in word 0, or for itself if that is zero; and counts it in slot 0
 * - child: takes what it is given
 *
 * An ember is none of them: initcode that destroys itself leaves no contract; see {@link emberOf}.
 */
export const CONTRACT_KINDS = ['counter', 'token', 'forwarder', 'factory', 'heir', 'pyre'] as const;
/** See {@link CONTRACT_KINDS}. */
export type ContractKind = (typeof CONTRACT_KINDS)[number] | 'child';

/** Slots of a token, and what each holds at first. */
export const TOKEN_SLOTS = 4;
/** See {@link TOKEN_SLOTS}. */
export const TOKEN_START = 1000n;

const RUNTIME: Readonly<Record<(typeof CONTRACT_KINDS)[number], string>> = {
  counter: '5f35 6001 16 6018 57 5f35 5f54 01 5f55 5f35 5f52 6020 5f a0 00 5b 5f5f fd',
  token: '5f35 54 6040 35 81 81 11 6027 57 90 03 5f35 55 6020 35 54 6040 35 01 6020 35 55 6040 35 5f 52 6020 5f a0 00 5b 5f5f fd',
  forwarder: '5f5f5f5f 34 5f35 5a f1 15 600e 57 00 5b 5f5f fd',
  factory: '63 60015ff3 5f52 6004 601c 34 f0 15 6019 57 6001 5f54 01 5f55 00 5b 5f5f fd',
  heir: '5f35 ff',
  pyre: '5f35 5f52 60ff 6020 53 6073 600b 53 5f35 601d 57 6030 600b 53 60ff 600c 53 5b 6016 600b 34 f0 15 6030 57 6001 5f54 01 5f55 00 5b 5f5f fd',
};

function assembled(hex: string): Uint8Array {
  return fromHex(`0x${hex.replaceAll(' ', '')}`);
}

/** Initcode that runs `before` and returns the runtime code that follows it. */
function initcodeOf(runtime: Uint8Array, before: Uint8Array): Uint8Array {
  const loader = Uint8Array.of(0x60, runtime.length, 0x80, 0x60, before.length + 9, 0x5f, 0x39, 0x5f, 0xf3);
  return concatBytes(before, loader, runtime);
}

const FILL = Array.from({ length: TOKEN_SLOTS }, (_, slot) => Uint8Array.of(0x61, Number(TOKEN_START) >> 8, Number(TOKEN_START) & 0xff, 0x60, slot, 0x55));

/** Initcode of each kind. */
export const INITCODE: Readonly<Record<(typeof CONTRACT_KINDS)[number], Uint8Array>> = {
  counter: initcodeOf(assembled(RUNTIME.counter), new Uint8Array(0)),
  token: initcodeOf(assembled(RUNTIME.token), concatBytes(...FILL)),
  forwarder: initcodeOf(assembled(RUNTIME.forwarder), new Uint8Array(0)),
  factory: initcodeOf(assembled(RUNTIME.factory), new Uint8Array(0)),
  heir: initcodeOf(assembled(RUNTIME.heir), new Uint8Array(0)),
  pyre: initcodeOf(assembled(RUNTIME.pyre), new Uint8Array(0)),
};

const SELFDESTRUCT = 0xff;
const PUSH20 = 0x73;
/** ADDRESS SELFDESTRUCT. */
const BURNING = Uint8Array.of(0x30, SELFDESTRUCT);

/** Initcode that destroys itself in the transaction that runs it (EIP-6780): what it has goes to `heir`, or is burned with it if there is none. */
export function emberOf(heir: Address | undefined): Uint8Array {
  return heir === undefined ? BURNING : concatBytes(Uint8Array.of(PUSH20), heir, Uint8Array.of(SELFDESTRUCT));
}

/** Who gets what an ember has: `self`, and it is burned; undefined for other initcode. */
export function emberHeir(initcode: Uint8Array): Address | 'self' | undefined {
  if (equalBytes(initcode, BURNING)) return 'self';
  const heir = initcode.subarray(1, 1 + ZERO_ADDRESS.length) as Address;
  return initcode.length === heir.length + 2 && equalBytes(emberOf(heir), initcode) ? heir : undefined;
}

/** The kind that this initcode makes; undefined for another's. */
export function kindOf(initcode: Uint8Array): ContractKind | undefined {
  return CONTRACT_KINDS.find((kind) => equalBytes(INITCODE[kind], initcode));
}

/** Words of call data, 32 bytes each. */
export function words(...values: readonly (bigint | number | Address)[]): Uint8Array {
  const data = new Uint8Array(32 * values.length);
  values.forEach((value, index) => {
    const bytes = typeof value === 'object' ? value : fromHex(`0x${BigInt(value).toString(16).padStart(64, '0')}`);
    data.set(bytes, 32 * (index + 1) - bytes.length);
  });
  return data;
}

/** One word of call data; zero beyond its end, as contracts see it. */
export function wordAt(data: Uint8Array, index: number): bigint {
  let word = 0n;
  for (let at = 32 * index; at < 32 * (index + 1); at++) word = (word << 8n) | BigInt(data[at] ?? 0);
  return word;
}
