import { ACCEPT, BEACON, decodeBeaconBlock, type Height, type ShardId, type Verdict } from '@shardlab/crosslink';
import type { BeaconFollower } from '../beacon/follower.ts';
import type { Epochs } from '../exchange/epochs.ts';
import type { Requests } from '../exchange/requests.ts';
import type { StepContext } from '../step-context.ts';

/** Without any epoch a node can do nothing: it asks this often. */
const FIRST_EPOCH_POLL_MS = 250;

/** What following the beacon works with. */
export interface BeaconLinkModules {
  readonly step: StepContext;
  readonly requests: Requests;
  readonly follower: BeaconFollower;
  readonly epochs: Epochs;
}

/**
 * Follows the beacon chain by gossip and by asking, and has each block stored. An epoch is used at once: the store commits in order of call, so that no block
 * which rests on it is stored before it.
 */
export class BeaconLink {
  private readonly pollMs: number;
  private readonly modules: BeaconLinkModules;
  /** A block has come since the beacon was to be asked last. */
  private heard = false;

  /** `pollMs`: after how long without a block the beacon is asked, in case that gossip was lost. */
  constructor(pollMs: number, modules: BeaconLinkModules) {
    this.pollMs = pollMs;
    this.modules = modules;
  }

  /** Asks the beacon for its next blocks unless one has come lately (one that leaves a gap is asked about at once), and keeps the timer `follow` going. */
  follow(): void {
    const { epochs, step } = this.modules;
    if (!this.heard) this.ask(BEACON);
    this.heard = false;
    step.push({ kind: 'set-timer', timer: 'follow', delayMs: epochs.latest === undefined ? FIRST_EPOCH_POLL_MS : this.pollMs });
  }

  /** Asks a chain's node, the beacon's or a follower, for the beacon blocks that come next. */
  ask(from: ShardId): void {
    const { requests, follower, step } = this.modules;
    const effect = requests.ask(from, { kind: 'beacon-blocks', fromHeight: follower.next as Height });
    if (effect !== undefined) step.push(effect);
  }

  /** What an answer to {@link ask} came to: the next blocks are asked for at once, or somebody else is, later. */
  answered(from: ShardId, progressed: boolean): void {
    const { requests, epochs } = this.modules;
    if (progressed) {
      requests.helped('beacon-blocks', from);
      this.ask(from);
    } else {
      requests.failed('beacon-blocks', from, epochs.latest === undefined ? FIRST_EPOCH_POLL_MS : undefined);
    }
  }

  /** Judges an encoded beacon block, and takes it if it is the next one. Throws `DecodeError`. */
  take(data: Uint8Array): Verdict {
    const { requests, follower, epochs, step } = this.modules;
    const block = decodeBeaconBlock(data.slice());
    const known = epochs.latest?.assignment.epoch;
    const outcome = follower.offer(block);
    if (outcome.kind === 'refused') {
      if (outcome.verdict.kind === 'ignore' && outcome.verdict.reason === 'beacon-gap') this.ask(BEACON);
      return outcome.verdict;
    }
    this.heard = true;
    requests.helped('beacon-blocks', BEACON);
    // Nothing waits for this write: what rests on it is written after it.
    step.push({ kind: 'persist', request: requests.number(), record: { kind: 'beacon-block', block, hash: outcome.hash } });
    const epoch = epochs.latest?.assignment.epoch;
    if (epoch !== undefined && epoch !== known) step.log({ level: 'info', event: 'epoch.adopted', fields: { epoch } });
    return ACCEPT;
  }
}
